//! The harness of the end-to-end tests: real processes, raw sockets, and scripts that say what is expected.
//!
//! Nothing here knows how the server works inside. It starts the binary that users start, talks to it over
//! sockets, kills it, and judges it by `commands.md` alone; so a test that passes here is a promise kept to a
//! client, not to a function.

mod binary;
mod compiled;
mod connection;
mod conversation;
pub mod crash;
mod guide;
pub mod oracle;
mod pattern;
mod process;
mod random;
mod restart;
mod script;
mod secured;
mod server;
mod storm;
mod tls;
mod value;

pub use binary::{binary, client_program, guide, venv_python};
pub use compiled::{compiled_c, compiled_go};
pub use connection::Connection;
pub use conversation::{Identity, converse};
pub use guide::{GuideProgram, guide_programs};
pub use process::{
    Process, allow_open_files, anonymous_bytes, cpu_ticks, resident_bytes, resident_bytes_peak, snapshot,
};
pub use random::Random;
pub use restart::RestartingServer;
pub use script::Session;
pub use secured::Secured;
pub use server::{Options, RedisServer, Server};
pub use storm::{Weathered, storm};
pub use tls::{Authority, Certificate, client};
pub use value::Value;

use std::time::Duration;

/// How long anything that should happen may take before a test fails: far above what it needs, so that only a
/// hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);
