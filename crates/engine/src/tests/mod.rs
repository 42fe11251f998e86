//! Tests of the whole shard: tables of short scripts, one rule of commands.md each, and random runs against a
//! naive model of it. Both compare the shard with the model after each step, and the live shard with one
//! replayed from its log, before and after reclaiming.

mod canary;
mod checkpoints;
mod compare;
mod model;
mod ops;
mod pair;
mod property;
mod rig;
mod script;
mod scripts;
mod show;
mod watched;
