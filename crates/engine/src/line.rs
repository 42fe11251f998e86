//! A line of queues: each stands in it once at most, joins at the end, and leaves from wherever it stands.
//!
//! It is a list through the queues themselves, so that nobody is searched for: a shard may have very many queues, and
//! any of them may be deleted.

use crate::slab::NONE;

/// The lines of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Queues that may have something for their waiters.
    Attention,
    /// Queues with ready jobs, in turn, for claims over several.
    Turn,
    /// Queues with superseded jobs to drop.
    Stale,
}

/// How many lines there are.
const KINDS: usize = 3;

#[derive(Debug)]
pub(crate) struct Line {
    kind: Kind,
    front: u32,
    back: u32,
}

/// Where a queue stands in each line.
#[derive(Debug, Default)]
pub(crate) struct Places([Place; KINDS]);

#[derive(Clone, Copy, Debug)]
struct Place {
    before: u32,
    after: u32,
    stands: bool,
}

/// Whoever knows the places of all queues.
pub(crate) trait HavePlaces {
    fn places(&self, ix: u32) -> &Places;
    fn places_mut(&mut self, ix: u32) -> &mut Places;
}

impl Line {
    pub(crate) fn new(kind: Kind) -> Line {
        Line { kind, front: NONE, back: NONE }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.front == NONE
    }

    pub(crate) fn front(&self) -> Option<u32> {
        (self.front != NONE).then_some(self.front)
    }

    /// The queue behind one of the line, or the front behind `NONE`.
    pub(crate) fn after(&self, queues: &impl HavePlaces, ix: u32) -> Option<u32> {
        let after = if ix == NONE { self.front } else { queues.places(ix).0[self.kind as usize].after };
        (after != NONE).then_some(after)
    }

    pub(crate) fn iter(&self, queues: &impl HavePlaces) -> impl Iterator<Item = u32> {
        std::iter::successors(self.front(), move |&ix| self.after(queues, ix))
    }

    /// Puts a queue at the end, unless it stands in the line.
    pub(crate) fn join(&mut self, queues: &mut impl HavePlaces, ix: u32) {
        if queues.places(ix).stands_in(self.kind) {
            return;
        }
        *self.place(queues, ix) = Place { before: self.back, after: NONE, stands: true };
        match self.back {
            NONE => self.front = ix,
            back => self.place(queues, back).after = ix,
        }
        self.back = ix;
    }

    /// Takes a queue out, if it stands in the line.
    pub(crate) fn leave(&mut self, queues: &mut impl HavePlaces, ix: u32) {
        let Place { before, after, stands } = std::mem::take(self.place(queues, ix));
        if !stands {
            return;
        }
        match before {
            NONE => self.front = after,
            before => self.place(queues, before).after = after,
        }
        match after {
            NONE => self.back = before,
            after => self.place(queues, after).before = before,
        }
    }

    fn place<'a>(&self, queues: &'a mut impl HavePlaces, ix: u32) -> &'a mut Place {
        &mut queues.places_mut(ix).0[self.kind as usize]
    }
}

impl Places {
    #[inline]
    pub(crate) fn stands_in(&self, kind: Kind) -> bool {
        self.0[kind as usize].stands
    }
}

impl Default for Place {
    fn default() -> Self {
        Place { before: NONE, after: NONE, stands: false }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Queues that count how often they are looked at.
    struct Counted {
        places: Vec<Places>,
        looks: Cell<usize>,
    }

    impl HavePlaces for Counted {
        fn places(&self, ix: u32) -> &Places {
            self.looks.set(self.looks.get() + 1);
            &self.places[ix as usize]
        }

        fn places_mut(&mut self, ix: u32) -> &mut Places {
            self.looks.set(self.looks.get() + 1);
            &mut self.places[ix as usize]
        }
    }

    fn line_of(count: u32) -> (Line, Counted) {
        let places = (0..count).map(|_| Places::default()).collect();
        let (mut line, mut queues) = (Line::new(Kind::Turn), Counted { places, looks: Cell::default() });
        (0..count).for_each(|ix| line.join(&mut queues, ix));
        (line, queues)
    }

    #[test]
    fn whoever_leaves_is_not_searched_for() {
        let (mut line, mut queues) = line_of(10_000);
        queues.looks.set(0);
        for ix in [5_000, 0, 9_999] {
            line.leave(&mut queues, ix);
        }
        assert!(
            queues.looks.get() <= 9,
            "{} looks: itself and its neighbours, each time",
            queues.looks.get()
        );
        assert_eq!(line.iter(&queues).count(), 9_997);
    }

    #[test]
    fn all_stand_once_and_in_the_order_in_which_they_joined() {
        let (mut line, mut queues) = line_of(5);
        line.join(&mut queues, 2);
        [1, 4, 0, 4].iter().for_each(|&ix| line.leave(&mut queues, ix));
        assert!(line.iter(&queues).eq([2, 3]));
        [2, 1].iter().for_each(|&ix| line.join(&mut queues, ix));
        assert!(line.iter(&queues).eq([2, 3, 1]));
        [2, 3, 1].iter().for_each(|&ix| line.leave(&mut queues, ix));
        assert!(line.is_empty() && line.front().is_none());
        line.join(&mut queues, 4);
        assert!(line.iter(&queues).eq([4]));
    }
}
