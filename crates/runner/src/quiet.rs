//! Whether operators want the runner to claim nothing (`QWORKER QUIET`): what runs goes on, and it may claim again
//! later.

use tokio::sync::watch;

/// What operators want.
#[derive(Debug)]
pub(crate) struct Quiet {
    wanted: watch::Sender<bool>,
}

impl Default for Quiet {
    fn default() -> Quiet {
        Quiet { wanted: watch::Sender::new(false) }
    }
}

impl Quiet {
    /// It is to be quiet, or not; whether that is news.
    pub(crate) fn set(&self, wanted: bool) -> bool {
        self.wanted.send_if_modified(|now| std::mem::replace(now, wanted) != wanted)
    }

    /// Whether nothing is to be claimed now.
    pub(crate) fn is_wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Waits until nothing is to be claimed.
    pub(crate) async fn begun(&self) {
        self.reached(true).await;
    }

    /// Waits until it may claim.
    pub(crate) async fn over(&self) {
        self.reached(false).await;
    }

    async fn reached(&self, wanted: bool) {
        let mut receiver = self.wanted.subscribe();
        let _ = receiver.wait_for(|now| *now == wanted).await; // the sender is held by self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_begins_and_ends_and_knows_what_is_news() {
        let quiet = Quiet::default();
        assert!(!quiet.is_wanted());
        quiet.over().await;
        assert!(quiet.set(true));
        assert!(!quiet.set(true), "no news");
        quiet.begun().await;
        assert!(quiet.set(false));
        quiet.over().await;
    }
}
