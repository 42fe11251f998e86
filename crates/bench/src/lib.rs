//! The load that measures Stanchion and its peers: a generator on one thread, the dialects of the peers, their
//! processes, and what was measured.
//!
//! It knows the servers by their sockets only and is built from none of their code, so that it can be unfair to nobody.
//! Errors are `anyhow`'s, as in a binary: each goes to the reader of a report, and nobody decides by its kind.

mod attack;
pub mod bar;
mod bullmq;
pub mod client;
pub mod compare;
mod connection;
pub mod contender;
pub mod dialect;
pub mod disk;
pub mod drive;
mod fan_out;
pub mod fleet;
pub mod job;
mod latency;
pub mod ledger;
pub mod listener;
pub mod load;
mod pace;
pub mod peer;
mod pipeline;
mod precedence;
pub mod process;
pub mod resp;
mod shift;
pub mod single;
mod spare_time;
pub mod stats;
pub mod table;
pub mod target;
pub mod trial;
pub mod usage;
pub mod workload;

pub use latency::{Latencies, Percentiles};
pub use pace::{Arrivals, Pace};
