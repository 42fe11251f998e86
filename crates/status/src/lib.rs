//! The pages of a process for those who watch over it: `/health`, and `/metrics` in Prometheus's text format.
//!
//! The server and the runner have the same pages, within the same limits and with the same refusals; what stands in
//! them is theirs to say ([`Pages`], [`Metric`]). They speak plain HTTP and ask for no password, so they are for the
//! machine itself or a network that is trusted.

mod health;
pub mod limits;
mod metric;
mod process;
mod samples;
mod server;

pub use health::Health;
pub use metric::{Kind, Metric, metrics_table, wrong_metrics};
pub use process::Process;
pub use samples::{CONTENT_TYPE, Samples};
pub use server::{Pages, listen, serve};
