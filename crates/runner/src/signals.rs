//! SIGTERM and SIGINT stop a runner; a second one of either hurries it.

use tokio::signal::unix::{SignalKind, signal};

use crate::phase::Stop;

/// Listens for the signals until the program ends. Call it within a runtime.
pub fn stop_on_signal(stop: Stop) {
    tokio::spawn(async move {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            tracing::error!("signals can't be listened to; SIGTERM will end the runner at once");
            return;
        };
        loop {
            let name = tokio::select! {
                Some(()) = terminate.recv() => "SIGTERM",
                Some(()) = interrupt.recv() => "SIGINT",
                else => return,
            };
            tracing::info!(signal = name, phase = ?stop.phase(), "stopping");
            stop.stop();
        }
    });
}
