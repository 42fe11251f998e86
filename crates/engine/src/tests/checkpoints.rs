//! The rig's checkpoints: captured step by step between anything else, and merged with the log as recovery does.

use crate::{Checkpoint, Lsn, Shard, Step};

use super::rig::{Rig, replay, same};

/// What a rig has of checkpoints.
#[derive(Default)]
pub(super) struct Checkpoints {
    under_way: Option<(Checkpoint, Saved)>,
    /// The newest whole one that the log still goes back to.
    pub(super) whole: Option<Saved>,
}

/// A checkpoint as its file keeps it.
pub(super) struct Saved {
    /// The log is needed from here on.
    from: Lsn,
    /// It is of use to a log that goes on from here.
    through: Lsn,
    frames: Vec<(Lsn, Vec<u8>)>,
}

impl Checkpoints {
    /// Records below this one are gone.
    pub(super) fn forget_below(&mut self, below: Lsn) {
        self.under_way.take_if(|(_, saved)| saved.from < below);
        self.whole.take_if(|saved| saved.from < below);
    }

    /// The server has ended.
    pub(super) fn interrupt(&mut self) {
        self.under_way = None;
    }
}

impl Rig {
    /// One step of a checkpoint, of which one is begun if none is under way; whether there is more.
    pub(crate) fn checkpoint_a_little(&mut self, bytes: usize) -> bool {
        self.end_hold();
        let from = self.any_lsn_of_now();
        let begin = || (Checkpoint::begin(from), Saved { from, through: from, frames: Vec::new() });
        let (mut checkpoint, mut saved) = self.checkpoints.under_way.take().unwrap_or_else(begin);
        let lsn = self.next_lsn();
        let mut frame = Vec::new();
        let records = self.records.len();
        let step = self.hold(|shard, now, _| shard.checkpoint(now, &mut checkpoint, bytes, &mut frame));
        assert_eq!(self.records.len(), records, "a checkpoint leaves nothing in the log");
        if !frame.is_empty() {
            saved.frames.push((lsn, frame));
        }
        saved.through = lsn;
        match step {
            Step::More(_) => {
                self.checkpoints.under_way = Some((checkpoint, saved));
                true
            }
            Step::Done(_) => {
                self.checkpoints.whole = Some(saved);
                false
            }
        }
    }

    /// A whole checkpoint in small steps.
    pub(crate) fn checkpoint(&mut self) {
        self.checkpoints.interrupt();
        while self.checkpoint_a_little(200) {}
    }

    /// Plants a fault in the newest checkpoint.
    pub(crate) fn lose_a_frame(&mut self) {
        self.checkpoints.whole.as_mut().expect("there is a checkpoint").frames.remove(0);
    }

    /// A shard of the next boot, made of the newest checkpoint and the log from there on, if there is one.
    pub(crate) fn merged(&self) -> Option<Shard> {
        Some(self.merge(self.checkpoints.whole.as_ref()?, |_, _| {}))
    }

    /// Makes a shard of a checkpoint and the log from there on; `visit` sees it after each record.
    fn merge(&self, saved: &Saved, mut visit: impl FnMut(Lsn, &Shard)) -> Shard {
        let mut shard = self.replayed(0);
        let mut frames = saved.frames.iter().peekable();
        for (lsn, body) in self.records.iter().filter(|(lsn, _)| *lsn >= saved.from) {
            while let Some((lsn, frame)) = frames.next_if(|(of, _)| of <= lsn) {
                replay(&mut shard, *lsn, frame);
            }
            replay(&mut shard, *lsn, body);
            visit(*lsn, &shard);
        }
        frames.for_each(|(lsn, frame)| replay(&mut shard, *lsn, frame));
        shard
    }

    /// The newest checkpoint and the log from there on make the same shard.
    pub(crate) fn check_merged(&self) -> Result<(), String> {
        let Some(merged) = self.merged() else { return Ok(()) };
        let fault = |why| format!("from a checkpoint: {why}");
        merged.check().map_err(fault)?;
        same(&self.dump(&self.shard), &self.dump(&merged)).map_err(fault)
    }

    /// So it is after a crash behind any record since it was whole.
    pub(super) fn check_merged_prefixes(&self) -> Result<(), String> {
        let Some(saved) = &self.checkpoints.whole else { return Ok(()) };
        let mut verdict = Ok(());
        self.merge(saved, |lsn, shard| {
            if verdict.is_ok()
                && let Some(dump) = self.dump_after(lsn).filter(|_| lsn >= saved.through)
            {
                let crash = |why| format!("from a checkpoint, after a crash behind record {lsn}: {why}");
                verdict = shard.check().and_then(|()| same(dump, &self.dump(shard))).map_err(crash);
            }
        });
        verdict
    }
}
