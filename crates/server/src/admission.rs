//! The door: accepts connections until the server stops, and refuses those that there is no room for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::clients::Client;
use crate::connection;
use crate::disconnect::Reason;
use crate::lifecycle::Phase;
use crate::listener::{Arrival, Listener};
use crate::server::Server;
use crate::threads::Threads;
use crate::transport::{Security, Transport};

/// After a failed accept (too many open files, most of the time) others get a chance to close theirs.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Redis's words, which administrators know and search for, with our names in them.
const PROTECTED_MODE: &[u8] = b"-DENIED Stanchion is running in protected mode because protected mode is enabled \
and no password is set for the default user. In this mode connections are only accepted from the loopback \
interface. If you want to connect from external computers to Stanchion you may adopt one of the following \
solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback \
interface by connecting to Stanchion from the same host the server is running, however MAKE SURE Stanchion is not \
publicly accessible from internet if you do so. 2) Alternatively you can just disable the protected mode by editing \
the Stanchion configuration file, and setting the protected-mode option to 'no', and then restarting the server. \
3) If you started the server manually just for testing, restart it with the 'STANCHION_PROTECTED_MODE=no' \
variable. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the above \
things in order for the server to start accepting connections from the outside.\r\n";

/// Accepts connections, on the threads' door. Each holds a clone of `alive`, by whose end the server knows that all
/// are gone.
pub(crate) async fn accept(
    server: Arc<Server>,
    threads: Arc<Threads>,
    listener: Listener,
    alive: mpsc::Sender<()>,
) {
    let mut fails = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.lifecycle.reached(Phase::Stopping) => return,
        };
        match accepted {
            Ok(arrival) => {
                fails = false;
                admit(&server, &threads, arrival, &alive);
            }
            Err(error) => {
                // One line for a row of them, since it may be long.
                if !std::mem::replace(&mut fails, true) {
                    tracing::warn!(%error, "connections can't be accepted");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Starts a connection's task, or refuses it when there are too many.
fn admit(server: &Arc<Server>, threads: &Threads, arrival: Arrival, alive: &mpsc::Sender<()>) {
    let Arrival { transport, peer, local, security } = arrival;
    if server.refuses(&peer) {
        server.disconnects.tell(Reason::ProtectedMode, &peer, &local);
        return refuse(transport, security, PROTECTED_MODE);
    }
    let max = server.live.clients_max() as usize;
    let Some(client) = server.clients.enter(peer.clone(), local, max) else {
        server.disconnects.tell(Reason::ClientsMax, &peer, &max);
        return refuse(transport, security, b"-ERR max number of clients reached\r\n");
    };
    let (server, alive) = (Arc::clone(server), alive.clone());
    match threads.next() {
        None => _ = tokio::spawn(serve(server, transport, security, client, alive)),
        Some(elsewhere) => {
            elsewhere.spawn(async move {
                match transport.adopt() {
                    Ok(transport) => serve(server, transport, security, client, alive).await,
                    Err(_) => server.clients.leave(&client),
                }
            });
        }
    }
}

async fn serve(
    server: Arc<Server>,
    transport: Transport,
    security: Security,
    client: Arc<Client>,
    alive: mpsc::Sender<()>,
) {
    connection::serve(server, transport, security, client).await;
    drop(alive);
}

/// Tells a client why it is not served. One that expects a handshake could not read that: it only sees the end.
fn refuse(transport: Transport, security: Security, line: &[u8]) {
    if security == Security::Plain {
        transport.refuse(line);
    }
}
