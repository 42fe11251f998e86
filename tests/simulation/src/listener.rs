//! Somebody who listens to what happens to jobs, and tells the judge.

use std::sync::Arc;

use crate::wire::{decode, encode};
use crate::world::World;

/// How many bytes of events wait on their way to the listener at most.
const WINDOW: usize = 60_000;

/// Listens until the server is gone.
pub(crate) async fn listen(world: Arc<World>) {
    let Some(mut stream) = world.connect(WINDOW) else { return };
    let mut request = Vec::new();
    encode(&[b"PSUBSCRIBE".to_vec(), b"__job__:*".to_vec()], &mut request);
    if stream.write_all(&request).await.is_err() {
        return;
    }
    let mut input = Vec::new();
    loop {
        let heard = match decode(&input) {
            Ok(None) if stream.read(&mut input).await == 0 => return,
            Ok(None) => continue,
            Ok(Some((message, length))) => {
                input.drain(..length);
                let now_ms = world.now_ms();
                world.trace.line(|| format!("{now_ms} heard {message}"));
                world.oracle(|oracle| oracle.heard(&message, now_ms))
            }
            Err(problem) => Err(problem),
        };
        if let Err(problem) = heard {
            return world.fail(problem);
        }
    }
}
