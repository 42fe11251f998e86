//! LATENCY: what took long lately, and how long each command takes.

mod doctor;
mod graph;

use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use stanchion_protocol::{Args, CommandError, Reply};

use super::Done;
use crate::latency::Event;
use crate::turn::Turn;

/// The first bucket of a histogram ends here, in nanoseconds; each next one at twice as much. As in Redis.
const FIRST_BUCKET_NS: u64 = 1_024;

/// LATENCY LATEST.
pub(super) fn latest(turn: &mut Turn<'_, '_>) -> Done {
    let events = turn.server.latency.events();
    let mut reply = turn.reply();
    reply.array(events.len());
    for event in events {
        let last = event.samples.last().expect("events without samples are left out");
        reply.array(4);
        reply.bulk(event.name.as_bytes());
        reply.integer(last.at_secs);
        reply.integer(last.ms);
        reply.integer(event.longest_ms);
    }
    Ok(())
}

/// LATENCY HISTORY event.
pub(super) fn history(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let samples = find(turn, args.at(2)).map(|event| event.samples).unwrap_or_default();
    let mut reply = turn.reply();
    reply.array(samples.len());
    for sample in samples {
        reply.array(2);
        reply.integer(sample.at_secs);
        reply.integer(sample.ms);
    }
    Ok(())
}

/// LATENCY RESET [event ...].
pub(super) fn reset(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let names = args.skip(2);
    let is_meant = |name: &str| names.is_empty() || names.iter().any(|word| word == name.as_bytes());
    let forgotten = turn.server.latency.reset(is_meant);
    turn.reply().integer(forgotten);
    Ok(())
}

/// LATENCY GRAPH event.
pub(super) fn graph(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let Some(event) = find(turn, args.at(2)) else {
        let name = String::from_utf8_lossy(args.at(2));
        return Err(CommandError::new(format!("No samples available for event '{name}'")));
    };
    let text = graph::draw(&event, now_secs());
    turn.reply().verbatim(text.as_bytes());
    Ok(())
}

/// LATENCY DOCTOR.
pub(super) fn doctor(turn: &mut Turn<'_, '_>) -> Done {
    let text = doctor::report(&turn.server.latency.events(), turn.server.latency.threshold_ms());
    turn.reply().verbatim(text.as_bytes());
    Ok(())
}

/// LATENCY HISTOGRAM [command ...].
pub(super) fn histogram(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let wanted: Vec<_> =
        args.skip(2).iter().map(|word| String::from_utf8_lossy(word).to_ascii_lowercase()).collect();
    // A command with subcommands means all of them.
    let is_wanted = |name: &str| {
        let container = name.split('|').next().unwrap_or(name);
        wanted.is_empty() || wanted.iter().any(|word| word == name || word == container)
    };
    let mut totals = turn.server.stats.totals();
    totals.retain(|total| !total.latency.is_empty() && is_wanted(total.name));
    let mut reply = turn.reply();
    reply.map(totals.len());
    for total in totals {
        reply.bulk(total.name.as_bytes());
        write_histogram(&total.latency, &mut reply);
    }
    Ok(())
}

/// How many calls there were, and how many of them took no longer than so many microseconds.
fn write_histogram(latency: &Histogram<u32>, reply: &mut Reply<'_>) {
    reply.map(2);
    reply.bulk(b"calls");
    reply.integer(latency.len());
    reply.bulk(b"histogram_usec");
    let buckets = buckets(latency);
    reply.map(buckets.len());
    for (usec, calls) in buckets {
        reply.integer(usec);
        reply.integer(calls);
    }
}

/// The buckets in which something is: their ends in microseconds, and how many calls are in them and those below.
fn buckets(latency: &Histogram<u32>) -> Vec<(u64, u64)> {
    let mut buckets = Vec::new();
    let (mut end_ns, mut seen) = (FIRST_BUCKET_NS, 0);
    while seen < latency.len() {
        let upto = latency.highest_equivalent(end_ns);
        let calls = latency.count_between(0, upto);
        if calls > seen {
            buckets.push((upto / 1_000, calls));
            seen = calls;
        }
        end_ns *= 2;
    }
    buckets
}

fn find(turn: &Turn<'_, '_>, name: &[u8]) -> Option<Event> {
    turn.server.latency.events().into_iter().find(|event| event.name.as_bytes() == name)
}

fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two_and_cumulative() {
        let mut latency = Histogram::<u32>::new_with_bounds(1, 60_000_000_000, 2).unwrap();
        assert_eq!(buckets(&latency), []);
        for ns in [1, 900, 1_500, 16_000, 50_000_000] {
            latency.record(ns).unwrap();
        }
        // 33 and 67108: the histogram keeps two digits, so a bucket ends where its last value does, as in Redis.
        assert_eq!(buckets(&latency), [(1, 2), (2, 3), (16, 4), (67_633, 5)]);
    }
}
