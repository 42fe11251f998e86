//! Sockets, shards and the log: the only place where the engine meets storage.
//!
//! A connection's task decodes what a client sent, runs it under the lock of a shard ([`hold`]), stages the
//! records of that hold in the lane's log, and holds the replies back until the log says that they may go
//! ([`outbox`]). [`run`] does all of it until the process is told to stop; [`start`] is for those who want a
//! server within their own runtime.

mod acl;
mod admission;
mod allocator;
mod attention;
mod bound;
mod buffers;
mod checkpoint;
mod claims;
mod clients;
mod clock;
mod commands;
pub mod config;
mod connection;
mod descriptors;
mod disconnect;
mod durable;
mod endpoint;
mod fields;
mod health;
mod hold;
mod holds;
mod holes;
mod hub;
mod job_events;
mod lane;
mod latency;
mod lifecycle;
pub mod limits;
mod listener;
mod loading;
mod mailbox;
mod memory;
mod metrics;
mod monitors;
mod muted;
pub mod offline;
mod outbox;
mod output_limits;
mod pace;
mod pause;
mod payloads;
mod process;
mod reclaim;
mod recovery;
mod redact;
mod running;
mod server;
mod session;
mod shard;
#[cfg(feature = "simulation")]
pub mod simulation;
mod slow_log;
mod stats;
mod status_pages;
mod subscriptions;
mod sync_times;
mod threads;
mod timers;
mod timing;
mod tls;
mod tls_stream;
mod transport;
mod turn;
mod unix_socket;
mod waiter;
mod walk;
mod workers;

pub use acl::{AclFileError, fuzz_users};
pub use config::{Config, ConfigError, LogFormat, Overrides};
pub use lifecycle::Phase;
pub use metrics::metrics_md;
pub use output_limits::OutputLimits;
pub use recovery::fuzz_events;
pub use running::{ExitReport, Running, ServerError, run, start};
pub use tls::{AuthClients, TlsError, TlsFiles};
