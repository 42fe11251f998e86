//! The process, the phase that it is in, and its connections.

use std::time::Duration;

use stanchion_status::{Kind, Metric};

use super::flag;
use super::seen::Seen;
use crate::acl::Reason;
use crate::config::durability_text;
use crate::lifecycle::Phase;
use crate::loading::State;

/// Every phase, as INFO shows it.
const PHASES: [(Phase, &str); 5] = [
    (Phase::Loading, "loading"),
    (Phase::Serving, "serving"),
    (Phase::Stopping, "stopping"),
    (Phase::Hurrying, "hurrying"),
    (Phase::Failed, "failed"),
];

pub(super) const METRICS: &[Metric<Seen>] = &[
    Metric::new(
        "stanchion_info",
        Kind::Gauge,
        &["version", "durability"],
        "1; its labels say which server this is.",
        |seen, samples| {
            let durability = durability_text(seen.server.config.durability);
            samples.add(&[("version", env!("CARGO_PKG_VERSION")), ("durability", &durability)], 1.0);
        },
    ),
    Metric::new(
        "stanchion_uptime_seconds",
        Kind::Gauge,
        &[],
        "How long it has been running.",
        |seen, samples| samples.add(&[], seen.server.started.elapsed().as_secs_f64()),
    ),
    Metric::new(
        "stanchion_phase",
        Kind::Gauge,
        &["phase"],
        "1 for the phase that it is in: loading, serving, stopping, hurrying or failed.",
        |seen, samples| {
            for (phase, word) in PHASES {
                samples.add(&[("phase", word)], flag(seen.phase == phase));
            }
        },
    ),
    Metric::new(
        "stanchion_loading_bytes",
        Kind::Gauge,
        &[],
        "Bytes of the log that the start has to read; only until the log is read.",
        |seen, samples| samples.some(loading(seen).map(|state| state.total_bytes as f64)),
    ),
    Metric::new(
        "stanchion_loading_read_bytes",
        Kind::Gauge,
        &[],
        "How many of them are read.",
        |seen, samples| samples.some(loading(seen).map(|state| state.read_bytes as f64)),
    ),
    Metric::new(
        "stanchion_loading_left_seconds",
        Kind::Gauge,
        &[],
        "How long that will still take, once it can be said.",
        |seen, samples| {
            samples.some(loading(seen).and_then(|state| state.left().as_ref().map(Duration::as_secs_f64)));
        },
    ),
    Metric::new("stanchion_connections", Kind::Gauge, &[], "Clients that are connected.", |seen, samples| {
        samples.add(&[], seen.server.clients.connected() as f64);
    }),
    Metric::new(
        "stanchion_connections_max",
        Kind::Gauge,
        &[],
        "How many may be: clients-max, or fewer if the system has too few descriptors.",
        |seen, samples| samples.add(&[], seen.server.live.clients_max().into()),
    ),
    Metric::new(
        "stanchion_connections_blocked",
        Kind::Gauge,
        &[],
        "Clients whose claim waits for a job.",
        |seen, samples| samples.add(&[], seen.server.clients.blocked() as f64),
    ),
    Metric::new(
        "stanchion_connections_accepted_total",
        Kind::Counter,
        &[],
        "Connections that were accepted.",
        |seen, samples| samples.add(&[], seen.server.clients.accepted_lately() as f64),
    ),
    Metric::new(
        "stanchion_connections_refused_total",
        Kind::Counter,
        &[],
        "Connections that were refused because there were clients-max.",
        |seen, samples| samples.add(&[], seen.server.clients.refused() as f64),
    ),
    Metric::new(
        "stanchion_connections_too_slow_total",
        Kind::Counter,
        &[],
        "Clients that were disconnected because they did not read.",
        |seen, samples| samples.add(&[], seen.server.disconnects.too_slow() as f64),
    ),
    Metric::new(
        "stanchion_network_received_bytes_total",
        Kind::Counter,
        &[],
        "Bytes that clients sent.",
        |seen, samples| samples.add(&[], seen.server.traffic.totals().read as f64),
    ),
    Metric::new(
        "stanchion_network_sent_bytes_total",
        Kind::Counter,
        &[],
        "Bytes that clients were sent.",
        |seen, samples| samples.add(&[], seen.server.traffic.totals().written as f64),
    ),
    Metric::new(
        "stanchion_pubsub_channels",
        Kind::Gauge,
        &[],
        "Channels that somebody listens to.",
        |seen, samples| samples.add(&[], seen.server.hub.channels() as f64),
    ),
    Metric::new(
        "stanchion_job_events_lost_total",
        Kind::Counter,
        &[],
        "Job events that were not published because too many waited.",
        |seen, samples| samples.add(&[], seen.server.hub.lost() as f64),
    ),
    Metric::new(
        "stanchion_access_denied_total",
        Kind::Counter,
        &["reason"],
        "What users were refused: auth (a wrong password), command, key or channel.",
        |seen, samples| {
            for reason in Reason::ALL {
                let count = seen.server.acl.log.count(reason);
                samples.add(&[("reason", reason.info_word())], count as f64);
            }
        },
    ),
    Metric::new(
        "process_cpu_seconds_total",
        Kind::Counter,
        &[],
        "Processor time of the server.",
        |seen, samples| samples.some(seen.process.cpu_seconds),
    ),
    Metric::new(
        "process_resident_memory_bytes",
        Kind::Gauge,
        &[],
        "Memory of the server.",
        |seen, samples| {
            samples.some(seen.process.resident_bytes);
        },
    ),
    Metric::new("process_open_fds", Kind::Gauge, &[], "Open descriptors of the server.", |seen, samples| {
        samples.some(seen.process.descriptors);
    }),
    Metric::new(
        "process_start_time_seconds",
        Kind::Gauge,
        &[],
        "When the server began, in Unix seconds.",
        |seen, samples| samples.some(seen.process.started),
    ),
];

/// How far the start is, until the log is read.
fn loading(seen: &Seen) -> Option<State> {
    seen.survey.is_none().then(|| seen.server.loading.state())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_called_as_info_calls_them() {
        for (phase, word) in PHASES {
            assert_eq!(format!("{phase:?}").to_lowercase(), word);
        }
    }
}
