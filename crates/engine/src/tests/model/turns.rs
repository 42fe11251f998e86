//! Whose turn it is: a group that gets its first claimable job joins the end, a claim takes the front.
//!
//! What one tick makes claimable joins in no particular order, so the turn is a list of sets: a claim takes
//! any group of the first one. The engine finds out lazily that a group is at its cap, or that all of its
//! ready jobs are superseded: such a group lingers. When it is claimable again it may have kept its place, so
//! it floats until it is claimed.

use stanchion_protocol::command::State;

use super::Queue;

type Group = Vec<u8>;

/// The order of turns between the groups of a queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    line: Vec<Vec<Group>>,
    floating: Vec<Group>,
    lingering: Vec<Group>,
}

impl Turns {
    /// The group may be the next one.
    pub(crate) fn may_be_next(&self, group: &[u8]) -> bool {
        let front = self.line.first().into_iter().flatten();
        front.chain(&self.floating).any(|next| next == group)
    }

    /// It has had its turn: when it is still claimable, it joins the end.
    pub(crate) fn took_turn(&mut self, group: &[u8]) {
        self.leave(group);
    }

    /// Where it stands is the engine's to know from here on.
    pub(crate) fn float(&mut self, group: &[u8]) {
        let stands = self.line.iter().flatten().any(|other| other == group);
        if stands {
            self.leave(group);
            self.floating.push(group.to_vec());
        }
    }

    /// A restart keeps no order.
    pub(crate) fn forget(&mut self) {
        self.floating.extend(self.line.drain(..).flatten());
    }

    fn leave(&mut self, group: &[u8]) {
        for set in &mut self.line {
            set.retain(|other| other != group);
        }
        self.line.retain(|set| !set.is_empty());
        self.floating.retain(|other| other != group);
    }
}

impl Queue {
    /// Groups with a job that can be claimed, cap considered.
    pub(crate) fn claimable_groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.jobs.iter().map(|job| job.group.clone()).collect();
        groups.sort();
        groups.dedup();
        groups.retain(|group| self.first_of(group).is_some() && !self.group_at_cap(group));
        groups
    }

    pub(crate) fn group_at_cap(&self, group: &[u8]) -> bool {
        let claimed =
            self.jobs.iter().filter(|job| job.state == State::Claimed && job.group == group).count();
        self.settings.group_concurrency != 0 && claimed as u64 >= self.settings.group_concurrency
    }

    /// Brings the line up to date after a change.
    pub(crate) fn refresh_turns(&mut self) {
        let claimable = self.claimable_groups();
        let turns = &mut self.turns;
        let standing: Vec<Group> = turns.line.iter().flatten().chain(&turns.floating).cloned().collect();
        for group in standing.iter().filter(|group| !claimable.contains(group)) {
            turns.leave(group);
        }
        let joining = claimable.iter().filter(|group| !standing.contains(group)).cloned();
        let (returning, joining): (Vec<Group>, Vec<Group>) =
            joining.partition(|group| turns.lingering.contains(group));
        turns.floating.extend(returning);
        if !joining.is_empty() {
            turns.line.push(joining);
        }
        let ready = self.jobs.iter().filter(|job| job.state == State::Ready).map(|job| &job.group);
        self.turns.lingering = ready.filter(|group| !claimable.contains(group)).cloned().collect();
    }
}
