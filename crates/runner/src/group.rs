//! A group at work: where it claims, its slots, its dispatcher and its reports.

use std::sync::Arc;

use stanchion_client::Sources;

use crate::config;
use crate::dispatch::Dispatch;
use crate::handler::Handler;
use crate::outbox::Outbox;
use crate::slots::{Slots, Tier};

/// One `[groups.NAME]`, or one in-process handler.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) slots: Arc<Slots>,
    pub(crate) outbox: Outbox,
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
    pub(crate) fn from_config(group: config::Group) -> Group {
        let share = group.low_priority.as_ref().map(|low| low.share);
        let tiers = group.low_priority.map(|low| Tiers::new(&group.include, &group.exclude, low.queues));
        let low_globs = tiers.iter().flat_map(|tiers| tiers.low_globs.iter());
        let globs = group.include.iter().chain(low_globs).cloned().collect();
        Group {
            name: group.name,
            slots: Slots::new(group.slots, share),
            outbox: Outbox::default(),
            dispatch: Dispatch::from_config(group.dispatcher),
            all: Sources::Match { globs, except: group.exclude },
            tiers,
        }
    }

    pub(crate) fn of_handler(queues: String, slots: u32, handler: Handler) -> Group {
        Group {
            name: queues.clone(),
            slots: Slots::new(slots, None),
            outbox: Outbox::default(),
            dispatch: Dispatch::Handler(handler),
            all: Sources::Match { globs: vec![queues], except: Vec::new() },
            tiers: None,
        }
    }

    /// Which of the slots a job of this queue counts against.
    pub(crate) fn tier(&self, queue: &[u8]) -> Tier {
        let is_low = |tiers: &Tiers| {
            tiers.low_globs.iter().any(|glob| stanchion_protocol::glob::matches(glob.as_bytes(), queue))
        };
        if self.tiers.as_ref().is_some_and(is_low) { Tier::Low } else { Tier::Normal }
    }
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
        let group = Group::from_config(config.groups[0].clone());
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let tiers = group.tiers.as_ref().unwrap();
        assert_eq!(
            tiers.normal,
            Sources::Match { globs: words(&["*"]), except: words(&["video", "refresh*"]) }
        );
        assert_eq!(tiers.low, Sources::Match { globs: words(&["refresh*"]), except: words(&["video"]) });
        assert_eq!(group.all, Sources::Match { globs: words(&["*", "refresh*"]), except: words(&["video"]) });
        assert_eq!(group.tier(b"refreshLinks"), Tier::Low);
        assert_eq!(group.tier(b"emails"), Tier::Normal);
    }
}
