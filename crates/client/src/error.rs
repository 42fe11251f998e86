//! What can go wrong, one variant per wire code that a caller branches on.

use std::time::Duration;

use crate::tls;

/// This crate's results.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the server, of the wire, or of what the caller asked for.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `-FULL`: a limit on jobs, bytes, memory or disk; the message names it. Nothing was changed.
    #[error("the server is full: {0}")]
    Full(String),
    /// `-PAUSED`: pushes to this queue are paused. Nothing was changed.
    #[error("the queue is paused: {0}")]
    Paused(String),
    /// `-LOADING`: the server reads its log; try again soon.
    #[error("the server is loading: {0}")]
    Loading(String),
    /// `-MISCONF`: the server's log failed. Whether this command had an effect is unknown.
    #[error("the server's log failed, the outcome of the command is unknown: {0}")]
    Misconf(String),
    /// `-NOAUTH`, `-WRONGPASS` or `-NOPERM`: the password is missing, wrong or not enough.
    #[error("not allowed: {0}")]
    Auth(String),
    /// `-WRONGTYPE`: the name belongs to something else than a queue.
    #[error("not a queue: {0}")]
    WrongType(String),
    /// `-ERR`: syntax, arity or a bad value; the message names the word at fault. Nothing was changed.
    #[error("{0}")]
    Command(String),
    /// Any other code.
    #[error("{code} {message}")]
    Other {
        /// The code, without its dash.
        code: String,
        /// What follows it.
        message: String,
    },
    /// The socket broke, could not be opened, or a reply did not come in time. Whether the command had an effect is unknown.
    #[error("no connection to the server: {0}")]
    Io(String),
    /// No agreement on TLS: somebody's certificate is missing, wrong or has expired, or this is no TLS port.
    #[error("no TLS with the server: {what}; {instead}")]
    Tls {
        /// What is wrong.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// A file of [`crate::Tls`] can't be used.
    #[error("{option} {what}; {instead}")]
    TlsFile {
        /// What it is for: `ca-file`, `cert-file` or `key-file`.
        option: &'static str,
        /// Where it is, and what is wrong.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// No reply within the given time; the socket was given up, because its replies can no longer be matched.
    #[error("no reply within {0:?}")]
    Timeout(Duration),
    /// The server's reply is not what the contract says.
    #[error("unexpected reply to {command}: {found}")]
    Reply {
        /// The command that was answered.
        command: &'static str,
        /// What came.
        found: String,
    },
    /// The URL is not one that this client can use.
    #[error("not a usable server URL: {0}")]
    Url(String),
}

impl Error {
    /// Whether the same command may succeed after a pause without the caller changing anything: the server is
    /// away, loads, or closed the socket, or somebody renews a certificate.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Io(_) | Error::Timeout(_) | Error::Loading(_) | Error::Tls { .. } | Error::TlsFile { .. }
        )
    }

    /// Whether the socket can't be used any more.
    pub(crate) fn breaks_connection(&self) -> bool {
        matches!(self, Error::Io(_) | Error::Timeout(_) | Error::Reply { .. } | Error::Tls { .. })
    }
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Error {
        use redis::ErrorKind;
        if let Some(refusal) = tls::refusal(&error) {
            return refusal;
        }
        let message = error.detail().unwrap_or_default().to_owned();
        match error.kind() {
            ErrorKind::InvalidClientConfig => return Error::Url(error.to_string()),
            ErrorKind::AuthenticationFailed => return Error::Auth(error.to_string()),
            _ => {}
        }
        let Some(code) = error.code() else { return Error::Io(error.to_string()) };
        match code {
            "FULL" => Error::Full(message),
            "PAUSED" => Error::Paused(message),
            "LOADING" => Error::Loading(message),
            "MISCONF" => Error::Misconf(message),
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Error::Auth(message),
            "WRONGTYPE" => Error::WrongType(message),
            "ERR" => Error::Command(message),
            _ => Error::Other { code: code.to_owned(), message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_error(code: &str) -> Error {
        redis::make_extension_error(code.to_owned(), Some("details".to_owned())).into()
    }

    #[test]
    fn wire_codes_become_variants() {
        assert!(matches!(server_error("FULL"), Error::Full(m) if m == "details"));
        assert!(matches!(server_error("PAUSED"), Error::Paused(_)));
        assert!(matches!(server_error("LOADING"), Error::Loading(_)));
        assert!(matches!(server_error("MISCONF"), Error::Misconf(_)));
        for code in ["NOAUTH", "WRONGPASS", "NOPERM"] {
            assert!(matches!(server_error(code), Error::Auth(_)), "{code}");
        }
        assert!(matches!(server_error("WRONGTYPE"), Error::WrongType(_)));
        assert!(matches!(server_error("ERR"), Error::Command(m) if m == "details"));
        assert!(matches!(server_error("UNBLOCKED"), Error::Other { code, .. } if code == "UNBLOCKED"));
    }

    #[test]
    fn only_what_passes_by_itself_is_transient() {
        assert!(server_error("LOADING").is_transient());
        assert!(Error::Io("gone".into()).is_transient());
        assert!(Error::Timeout(Duration::from_secs(1)).is_transient());
        for code in ["FULL", "MISCONF", "NOAUTH", "ERR"] {
            assert!(!server_error(code).is_transient(), "{code}");
        }
    }
}
