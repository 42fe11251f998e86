//! Why a runner can't start, or stops by itself.

use crate::config::ConfigError;

/// A runner's error. A server that is away is none: the runner waits for it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration file has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `[runner] http` can't be listened to.
    #[error(
        "[runner] http: {address} can't be listened to: {error}; is another runner there? write another port"
    )]
    Listen {
        /// What the file says.
        address: std::net::SocketAddr,
        /// What the system says.
        error: std::io::ErrorKind,
    },
    /// A running runner was given a configuration that it can't take; it goes on under the old one.
    #[error("{0}")]
    NotReloaded(String),
    /// The builder was given nothing to do.
    #[error("the runner has nothing to do: give it a handler for at least one queue")]
    NothingToDo,
    /// The server refuses what the runner must be able to do, so that trying again is no use.
    #[error("the server at {address} refuses group \"{group}\": {error}")]
    Refused {
        /// Where the server is.
        address: String,
        /// The group whose claim was refused.
        group: String,
        /// What it said.
        error: stanchion_client::Error,
    },
    /// The URL can't be used.
    #[error(transparent)]
    Server(#[from] stanchion_client::Error),
}
