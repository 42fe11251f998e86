//! Freed memory goes back to the system on threads that do nothing else.
//!
//! mimalloc keeps what was freed for a second. Then it gives all of it back at once, on whichever thread next asks it for
//! much: after a large queue is gone that takes 5 to 40 ms, for which the connections of the thread would wait. While
//! nobody asks for much, it gives nothing back. It does the same on a thread that ends, and such threads come first here
//! as often as it takes. With another allocator they do nothing.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;

use tokio::time::{Instant, sleep};

use crate::limits::{GIVE_BACK_EVERY, GIVE_BACK_FOR};
use crate::server::Server;

/// A thread that ends at once needs little.
const STACK_BYTES: usize = 64 << 10;

/// Gives back what recovery freed, and what is freed later, whenever that is much; without end.
pub(crate) async fn run(server: Arc<Server>) {
    let lane = server.lane().expect("memory is given back after recovery");
    loop {
        let last = Instant::now() + GIVE_BACK_FOR;
        while Instant::now() < last {
            give_back();
            sleep(GIVE_BACK_EVERY).await;
        }
        lane.memory.freed().await;
    }
}

/// Has what is due given back, without waiting for it.
fn give_back() {
    // The allocator only looks at the end of threads that it knows.
    let end = || drop(black_box(Box::new(0_u8)));
    let thread = thread::Builder::new().name("freed-memory".to_owned()).stack_size(STACK_BYTES);
    if let Err(error) = thread.spawn(end) {
        tracing::debug!(%error, "no thread to give memory back; it is tried again");
    }
}
