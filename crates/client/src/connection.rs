//! The client itself: one socket, opened at first use and again after it broke.
//!
//! A command that meets a broken socket fails once, because nobody can know whether it took effect; the next
//! command opens a new one. When to try again, and how often, is the caller's to decide ([`crate::Backoff`]
//! has the pauses): a runner retries for ever, a script not at all.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ConnectionAddr, Pipeline, Value};
use tokio::sync::Mutex;

use crate::error::{Error, Result};
use crate::reply;
use crate::tls::{self, Tls};

/// How long opening a socket may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a command that does not block may take to be answered; a durable one waits for the disk.
const RESPONSE_MAX: Duration = Duration::from_secs(30);

/// A client. Clones share the socket; commands of several tasks go out as one pipeline.
#[derive(Clone)]
pub struct Client {
    redis: redis::Client,
    /// Files for a `rediss://` URL.
    tls: Option<Arc<Tls>>,
    waits: Waits,
    link: Arc<Mutex<Option<Link>>>,
}

/// How long replies may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waits {
    /// Up to [`RESPONSE_MAX`].
    Bounded,
    /// As long as the claim blocks; each claim bounds itself.
    Claims,
}

/// An open socket.
#[derive(Clone)]
struct Link {
    socket: MultiplexedConnection,
    /// The server's number for it, which CLIENT UNBLOCK needs.
    id: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for `redis://[:password@]host:port`, `rediss://` likewise, or `unix:///path`. Only reads the URL: the
    /// socket is opened by the first command. With `rediss://` a server is trusted whose certificate one of the
    /// system's authorities has signed.
    pub fn new(url: &str) -> Result<Client> {
        let redis = redis::Client::open(url).map_err(|error| {
            Error::Url(format!("{error}; it is one like redis://[USER:PASSWORD@]HOST:PORT or unix:///PATH"))
        })?;
        if let ConnectionAddr::TcpTls { insecure, .. } = redis.get_connection_info().addr() {
            if *insecure {
                let why =
                    "#insecure would trust any server; remove it, and name the server's authority as ca-file";
                return Err(Error::Url(why.to_owned()));
            }
            tls::choose_cryptography();
        }
        Ok(Client { redis, tls: None, waits: Waits::Bounded, link: Arc::default() })
    }

    /// The same for a `rediss://` URL with files of its own, which must be there now.
    pub fn with_tls(url: &str, tls: &Tls) -> Result<Client> {
        let client = Client::new(url)?;
        if !matches!(client.redis.get_connection_info().addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(Error::Url("files for TLS need a rediss:// URL".to_owned()));
        }
        tls.check()?;
        Ok(Client { tls: Some(Arc::new(tls.clone())), ..client })
    }

    /// The same server over a socket of its own, for claims that wait: they hold up every command behind them.
    #[must_use]
    pub fn for_claims(&self) -> Client {
        Client { waits: Waits::Claims, link: Arc::default(), ..self.clone() }
    }

    /// Where the server is, without the password.
    #[must_use]
    pub fn address(&self) -> String {
        self.redis.get_connection_info().addr().to_string()
    }

    /// Opens the socket if it isn't open, and returns the server's number for it (CLIENT ID).
    pub async fn connect(&self) -> Result<u64> {
        Ok(self.link().await?.id)
    }

    /// Gives up the socket. The server releases what a claim on it was about to hand out.
    pub async fn disconnect(&self) {
        *self.link.lock().await = None;
    }

    /// `PING`.
    pub async fn ping(&self) -> Result<()> {
        self.run("PING", &redis::cmd("PING")).await.map(drop)
    }

    /// `CLIENT UNBLOCK id`: ends a claim that waits on another socket; its reply is an empty list. Whether one did.
    pub async fn unblock(&self, connection_id: u64) -> Result<bool> {
        let value =
            self.run("CLIENT UNBLOCK", redis::cmd("CLIENT").arg("UNBLOCK").arg(connection_id)).await?;
        Ok(reply::number("CLIENT UNBLOCK", &value)? == 1)
    }

    /// Sends one command.
    pub(crate) async fn run(&self, name: &'static str, command: &Cmd) -> Result<Value> {
        let mut link = self.link().await?;
        let answered = command.query_async::<Value>(&mut link.socket).await.map_err(Error::from);
        self.checked(&link, name, answered).await
    }

    /// Sends one command whose reply may take up to `wait` besides the usual time; `None` for any time.
    pub(crate) async fn run_waiting(
        &self,
        name: &'static str,
        command: &Cmd,
        wait: Option<Duration>,
    ) -> Result<Value> {
        let mut link = self.link().await?;
        let answered =
            within(wait.map(|wait| wait + RESPONSE_MAX), command.query_async(&mut link.socket)).await;
        self.checked(&link, name, answered).await
    }

    /// Sends commands in one go. The outer error is the socket's, the inner ones are each command's own.
    pub(crate) async fn run_all(
        &self,
        name: &'static str,
        commands: &mut Pipeline,
    ) -> Result<Vec<Result<Value>>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut link = self.link().await?;
        let expected = commands.len();
        let answered = pipelined(commands, &mut link.socket, expected, name).await;
        self.checked(&link, name, answered).await
    }

    /// Sends commands, and behind them one that may wait, without waiting for the replies in between.
    pub(crate) async fn run_all_then(
        &self,
        name: &'static str,
        commands: &mut Pipeline,
        last: &Cmd,
        wait: Option<Duration>,
    ) -> Result<(Result<Vec<Result<Value>>>, Result<Value>)> {
        let link = self.link().await?;
        let (mut first, mut second) = (link.socket.clone(), link.socket.clone());
        let expected = commands.len();
        // In this order, because what is polled first is written first.
        let (answered, waited) = tokio::join!(
            biased;
            async {
                if expected == 0 { Ok(Vec::new()) } else { pipelined(commands, &mut first, expected, name).await }
            },
            within(wait.map(|wait| wait + RESPONSE_MAX), last.query_async::<Value>(&mut second)),
        );
        Ok((self.checked(&link, name, answered).await, self.checked(&link, name, waited).await))
    }

    /// The open socket, or a new one.
    async fn link(&self) -> Result<Link> {
        // Held while connecting, so that many tasks open one socket.
        let mut guard = self.link.lock().await;
        if let Some(link) = guard.as_ref() {
            return Ok(link.clone());
        }
        let response_max = match self.waits {
            Waits::Bounded => Some(RESPONSE_MAX),
            Waits::Claims => None,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(response_max);
        let mut socket = self.redis()?.get_multiplexed_async_connection_with_config(&config).await?;
        let id = within(Some(CONNECT_MAX), redis::cmd("CLIENT").arg("ID").query_async::<Value>(&mut socket))
            .await?;
        let link = Link { socket, id: reply::number("CLIENT ID", &id)? };
        *guard = Some(link.clone());
        Ok(link)
    }

    /// What opens sockets, with the files of TLS as they are now: for commands and settings that this client has not.
    pub fn redis(&self) -> Result<redis::Client> {
        let Some(tls) = &self.tls else { return Ok(self.redis.clone()) };
        Ok(redis::Client::build_with_tls(self.redis.get_connection_info().clone(), tls.read()?)?)
    }

    /// Passes a result on, and forgets the socket if it shows that it is broken.
    async fn checked<T>(&self, used: &Link, name: &'static str, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(Error::breaks_connection) {
            let mut guard = self.link.lock().await;
            // Another task may have opened a new one already.
            if guard.as_ref().is_some_and(|current| current.id == used.id) {
                *guard = None;
            }
        }
        result.map_err(|error| match error {
            Error::Io(cause) => Error::Io(format!("{name} at {}: {cause}", self.address())),
            other => other,
        })
    }
}

/// The replies to a pipeline, one per command.
async fn pipelined(
    commands: &mut Pipeline,
    socket: &mut MultiplexedConnection,
    expected: usize,
    name: &'static str,
) -> Result<Vec<Result<Value>>> {
    let replies: Vec<redis::RedisResult<Value>> = commands.ignore_errors().query_async(socket).await?;
    if replies.len() != expected {
        let found = format!("{} replies to {expected} commands", replies.len());
        return Err(Error::Reply { command: name, found });
    }
    Ok(replies.into_iter().map(|one| one.map_err(Error::from)).collect())
}

/// Bounds a reply's time.
async fn within(
    limit: Option<Duration>,
    reply: impl Future<Output = redis::RedisResult<Value>>,
) -> Result<Value> {
    match limit {
        None => reply.await.map_err(Error::from),
        Some(limit) => match tokio::time::timeout(limit, reply).await {
            Ok(answered) => answered.map_err(Error::from),
            Err(_) => Err(Error::Timeout(limit)),
        },
    }
}

#[cfg(test)]
mod tests;
