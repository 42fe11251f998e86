//! A group at work: where it claims, its slots, its dispatcher and its reports.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use stanchion_client::Sources;
use tokio::sync::watch;

use crate::config;
use crate::dispatch::Dispatch;
use crate::handler::Handler;
use crate::outbox::Outbox;
use crate::pulse::Pulse;
use crate::slots::{Slots, Tier};

/// One `[groups.NAME]`, or one in-process handler.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) slots: Arc<Slots>,
    pub(crate) outbox: Outbox,
    /// What its claimer goes by; none when the group is to leave. A job goes on under what it was claimed with.
    pub(crate) work: watch::Sender<Option<Arc<Work>>>,
    /// Of its claims.
    pub(crate) pulse: Pulse,
    /// Its claims found the server gone.
    pub(crate) is_away: AtomicBool,
}

/// Where a group claims, and how its jobs are done.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) dispatch: Dispatch,
    /// All its queues.
    pub(crate) all: Sources,
    /// The same in two parts, when some have a low priority.
    pub(crate) tiers: Option<Tiers>,
}

/// A group's queues by priority.
#[derive(Debug)]
pub(crate) struct Tiers {
    pub(crate) normal: Sources,
    pub(crate) low: Sources,
    low_globs: Vec<String>,
}

impl Group {
    pub(crate) fn from_config(group: &config::Group) -> Group {
        let dispatch = Dispatch::from_config(group.dispatcher.clone(), group.slots);
        let slots = Slots::new(group.slots, group.low_share());
        Group::new(group.name.clone(), slots, Work::from_config(group, dispatch))
    }

    pub(crate) fn of_handler(queues: String, slots: u32, handler: Handler) -> Group {
        let all = Sources::Match { globs: vec![queues.clone()], except: Vec::new() };
        let work = Work { dispatch: Dispatch::Handler(handler), all, tiers: None };
        Group::new(queues, Slots::new(slots, None), work)
    }

    fn new(name: String, slots: Arc<Slots>, work: Work) -> Group {
        Group {
            name,
            slots,
            outbox: Outbox::default(),
            work: watch::Sender::new(Some(Arc::new(work))),
            pulse: Pulse::default(),
            is_away: AtomicBool::new(false),
        }
    }

    /// Goes on under another configuration. A dispatcher that stays the same keeps its long-lived workers.
    pub(crate) fn change(&self, old: &config::Group, new: &config::Group) {
        self.slots.resize(new.slots, new.low_share());
        // Sent even if only the slots have changed: the claim that waits asks for as many as were free.
        self.work.send_modify(|work| {
            let kept = work.as_ref().filter(|_| old.dispatcher == new.dispatcher);
            let dispatch = match kept {
                Some(work) => {
                    work.dispatch.resize(new.slots);
                    work.dispatch.clone()
                }
                None => Dispatch::from_config(new.dispatcher.clone(), new.slots),
            };
            *work = Some(Arc::new(Work::from_config(new, dispatch)));
        });
    }

    /// Claims nothing more; what runs may end.
    pub(crate) fn leave(&self) {
        self.work.send_replace(None);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.work.borrow().is_none()
    }
}

impl Work {
    fn from_config(group: &config::Group, dispatch: Dispatch) -> Work {
        let low = group.low_priority.as_ref();
        let tiers = low.map(|low| Tiers::new(&group.include, &group.exclude, low.queues.clone()));
        Work { dispatch, all: sources(group), tiers }
    }

    /// Which of the slots a job of this queue counts against.
    pub(crate) fn tier(&self, queue: &[u8]) -> Tier {
        let is_low = |tiers: &Tiers| {
            tiers.low_globs.iter().any(|glob| stanchion_protocol::glob::matches(glob.as_bytes(), queue))
        };
        if self.tiers.as_ref().is_some_and(is_low) { Tier::Low } else { Tier::Normal }
    }
}

/// All queues of a group.
pub(crate) fn sources(group: &config::Group) -> Sources {
    let low = group.low_priority.iter().flat_map(|low| &low.queues);
    let globs = group.include.iter().chain(low).cloned().collect();
    Sources::Match { globs, except: group.exclude.clone() }
}

impl Tiers {
    fn new(include: &[String], exclude: &[String], low_globs: Vec<String>) -> Tiers {
        let except = exclude.iter().chain(&low_globs).cloned().collect();
        Tiers {
            normal: Sources::Match { globs: include.to_vec(), except },
            low: Sources::Match { globs: low_globs.clone(), except: exclude.to_vec() },
            low_globs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn tiers_split_the_queues_without_overlap() {
        let text = "[server]\nurl='redis://h'\n[groups.g]\nslots=4\ninclude=['*']\nexclude=['video']\n\
                    low-priority=['refresh*']\nlow-priority-share=0.5\ndispatcher='d'\n\
                    [dispatchers.d]\nkind='exec'\ncommand=['true']";
        let config = Config::parse("f", text).unwrap();
        let group = Group::from_config(&config.groups[0]);
        let work = group.work.borrow().clone().unwrap();
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let tiers = work.tiers.as_ref().unwrap();
        assert_eq!(
            tiers.normal,
            Sources::Match { globs: words(&["*"]), except: words(&["video", "refresh*"]) }
        );
        assert_eq!(tiers.low, Sources::Match { globs: words(&["refresh*"]), except: words(&["video"]) });
        assert_eq!(work.all, Sources::Match { globs: words(&["*", "refresh*"]), except: words(&["video"]) });
        assert_eq!(work.tier(b"refreshLinks"), Tier::Low);
        assert_eq!(work.tier(b"emails"), Tier::Normal);
    }
}
