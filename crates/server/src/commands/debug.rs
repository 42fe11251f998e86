//! DEBUG SLEEP, and who may use it; MONITOR.

use std::time::Duration;

use stanchion_protocol::{Args, CommandError};

use super::Done;
use crate::config::DebugAccess;
use crate::limits::DEBUG_SLEEP_MAX;
use crate::turn::Turn;

/// DEBUG SLEEP seconds.
pub(super) fn sleep(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    check_access(turn)?;
    // As in Redis what is no number is 0.
    let seconds = std::str::from_utf8(args.at(2)).ok().and_then(|word| word.parse::<f64>().ok());
    let time = Duration::try_from_secs_f64(seconds.unwrap_or(0.0)).unwrap_or_default();
    // Others may use the shard of the command before meanwhile: it is this connection's thread that sleeps.
    turn.end_hold();
    std::thread::sleep(time.min(DEBUG_SLEEP_MAX));
    turn.reply().ok();
    Ok(())
}

/// Refuses DEBUG unless the configuration allows it for this client.
fn check_access(turn: &Turn<'_, '_>) -> Done {
    let allowed = match turn.server.config.diagnostics.debug {
        DebugAccess::Yes => true,
        DebugAccess::Local => turn.session.client.peer.is_local(),
        DebugAccess::No => false,
    };
    if allowed {
        return Ok(());
    }
    Err(CommandError::new(
        "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
    ))
}

/// MONITOR.
pub(super) fn monitor(turn: &mut Turn<'_, '_>) -> Done {
    if turn.holds.as_ref().is_some_and(|holds| holds.in_transaction()) {
        return Err(CommandError::new("MONITOR isn't allowed for DENY BLOCKING client"));
    }
    // Who monitors already is not answered again, as in Redis.
    if turn.server.monitors.add(&turn.session.client, &turn.server.attention) {
        turn.reply().ok();
    }
    Ok(())
}
