//! Bytes to frames to commands, and replies to bytes.
//!
//! This crate knows what a client says and how it is answered: the request decoder, the table of commands,
//! the typed commands, ids and replies. It must not know I/O, async or what becomes of a job.
//!
//! A request goes `Decoder` → [`Args`] → [`table::resolve`] → [`parse::parse`] → [`command::QueueCommand`];
//! a reply goes through [`reply::Reply`] into the connection's output buffer.

pub mod args;
pub mod command;
pub mod decode;
pub mod docs;
pub mod error;
pub mod glob;
mod hex;
pub mod id;
pub mod keys;
pub mod limits;
pub mod parse;
pub mod reply;
pub mod slot;
pub mod table;

pub use args::{Args, OwnedArgs};
pub use decode::{Decoded, Decoder, FramingError};
pub use error::{CommandError, ErrorCode};
pub use limits::Limits;
pub use reply::{Proto, Reply};
pub use table::{CommandId, CommandSpec};
