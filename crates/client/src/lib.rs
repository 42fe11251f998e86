//! A typed asynchronous client for Stanchion.
//!
//! It turns the commands of the queue contract into methods, options into builders and answers into types, on
//! top of redis-rs, which knows the wire. It must not know the server's or the engine's crates: whatever this
//! client can do, a client in another language can do from the contract alone.
//!
//! ```no_run
//! # async fn example() -> Result<(), stanchion_client::Error> {
//! use std::time::Duration;
//! use stanchion_client::{Claim, Client, Push};
//!
//! let client = Client::new("redis://127.0.0.1:7379")?;
//! client.push("emails", &Push::new("to: ada").group("acme")).await?;
//!
//! let worker = client.for_claims(); // a socket of its own, because a claim that waits holds up its socket
//! for job in worker.claim("emails", &Claim::new().count(10).block(Duration::from_secs(5))).await? {
//!     client.ack(&job.queue, &[job.receipt]).await?;
//! }
//! # Ok(()) }
//! ```

pub mod backoff;
pub mod claim;
pub mod connection;
pub mod error;
pub mod operate;
pub mod push;
mod reply;
pub mod report;
pub mod rights;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod worker;

pub use backoff::Backoff;
pub use claim::{Claim, Job, JobId, Receipt, Sources};
pub use connection::Client;
pub use error::{Error, Result};
pub use operate::{QueueSummary, Ready, Setting, Stats};
pub use push::{Dedupe, Push, PushStatus, Pushed};
pub use report::{Report, Reported, Retry};
pub use rights::Right;
pub use tls::Tls;
pub use worker::{Beat, Order, VersionFigures, WorkerSummary};
