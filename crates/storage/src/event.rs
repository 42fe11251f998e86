//! What the writer thread tells the world.

use std::sync::Arc;
use std::time::Duration;

use crate::{Lsn, Poison, Room, Space};

/// Something that the writer did. The callback of [`crate::Log::open`] gets it on the writer thread, so it must be
/// quick: whatever it does, all later commits wait for.
#[derive(Debug, Clone)]
pub enum LogEvent {
    /// Everything up to this lsn is in the file, though a crash of the machine may still lose it.
    Written(Lsn),
    /// A sync took so long; [`LogEvent::Durable`] follows.
    Synced(Duration),
    /// Everything up to this lsn is synced.
    Durable(Lsn),
    /// Staging was full and has room again. Whoever saw [`crate::Log::has_room`] say no looks again.
    Room,
    /// There is more or less space than before.
    Space(Space, Room),
    /// The sealed segments up to this number are freed, as [`crate::Log::free_through`] asked.
    Freed(u64),
    /// A write or a sync failed. This comes once, and nothing comes after it.
    Poisoned(Arc<Poison>),
}
