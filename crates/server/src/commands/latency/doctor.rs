//! LATENCY DOCTOR: what took long, in words, and what to do about it.

use crate::latency::Event;

/// The report; `threshold_ms` is `latency-monitor-threshold`.
pub(super) fn report(events: &[Event], threshold_ms: u64) -> String {
    if events.is_empty() {
        return if threshold_ms == 0 {
            "Latency monitoring is disabled. Enable it with \"CONFIG SET latency-monitor-threshold <milliseconds>\"."
                .into()
        } else {
            format!("Nothing took {threshold_ms} ms or longer since the latency monitor began.")
        };
    }
    let mut out = String::from("These took long:\n\n");
    for (number, event) in events.iter().enumerate() {
        out.push_str(&format!("{}. {}\n", number + 1, summary(event)));
    }
    out.push_str("\nWhat to do:\n\n");
    for event in events {
        out.push_str(&format!("- {}: {}\n", event.name, advice(event.name)));
    }
    out
}

fn summary(event: &Event) -> String {
    let count = event.samples.len() as u64;
    let average = event.samples.iter().map(|sample| sample.ms).sum::<u64>() / count.max(1);
    let deviation =
        event.samples.iter().map(|sample| sample.ms.abs_diff(average)).sum::<u64>() / count.max(1);
    let span = match (event.samples.first(), event.samples.last()) {
        (Some(first), Some(last)) => last.at_secs - first.at_secs,
        _ => 0,
    };
    format!(
        "{}: {count} latency spikes within {span} s (average {average} ms, mean deviation {deviation} ms). Worst \
         all time event {} ms.",
        event.name, event.longest_ms
    )
}

fn advice(event: &str) -> &'static str {
    match event {
        "command" => {
            "see SLOWLOG GET for the commands. Name fewer jobs in one command, and list with cursors: QSCAN, QREADY, SCAN."
        }
        "fast-command" => {
            "cheap commands waited for something else: for processors that are busy (see used_cpu_user in INFO), or for \
             commands on the same shard that hold many jobs."
        }
        "fsync" => {
            "the disk is slow to sync. Replies wait for it under durability always; move the data directory to a faster \
             disk, or away from what else writes to it."
        }
        _ => {
            "many jobs became due, lapsed or expired at once. They are handled in steps; spread due times and leases if \
             commands wait for too long."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Sample;

    #[test]
    fn it_says_what_took_long() {
        assert!(report(&[], 0).contains("CONFIG SET latency-monitor-threshold"));
        assert!(report(&[], 5).contains("5 ms"));
        let samples = [(10, 20), (14, 40)].map(|(at_secs, ms)| Sample { at_secs, ms }).to_vec();
        let text = report(&[Event { name: "fsync", samples, longest_ms: 90 }], 5);
        assert!(
            text.contains("fsync: 2 latency spikes within 4 s (average 30 ms, mean deviation 10 ms)"),
            "{text}"
        );
        assert!(text.contains("Worst all time event 90 ms") && text.contains("the disk is slow"), "{text}");
    }
}
