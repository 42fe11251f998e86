//! Bytes to frames to commands, and replies to bytes.
//!
//! This crate knows what a client says and how it is answered: the request decoder, the table of commands,
//! the typed commands, ids and replies. It must not know I/O, async or what becomes of a job.

pub mod command;
pub mod id;
