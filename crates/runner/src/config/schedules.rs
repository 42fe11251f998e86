//! `[schedules.NAME]`: jobs that are pushed at certain times.

use jiff::tz::TimeZone;

use super::problem::Problems;
use super::section::{KeySpec, Section};
use crate::limits;
use crate::ticks::{self, Ticks};

/// `[schedules.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// NAME.
    pub name: String,
    /// When it is due.
    pub ticks: Ticks,
    /// Where its jobs go.
    pub queue: String,
    /// What they hold.
    pub payload: String,
    /// What becomes of a time at which no runner was there.
    pub missed: Missed,
}

/// What becomes of a time at which no runner could push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// The newest one is caught up as soon as a runner can.
    Once,
    /// It is left out.
    Skip,
}

const KEYS: &[KeySpec] = &[
    KeySpec::here("cron"),
    KeySpec::here("timezone"),
    KeySpec::here("queue"),
    KeySpec::here("payload"),
    KeySpec::here("missed"),
];

pub(super) fn all(top: &mut Section<'_>, problems: &mut Problems) -> Vec<Schedule> {
    let sections = top.sections("schedules", problems);
    sections.into_iter().filter_map(|(name, section)| schedule(name, section, problems)).collect()
}

fn schedule(name: String, section: Section<'_>, problems: &mut Problems) -> Option<Schedule> {
    section.refuse_unknown(KEYS, problems);
    if name.is_empty() || name.len() > limits::SCHEDULE_NAME_BYTES_MAX {
        let instead = format!("write 1 to {} bytes", limits::SCHEDULE_NAME_BYTES_MAX);
        problems.add(section.at(), "this name of a schedule can't be used", instead);
        return None;
    }
    let zone = zone(&section, problems);
    let expression = section.required_text("cron", "cron = \"30 2 * * *\"", problems);
    let ticks = expression.and_then(|expression| ticks_of(&section, expression, zone.clone(), problems));
    let queue = section.required_text("queue", "queue = \"QUEUE\"", problems);
    let queue = queue.filter(|queue| {
        let is_name = !queue.is_empty() && queue.len() <= limits::NAME_BYTES_MAX;
        if !is_name {
            let instead = format!("write 1 to {} bytes", limits::NAME_BYTES_MAX);
            problems.add(section.value_at("queue"), "this is no name of a queue", instead);
        }
        is_name
    });
    let payload = section.required_text("payload", "payload = \"…\", what the job holds", problems);
    let missed = match section.text("missed", problems) {
        None if section.has("missed") => None,
        None | Some("skip") => Some(Missed::Skip),
        Some("once") => Some(Missed::Once),
        Some(other) => {
            let what = format!("\"{other}\" is nothing that can become of a missed time");
            problems.add(section.value_at("missed"), what, "write \"once\" or \"skip\"");
            None
        }
    };
    Some(Schedule {
        name,
        ticks: ticks?,
        queue: queue?.to_owned(),
        payload: payload?.to_owned(),
        missed: missed?,
    })
}

fn zone(section: &Section<'_>, problems: &mut Problems) -> Option<TimeZone> {
    if !section.has("timezone") {
        return Some(TimeZone::UTC);
    }
    let name = section.text("timezone", problems)?;
    match ticks::zone(name) {
        Ok(zone) => Some(zone),
        Err(near) => {
            let instead = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => {
                    "write a name of the time zone database, as in \"Europe/Berlin\" or \"UTC\"".to_owned()
                }
            };
            let what = format!("there is no time zone \"{name}\"");
            problems.add(section.value_at("timezone"), what, instead);
            None
        }
    }
}

fn ticks_of(
    section: &Section<'_>,
    expression: &str,
    zone: Option<TimeZone>,
    problems: &mut Problems,
) -> Option<Ticks> {
    let at = section.value_at("cron");
    // Whatever the zone, so that both mistakes are found.
    let ticks = match Ticks::new(expression, zone.clone().unwrap_or(TimeZone::UTC)) {
        Ok(ticks) => ticks,
        Err(why) => {
            let what = format!("\"{expression}\" is not a cron expression: {why}");
            problems.add(at, what, "write minute, hour, day, month and weekday, as in \"30 2 * * *\"");
            return None;
        }
    };
    if ticks.next_after(0).is_none() {
        let what = format!("\"{expression}\" is never due");
        problems.add(at, what, "write a date that some year has");
        return None;
    }
    zone.map(|_| ticks)
}
