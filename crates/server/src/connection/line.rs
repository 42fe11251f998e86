//! The line in which those connections of a thread stand that have much to do.
//!
//! A runtime polls all tasks that are ready before it looks at its sockets again. With four clients that always have
//! more to do, a command of a fifth would wait for a long turn of each of them. In this line one of them has its turn,
//! then the sockets are looked at and whoever has little to do has it done, and then comes the next: a command waits
//! for one long turn, and nobody in the line waits for more than one turn of each of the others in it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line { places: VecDeque::new(), next: 0 }) };
}

/// Those who stand in it, the first in front.
struct Line {
    places: VecDeque<(u64, Waker)>,
    /// The number of whoever comes next.
    next: u64,
}

/// A place in the line; whoever drops it lets the next one move up.
struct Place(u64);

/// Waits until it is this connection's turn.
pub(super) async fn stand() {
    let mut place = None;
    poll_fn(|cx| {
        let number = place.get_or_insert_with(Place::take).0;
        let is_first = LINE.with_borrow_mut(|line| line.is_first(number, cx.waker()));
        if is_first { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    // The first gives way once to those who are not in the line. Then it leaves, so that the next one gives way, too,
    // while this one has its turn.
    tokio::task::yield_now().await;
}

impl Place {
    /// The last place; its waker comes with the first look.
    fn take() -> Place {
        LINE.with_borrow_mut(|line| {
            line.next += 1;
            line.places.push_back((line.next, Waker::noop().clone()));
            Place(line.next)
        })
    }
}

impl Line {
    /// Whether it is in front; if not, it is woken once it is.
    fn is_first(&mut self, number: u64, waker: &Waker) -> bool {
        let at = self.find(number).expect("a place is in the line until it is dropped");
        self.places[at].1.clone_from(waker);
        at == 0
    }

    /// Who came later has a higher number and stands behind.
    fn find(&self, number: u64) -> Option<usize> {
        self.places.binary_search_by_key(&number, |(place, _)| *place).ok()
    }

    /// Takes a place out; gives the waker of whoever is first now, if that is somebody else than before.
    fn leave(&mut self, number: u64) -> Option<Waker> {
        let at = self.find(number)?;
        self.places.remove(at);
        let first = self.places.front().filter(|_| at == 0);
        first.map(|(_, waker)| waker.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let first = LINE.with_borrow_mut(|line| line.leave(self.0));
        if let Some(waker) = first {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::runtime::Builder;
    use tokio::task::{LocalSet, yield_now};

    use super::*;

    /// Runs tasks that write their names each time they have their turn, until `turns` are written.
    fn turns_of(long: &[char], short: &[char], turns: usize) -> String {
        let runtime = Builder::new_current_thread().build().unwrap();
        let written = Rc::new(RefCell::new(String::new()));
        let local = LocalSet::new();
        for (names, is_long) in [(long, true), (short, false)] {
            for name in names.iter().copied() {
                let written = Rc::clone(&written);
                local.spawn_local(async move {
                    loop {
                        if is_long {
                            stand().await
                        } else {
                            yield_now().await
                        }
                        written.borrow_mut().push(name);
                    }
                });
            }
        }
        let watched = Rc::clone(&written);
        local.block_on(&runtime, async move {
            while watched.borrow().len() < turns {
                yield_now().await;
            }
        });
        drop(local);
        Rc::into_inner(written).unwrap().into_inner()
    }

    #[test]
    fn with_each_turn_of_those_in_the_line_everybody_else_has_one() {
        let turns = turns_of(&['A', 'B', 'C'], &['x', 'y'], 60);
        let long: String = turns.chars().filter(|name| name.is_uppercase()).collect();
        assert!(long.starts_with("ABCABCABC"), "{turns}");
        for (nth, (at, _)) in turns.match_indices(|name: char| name.is_uppercase()).enumerate() {
            for short in ['x', 'y'] {
                // All that are ready in the same round may come in any order.
                assert!(turns[..at].matches(short).count() >= nth, "{turns}");
            }
        }
    }

    #[test]
    fn whoever_is_alone_goes_on() {
        assert_eq!(&turns_of(&['A'], &[], 5)[..5], "AAAAA");
    }

    #[test]
    fn who_goes_away_lets_the_next_move_up() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut cx = std::task::Context::from_waker(Waker::noop());
            let mut all: Vec<_> = (0..3).map(|_| Box::pin(stand())).collect();
            for one in &mut all {
                assert!(one.as_mut().poll(&mut cx).is_pending());
            }
            // The first gives way once, and then those who are left, in their order.
            drop(all.remove(1));
            assert!(all[1].as_mut().poll(&mut cx).is_pending());
            drop(all.remove(0));
            assert!(all[0].as_mut().poll(&mut cx).is_pending(), "it gives way once");
            assert!(all[0].as_mut().poll(&mut cx).is_ready());
        });
        assert!(LINE.with_borrow(|line| line.places.is_empty()));
    }
}
