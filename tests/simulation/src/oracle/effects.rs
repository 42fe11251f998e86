//! What commands have done, as far as replies tell: done for certain, perhaps, or lost in a crash.
//!
//! The log is one, so what it keeps is a beginning of what was done. If anything survived a crash that was asked for
//! after a reply was there, then what that reply told has survived, too. That is how far the *horizon* of a life is:
//! all that was known before it is kept.

/// The place of an event in the order of all sends and replies.
pub(crate) type Seq = u64;

/// A place in that order, with its time in Unix milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    pub(crate) seq: Seq,
    pub(crate) ms: u64,
}

/// The name of an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EffectId(usize);

/// What a request does, all of it or nothing.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    pub(super) life: usize,
    pub(super) sent: Moment,
    pub(super) replied: Option<Moment>,
    /// When it was first known that it happened.
    known: Option<Seq>,
    /// Whether no crash may undo it.
    promised: bool,
    /// A crash has undone it.
    lost: bool,
}

/// What is known of an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    Certain,
    Perhaps,
    Lost,
}

/// All effects of a run.
pub(super) struct Effects {
    list: Vec<Effect>,
    /// For each life: what was known up to here is kept.
    horizons: Vec<Seq>,
}

impl Effects {
    pub(super) fn new() -> Effects {
        Effects { list: Vec::new(), horizons: vec![0] }
    }

    /// The number of the life that goes on.
    pub(super) fn life(&self) -> usize {
        self.horizons.len() - 1
    }

    pub(super) fn get(&self, id: EffectId) -> &Effect {
        &self.list[id.0]
    }

    /// Something was asked for.
    pub(super) fn sent(&mut self, sent: Moment) -> EffectId {
        let life = self.life();
        self.list.push(Effect { life, sent, replied: None, known: None, promised: false, lost: false });
        EffectId(self.list.len() - 1)
    }

    /// The same effect once more, about which nothing that is told of the other says anything.
    pub(super) fn split(&mut self, id: EffectId) -> EffectId {
        self.list.push(Effect { replied: None, known: None, promised: false, ..self.list[id.0].clone() });
        EffectId(self.list.len() - 1)
    }

    /// A reply says that it has happened.
    pub(super) fn replied(&mut self, id: EffectId, now: Moment) {
        let effect = &mut self.list[id.0];
        effect.replied = Some(now);
        effect.known.get_or_insert(now.seq);
    }

    /// It waited for the disk, and with it all that was done before.
    pub(super) fn promise(&mut self, id: EffectId) {
        let Effect { life, sent, .. } = self.list[id.0];
        self.list[id.0].promised = true;
        self.keep(life, sent.seq);
    }

    /// All that was known in a life up to here is kept.
    pub(super) fn keep(&mut self, life: usize, until: Seq) {
        self.horizons[life] = self.horizons[life].max(until);
    }

    /// The newest thing that was known at that time of this life.
    pub(super) fn known_by(&self, ms: u64) -> Seq {
        let life = self.life();
        let replies =
            self.list.iter().filter(|effect| effect.life == life).filter_map(|effect| effect.replied);
        replies.filter(|replied| replied.ms <= ms).map(|replied| replied.seq).max().unwrap_or(0)
    }

    /// What can be seen shows that it has happened.
    pub(super) fn happened(&mut self, id: EffectId, now: Moment) -> Result<(), String> {
        let current = self.life();
        let effect = &mut self.list[id.0];
        if effect.lost {
            return Err("what a crash had undone is there again, or a command was done by half".to_owned());
        }
        effect.known.get_or_insert(now.seq);
        if effect.life < current {
            self.promise(id);
        }
        Ok(())
    }

    /// What can be seen shows that a crash has undone it, if it ever happened.
    pub(super) fn lose(&mut self, id: EffectId) -> Result<(), String> {
        if self.status(id) == Status::Certain {
            return Err("what no crash may undo was undone".to_owned());
        }
        self.list[id.0].lost = true;
        Ok(())
    }

    pub(super) fn status(&self, id: EffectId) -> Status {
        let effect = &self.list[id.0];
        if effect.lost {
            return Status::Lost;
        }
        let is_kept =
            |known| effect.promised || effect.life == self.life() || self.horizons[effect.life] >= known;
        if effect.known.is_some_and(is_kept) { Status::Certain } else { Status::Perhaps }
    }

    /// Whether it was certain before this moment.
    pub(super) fn is_certain_before(&self, id: EffectId, moment: Moment) -> bool {
        let is_before = self.get(id).replied.is_some_and(|replied| replied.seq < moment.seq);
        is_before && self.status(id) == Status::Certain
    }

    /// The server is gone; `in_order` if it had the time to write everything.
    pub(super) fn end_life(&mut self, in_order: bool) {
        let life = self.life();
        if in_order {
            self.keep(life, Seq::MAX);
        }
        self.horizons.push(0);
    }

    /// Whether what was lost is newer than what was kept.
    pub(super) fn check_order(&self) -> Result<(), String> {
        for effect in self.list.iter().filter(|effect| effect.lost) {
            if effect.known.is_some_and(|known| self.horizons[effect.life] >= known) {
                let sent = effect.sent;
                return Err(format!("what was asked for at {sent:?} was lost, and something later was kept"));
            }
        }
        Ok(())
    }
}
