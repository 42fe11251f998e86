//! The server that is copied, as its command BACKUP shows it.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, anyhow};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use stanchion_client::{Client, Error};
use stanchion_storage::Segment;
use tokio::task::JoinHandle;

/// How long the socket may take to open.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long a reply may take: the first one waits for the server's disk, the others for a read of a MiB.
const REPLY_MAX: Duration = Duration::from_secs(60);

/// A connection with a backup.
pub(super) struct Source {
    socket: MultiplexedConnection,
}

impl Source {
    pub(super) async fn open(client: &Client) -> Result<Source> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(REPLY_MAX));
        let socket = client.redis()?.get_multiplexed_async_connection_with_config(&config).await;
        let socket = socket.map_err(|error| anyhow!("{}: {}", client.address(), Error::from(error)))?;
        Ok(Source { socket })
    }

    /// Begins the backup: the segments to copy, oldest first.
    pub(super) async fn begin(&mut self) -> Result<Vec<Segment>> {
        let (_, segments): (u64, Vec<(u64, u64, u64, u64)>) = redis::cmd("BACKUP")
            .arg("BEGIN")
            .query_async(&mut self.socket)
            .await
            .map_err(|error| anyhow!("the server begins no backup: {error}"))?;
        let segment = |(number, first_lsn, last_lsn, bytes)| Segment { number, first_lsn, last_lsn, bytes };
        Ok(segments.into_iter().map(segment).collect())
    }

    /// Asks for the bytes of a segment from an offset on, about a MiB of them. They are on their way from here on.
    pub(super) fn ask(&self, segment: u64, offset: u64) -> impl Future<Output = Result<Vec<u8>>> + use<> {
        let mut socket = self.socket.clone();
        let asked: JoinHandle<redis::RedisResult<Vec<u8>>> = tokio::spawn(async move {
            redis::cmd("BACKUP").arg("READ").arg(segment).arg(offset).query_async(&mut socket).await
        });
        async move {
            asked.await?.map_err(|error| anyhow!("cannot read segment {segment} from {offset} on: {error}"))
        }
    }

    /// The bytes of a segment from an offset on, about a MiB of them.
    pub(super) async fn read(&self, segment: u64, offset: u64) -> Result<Vec<u8>> {
        self.ask(segment, offset).await
    }

    /// Lets the server free its segments again.
    pub(super) async fn end(&mut self) -> Result<()> {
        let ended: u64 = redis::cmd("BACKUP").arg("END").query_async(&mut self.socket).await?;
        anyhow::ensure!(ended == 1, "the server had ended the backup before");
        Ok(())
    }
}
