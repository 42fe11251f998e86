//! One short script per rule of commands.md, in its order.

mod checkpoints;
mod claims;
mod dedupe;
mod failures;
mod flush;
mod limits;
mod memory;
mod notes;
mod operators;
mod payloads;
mod place;
mod pushes;
mod records;
mod restarts;
mod roots;
mod settings;
mod survey;
mod time;
mod turns;
mod versions;
mod waiters;
mod workers;
