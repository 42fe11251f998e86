//! The groups at work: each has a claimer and a sender of its reports. Groups and schedules come, change and leave
//! while the runner runs.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::claimer::Claimer;
use crate::config::Config;
use crate::error::Error;
use crate::group::Group;
use crate::limits;
use crate::reload::{self, Request};
use crate::runner::Shared;
use crate::scheduler::Scheduler;

/// All groups of a runner, also those that leave.
#[derive(Debug)]
pub(crate) struct Crew {
    shared: Arc<Shared>,
    members: Vec<Member>,
    claimers: JoinSet<Ended>,
    senders: JoinSet<()>,
    /// What the groups were made from; none when they are handlers of a program.
    config: Option<Config>,
    scheduler: Scheduler,
}

#[derive(Debug)]
struct Member {
    group: Arc<Group>,
    sender: AbortHandle,
}

/// A group, and how its claims ended.
type Ended = (Arc<Group>, Result<(), stanchion_client::Error>);

impl Crew {
    pub(crate) fn new(shared: Arc<Shared>, groups: Vec<Group>, config: Option<Config>) -> Crew {
        let (claimers, senders) = (JoinSet::new(), JoinSet::new());
        let mut scheduler = Scheduler::new(Arc::clone(&shared));
        if let Some(config) = &config {
            scheduler.set(&config.schedules);
        }
        let mut crew = Crew { shared, members: Vec::new(), claimers, senders, config, scheduler };
        for group in groups {
            crew.hire(group);
        }
        crew
    }

    /// Works until the runner stops. The first group that is refused for good stops all.
    pub(crate) async fn work(&mut self, mut reloads: mpsc::Receiver<Request>) -> Result<(), Error> {
        let mut result = Ok(());
        loop {
            tokio::select! {
                biased;
                Some(request) = reloads.recv() => {
                    let answer = self.apply(request.config);
                    // Whoever asked may have gone meanwhile; it is done all the same.
                    drop(request.answer.send(answer));
                }
                ended = self.claimers.join_next() => match ended {
                    None => return result,
                    Some(Ok((group, Ok(())))) => self.left(&group),
                    Some(Ok((group, Err(error)))) => {
                        let refused = self.refused(&group, error);
                        result = result.and(Err(refused));
                    }
                    // A bug in here must not leave a runner that looks alive and claims nothing.
                    Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                },
            }
        }
    }

    /// Waits until the server knows about every job, or can't be told.
    pub(crate) async fn last_reports(&self) {
        let all_sent = async {
            for member in &self.members {
                member.group.outbox.wait_empty().await;
            }
        };
        if tokio::time::timeout(limits::LAST_REPORTS_MAX, all_sent).await.is_err() {
            let unsent: usize = self.members.iter().map(|member| member.group.outbox.len()).sum();
            tracing::error!(
                unsent,
                "the server can't be told about these jobs; they come back when their leases lapse"
            );
        }
    }

    /// Lets long-lived workers end, when nothing runs any more.
    pub(crate) async fn close(&self) {
        let mut closing = JoinSet::new();
        for member in &self.members {
            let work = member.group.work.borrow().clone();
            closing.extend(work.map(|work| async move { work.dispatch.close().await }));
        }
        closing.join_all().await;
    }

    /// Puts a group to work.
    fn hire(&mut self, group: Group) {
        let group = Arc::new(group);
        let sender = self.senders.spawn({
            let (shared, group) = (Arc::clone(&self.shared), Arc::clone(&group));
            async move { group.outbox.send(&shared.client).await }
        });
        let claimer = Claimer::new(Arc::clone(&self.shared), Arc::clone(&group));
        let claims = Arc::clone(&group);
        self.claimers.spawn(async move { (claims, claimer.run().await) });
        self.members.push(Member { group, sender });
        self.show();
    }

    /// A group's claimer has ended in order: the runner stops, or nothing is left of a group that was to leave.
    fn left(&mut self, group: &Arc<Group>) {
        if !group.is_leaving() || self.shared.stop.is_stopping() {
            return; // its last reports are yet to be sent
        }
        tracing::info!(group = group.name, "the group has left");
        self.members.retain(|member| {
            let stays = !Arc::ptr_eq(&member.group, group);
            if !stays {
                member.sender.abort();
            }
            stays
        });
        self.show();
    }

    /// Lets whoever looks at the runner see its groups.
    fn show(&self) {
        self.shared.set_groups(self.members.iter().map(|member| Arc::clone(&member.group)).collect());
    }

    fn refused(&self, group: &Group, error: stanchion_client::Error) -> Error {
        tracing::error!(group = group.name, %error, "the server refuses the group's claims; stopping");
        if !self.shared.stop.is_stopping() {
            self.shared.stop.stop();
        }
        Error::Refused { address: self.shared.client.address(), group: group.name.clone(), error }
    }

    /// Goes on under another configuration, or, when it asks for what only a restart can do, under the old one.
    fn apply(&mut self, new: Config) -> Result<Vec<String>, Error> {
        if self.shared.stop.is_stopping() {
            return Err(Error::NotReloaded("the runner stops".to_owned()));
        }
        let Some(old) = self.config.take() else {
            return Err(Error::NotReloaded("this runner's handlers are functions, not a file".to_owned()));
        };
        let changes = match reload::changes(&old, &new) {
            Ok(changes) => changes,
            Err(error) => {
                self.config = Some(old);
                return Err(error);
            }
        };
        for member in self.members.iter().filter(|member| !member.group.is_leaving()) {
            let name = &member.group.name;
            let before = old.groups.iter().find(|group| group.name == *name);
            match (before, new.groups.iter().find(|group| group.name == *name)) {
                (Some(before), Some(after)) if before != after => member.group.change(before, after),
                (_, Some(_)) => {}
                (_, None) => member.group.leave(),
            }
        }
        for group in &new.groups {
            if !old.groups.iter().any(|before| before.name == group.name) {
                self.hire(Group::from_config(group));
            }
        }
        if old.settings != new.settings {
            self.shared.settings.send_replace(Arc::new(new.settings.clone()));
        }
        self.scheduler.set(&new.schedules);
        self.config = Some(new);
        Ok(changes)
    }
}
