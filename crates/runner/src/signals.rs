//! SIGTERM and SIGINT stop a runner; a second one of either hurries it. SIGHUP has it read its file again.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::phase::Stop;
use crate::reload::Reload;

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

/// Has the runner read its configuration file again at each SIGHUP. Call it within a runtime.
pub fn reload_on_signal(reload: Reload, file: PathBuf) {
    // Before anybody can know that the runner runs, because until then SIGHUP ends it.
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::error!("signals can't be listened to; SIGHUP will end the runner at once");
        return;
    };
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!(signal = "SIGHUP", "reloading");
            reload.file_and_log(&file).await;
        }
    });
}
