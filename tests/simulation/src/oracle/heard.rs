//! What job events tell: in which order things happen to a job, and that what was told of is on disk.

use std::collections::BTreeMap;

use stanchion_storage::Durability;

use super::effects::Moment;
use super::{Oracle, is_unknown};
use crate::wire::Reply;

/// What was heard of the jobs of one queue.
#[derive(Default)]
pub(super) struct Heard {
    /// What became of each in this life, by its id.
    stages: BTreeMap<String, Stage>,
    /// Those of earlier lives that are on disk: whether a job was pushed, and is gone.
    kept: BTreeMap<String, Kept>,
}

#[derive(Clone, Copy, Default)]
struct Kept {
    pushed: bool,
    gone: bool,
}

/// Where a job stands, as far as was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Waiting,
    Claimed,
    Lapsed,
    Dead,
    /// It will never be seen again, since this moment.
    Gone(Moment),
}

impl Stage {
    /// Where it stands after an event; `None` when that can't happen to it.
    fn after(self, event: &str, now: Moment) -> Option<Stage> {
        use Stage::*;
        Some(match (self, event) {
            (Waiting | Lapsed, "replaced") | (Waiting | Lapsed | Dead, "requeued") => Waiting,
            (Waiting | Lapsed, "claimed") => Claimed,
            (Claimed, "retried" | "released") => Waiting,
            (Claimed, "lapsed") => Lapsed,
            (Claimed | Lapsed, "died") => Dead,
            (Claimed, "acked")
            | (Waiting | Claimed | Lapsed, "superseded")
            | (Waiting | Lapsed, "expired")
            | (Waiting | Claimed | Lapsed | Dead, "deleted")
            | (Dead, "forgotten") => Gone(now),
            _ => return None,
        })
    }

    /// Where a job stands of which nothing was heard before.
    fn first(event: &str, now: Moment) -> Option<Stage> {
        let all = [Stage::Waiting, Stage::Claimed, Stage::Lapsed, Stage::Dead];
        if event == "pushed" {
            Some(Stage::Waiting)
        } else {
            all.iter().find_map(|stage| stage.after(event, now))
        }
    }
}

impl Heard {
    /// Another life begins, in which events are heard anew.
    pub(super) fn end_life(&mut self, are_kept: bool) {
        for (id, stage) in std::mem::take(&mut self.stages) {
            if are_kept {
                self.kept.entry(id).or_default().gone |= matches!(stage, Stage::Gone(_));
            }
        }
    }

    /// Whether a job can be there as somebody sees who asked at this moment.
    pub(super) fn check(&self, id: &str, sent: Moment) -> Result<(), String> {
        if self.kept.get(id).is_some_and(|kept| kept.gone) {
            return Err(
                "it is there, although an event said that it is gone, and that was on disk".to_owned()
            );
        }
        match self.stages.get(id) {
            Some(Stage::Gone(since)) if since.seq < sent.seq => {
                Err(format!("it is there, although an event said at {} that it is gone", since.ms))
            }
            _ => Ok(()),
        }
    }

    /// The jobs whose push was told of, and is on disk.
    pub(super) fn pushed(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().filter(|(_, kept)| kept.pushed).map(|(id, _)| id.as_str())
    }
}

impl Oracle {
    /// Somebody who listens to job events was sent a message.
    pub(crate) fn heard(&mut self, message: &Reply, now_ms: u64) -> Result<(), String> {
        if is_unknown(message) {
            // The log has failed, and the connection ends.
            return Ok(());
        }
        let [kind, _, channel, words] = message.array()? else { return Ok(()) };
        let (channel, words) = (channel.text()?, words.text()?);
        let tell = |problem: &str| format!("the event '{words}' on {channel}: {problem}");
        let name =
            channel.strip_prefix("__job__:").filter(|_| kind.text().is_ok_and(|kind| kind == "pmessage"));
        let queue = name.and_then(|name| self.plan.queues.iter().position(|queue| queue.name == name));
        let queue = queue.ok_or_else(|| tell("of no queue"))?;
        let mut each = words.split(' ');
        let (Some(event), Some(id)) = (each.next(), each.next()) else { return Err(tell("without a job")) };
        let now = self.moment(now_ms);
        let is_kept = self.plan.durability == Durability::Always;
        let heard = &mut self.books[queue].heard;
        heard.check(id, now).map_err(|problem| tell(&problem))?;
        let before = heard.stages.get(id).copied();
        let stage = match before {
            Some(stage) => stage.after(event, now),
            None => Stage::first(event, now),
        };
        let stage = stage.ok_or_else(|| tell(&format!("of a job that is {before:?}")))?;
        heard.stages.insert(id.to_owned(), stage);
        if is_kept && event == "pushed" {
            heard.kept.entry(id.to_owned()).or_default().pushed = true;
        }
        Ok(())
    }
}
