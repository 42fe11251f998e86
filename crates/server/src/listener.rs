//! Accepts connections until the server stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::connection;
use crate::lifecycle::Phase;
use crate::server::Server;
use crate::threads::Threads;

/// After a failed accept (too many open files, most of the time) others get a chance to close theirs.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Accepts connections. Each holds a clone of `alive`, by whose end the server knows that all are gone.
pub(crate) async fn accept(
    server: Arc<Server>,
    threads: Arc<Threads>,
    listener: TcpListener,
    alive: mpsc::Sender<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.lifecycle.reached(Phase::Stopping) => return,
        };
        match accepted {
            Ok((stream, _)) => admit(&server, &threads, stream, &alive),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Starts a connection's task, or refuses it when there are too many.
fn admit(server: &Arc<Server>, threads: &Threads, mut stream: TcpStream, alive: &mpsc::Sender<()>) {
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let max = server.live.clients_max() as usize;
    let Some(client) = server.clients.enter(peer, local, max) else {
        tracing::warn!(%peer, max, "refused a connection: clients-max is reached");
        tokio::spawn(async move {
            _ = stream.write_all(b"-ERR max number of clients reached\r\n").await;
            _ = stream.shutdown().await;
        });
        return;
    };
    let (server, alive) = (Arc::clone(server), alive.clone());
    threads.next().spawn(async move {
        // The socket was accepted elsewhere; from here on this thread is told what happens to it.
        if let Ok(stream) = stream.into_std().and_then(TcpStream::from_std) {
            connection::serve(server, stream, client).await;
        }
        drop(alive);
    });
}
