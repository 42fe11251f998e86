//! The end-to-end tests: one binary, so that it is linked once.
//!
//! Each module is one part of the contract in `docs/PROTOCOL.md`, told as scripts against the real process.

mod acl;
mod acl_compare;
mod blocking;
mod catalogue;
mod claims;
mod client_admin;
mod clients;
mod connections;
mod crash;
mod dedupe;
mod errors;
mod framing;
mod guide;
mod idle;
mod info;
mod job_events;
mod keys;
mod keyspace;
mod latency;
mod limits;
mod listing;
mod memory;
mod monitor;
mod operators;
mod oracle;
mod producers;
mod protected_mode;
mod pubsub;
mod redis_tools;
mod reports;
mod rewriting;
mod roots;
mod runner;
mod settings;
mod shutdown;
mod slow_log;
mod slow_peers;
mod starting;
mod sync;
mod tls;
mod transactions;
mod unix_socket;
mod watch;
mod wrong_input;
