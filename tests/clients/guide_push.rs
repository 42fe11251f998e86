//! The Rust producer of `docs/clients.md`.

#![expect(clippy::print_stdout, reason = "it prints what the guide says")]

include!(concat!(env!("OUT_DIR"), "/push.rs"));
