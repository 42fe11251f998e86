//! Values: durations, globs, slots and addresses, each checked where it stands.

use std::net::SocketAddr;
use std::time::Duration;

use toml::de::DeValue;

use super::LowPriority;
use super::problem::Problems;
use super::section::{Section, kind_of};
use crate::limits;

/// `250ms`, `30s`, `5m`, `1h`, `7d`.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let ms_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(ms_per_unit)?))
}

/// `512MiB`, `2GiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let bytes_per_unit = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(bytes_per_unit)
}

/// A duration as one writes it.
pub(crate) fn show(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.into_iter().find(|(size, _)| ms > 0 && ms.is_multiple_of(*size));
    whole.map_or_else(|| format!("{ms}ms"), |(size, unit)| format!("{}{unit}", ms / size))
}

/// `[runner] name` or `version`.
pub(super) fn name(section: &Section<'_>, key: &str, name: &str, problems: &mut Problems) -> Option<String> {
    if name.is_empty() || name.len() > limits::NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let instead = format!("write 1 to {} bytes of text", limits::NAME_BYTES_MAX);
        problems.add(section.value_at(key), format!("this {key} can't be used"), instead);
        return None;
    }
    Some(name.to_owned())
}

/// `[runner] http`, if it is there. The outer `None` is a problem.
pub(super) fn http(section: &Section<'_>, problems: &mut Problems) -> Option<Option<SocketAddr>> {
    if !section.has("http") {
        return Some(None);
    }
    let text = section.text("http", problems)?;
    let address = text.parse().ok();
    if address.is_none() {
        let what = format!("\"{text}\" is not an address to listen on");
        problems.add(section.value_at("http"), what, "write IP:PORT, as in http = \"127.0.0.1:7381\"");
    }
    address.map(Some)
}

/// `slots`.
pub(super) fn slots(section: &mut Section<'_>, problems: &mut Problems) -> Option<u32> {
    let instead = format!("write slots = 1 to {}", limits::SLOTS_MAX);
    let Some(value) = section.value("slots") else {
        problems.add_missing(section, "the key \"slots\"", &instead);
        return None;
    };
    let slots = value.get_ref().as_integer().and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
    let slots = slots.filter(|n| (1..=limits::SLOTS_MAX).contains(n));
    if slots.is_none() {
        problems.add(value.span().start, "\"slots\" is not a number of slots", instead);
    }
    slots
}

/// A list of globs over queue names that is not empty.
pub(super) fn globs(section: &mut Section<'_>, key: &str, problems: &mut Problems) -> Option<Vec<String>> {
    let value = section.value(key)?;
    let example = format!("write {key} = [\"…\"]");
    let DeValue::Array(items) = value.get_ref() else {
        let what = format!("\"{key}\" is {}, not a list of queue names or globs", kind_of(value.get_ref()));
        problems.add(value.span().start, what, example);
        return None;
    };
    if items.is_empty() {
        problems.add(value.span().start, format!("\"{key}\" is empty"), format!("{example}, or remove it"));
        return None;
    }
    let mut globs = Vec::new();
    for item in items {
        match item.get_ref().as_str() {
            Some(glob) if !glob.is_empty() && glob.len() <= limits::NAME_BYTES_MAX => {
                globs.push(glob.to_owned())
            }
            _ => {
                let what = format!("\"{key}\" holds something that is no queue name or glob");
                let instead = format!("write strings of 1 to {} bytes", limits::NAME_BYTES_MAX);
                problems.add(item.span().start, what, instead);
                return None;
            }
        }
    }
    Some(globs)
}

/// `low-priority` and `low-priority-share`: both or none. The outer `None` is a problem.
pub(super) fn low_priority(
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<Option<LowPriority>> {
    let (queues_key, share_key) = ("low-priority", "low-priority-share");
    match (section.has(queues_key), section.has(share_key)) {
        (false, false) => return Some(None),
        (true, false) => {
            let what = "\"low-priority\" without \"low-priority-share\"";
            problems.add(
                section.value_at(queues_key),
                what,
                "write low-priority-share = 0.2 for a fifth of the slots",
            );
            return None;
        }
        (false, true) => {
            let what = "\"low-priority-share\" without \"low-priority\"";
            problems.add(section.value_at(share_key), what, "write low-priority = [\"QUEUE\"], or remove it");
            return None;
        }
        (true, true) => {}
    }
    let queues = globs(section, queues_key, problems);
    let value = section.value(share_key)?.get_ref();
    let share = match value {
        DeValue::Float(share) => share.as_str().parse::<f64>().ok(),
        DeValue::Integer(share) => share.as_str().parse::<f64>().ok(),
        _ => None,
    };
    let share = share.filter(|share| *share > 0.0 && *share <= 1.0);
    if share.is_none() {
        let what = "\"low-priority-share\" is not a share of the slots";
        problems.add(section.value_at(share_key), what, "write a number above 0 and up to 1, as in 0.2");
    }
    Some(Some(LowPriority { queues: queues?, share: share? }))
}
