//! Claims jobs, has them done, and reports what became of them.
//!
//! A [`Runner`] has groups of slots. For each group a claimer asks the server for as many jobs as there are free
//! slots; each job goes to the group's dispatcher, a process ([`exec`]), a request ([`http`]), a worker that lives
//! on ([`pool`]) or a function of this program ([`handler`]), and its outcome back to the server. Meanwhile one task
//! extends the leases of all running jobs.
//! This crate knows the server only as `stanchion-client` shows it.
//!
//! ```no_run
//! # async fn example() -> Result<(), stanchion_runner::Error> {
//! use stanchion_runner::Runner;
//!
//! let runner = Runner::builder()
//!     .url("redis://127.0.0.1:7379")
//!     .slots(8)
//!     .handle("emails", |job| async move {
//!         println!("to {}", String::from_utf8_lossy(&job.payload));
//!     })
//!     .build()?;
//! let stop = runner.stop_handle();
//! stanchion_runner::signals::stop_on_signal(stop);
//! runner.run().await
//! # }
//! ```

mod beat;
pub mod canary;
pub mod check;
mod claimer;
pub mod config;
mod counts;
mod crew;
mod dispatch;
mod drain;
pub mod error;
pub mod exec;
mod group;
pub mod handler;
mod health;
pub mod http;
mod job;
mod lease;
pub mod limits;
mod metrics;
pub mod migrate;
mod outbox;
pub mod outcome;
pub mod phase;
pub mod pool;
mod process;
mod procfs;
mod pulse;
mod quiet;
mod release;
pub mod reload;
pub mod runner;
mod running;
mod scheduler;
pub mod shim;
pub mod signals;
mod slots;
mod status_pages;
pub mod systemd;
pub mod template;
#[cfg(test)]
mod testing;
pub mod ticks;

pub use config::Config;
pub use error::Error;
pub use outcome::Outcome;
pub use phase::Stop;
pub use reload::Reload;
pub use runner::{Builder, Runner};
pub use stanchion_client::{Job, Tls};
pub use systemd::Systemd;
