//! Errors as clients see them: a stable code and one line.

use std::fmt;

use crate::limits::QUOTE_BYTES_MAX;

/// The first word of an error reply; clients branch on it, so a code never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorCode {
    /// Syntax, arity, a bad value, a limit of one command.
    Err,
    /// The key does not hold what the command works on.
    WrongType,
    /// The connection has yet to authenticate.
    NoAuth,
    /// The password is wrong.
    WrongPass,
    /// The user may not do that.
    NoPerm,
    /// A limit on jobs, bytes, memory or disk is reached.
    Full,
    /// The queue does not take pushes now.
    Paused,
    /// The server still recovers its log.
    Loading,
    /// The log failed: the outcome of this command is unknown.
    MisConf,
    /// EXEC did nothing.
    ExecAbort,
    /// HELLO asked for a protocol that is not spoken.
    NoProto,
    /// A blocked claim was ended by another client.
    Unblocked,
}

impl ErrorCode {
    /// Every code, in the order of the documentation.
    pub const ALL: [ErrorCode; 12] = [
        ErrorCode::Err,
        ErrorCode::WrongType,
        ErrorCode::NoAuth,
        ErrorCode::WrongPass,
        ErrorCode::NoPerm,
        ErrorCode::Full,
        ErrorCode::Paused,
        ErrorCode::Loading,
        ErrorCode::MisConf,
        ErrorCode::ExecAbort,
        ErrorCode::NoProto,
        ErrorCode::Unblocked,
    ];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            ErrorCode::Err => "ERR",
            ErrorCode::WrongType => "WRONGTYPE",
            ErrorCode::NoAuth => "NOAUTH",
            ErrorCode::WrongPass => "WRONGPASS",
            ErrorCode::NoPerm => "NOPERM",
            ErrorCode::Full => "FULL",
            ErrorCode::Paused => "PAUSED",
            ErrorCode::Loading => "LOADING",
            ErrorCode::MisConf => "MISCONF",
            ErrorCode::ExecAbort => "EXECABORT",
            ErrorCode::NoProto => "NOPROTO",
            ErrorCode::Unblocked => "UNBLOCKED",
        }
    }

    /// What a client may conclude from it, for the documentation.
    pub fn meaning(self) -> &'static str {
        match self {
            ErrorCode::Err => "syntax, arity, a bad value or a limit of one command; nothing was changed",
            ErrorCode::WrongType => "the key does not hold what the command works on",
            ErrorCode::NoAuth => "authenticate first",
            ErrorCode::WrongPass => "the user name or the password is wrong",
            ErrorCode::NoPerm => "this user may not run the command",
            ErrorCode::Full => "a limit on jobs, bytes, memory or disk is reached; the text names it",
            ErrorCode::Paused => "the queue does not take pushes now; try again later",
            ErrorCode::Loading => "the server still recovers its log; try again later",
            ErrorCode::MisConf => "the log failed; the outcome of this command is unknown",
            ErrorCode::ExecAbort => "EXEC changed nothing; the text or an earlier reply says why",
            ErrorCode::NoProto => "HELLO asked for a protocol other than 2 and 3",
            ErrorCode::Unblocked => "the blocked claim was ended by CLIENT UNBLOCK",
        }
    }
}

/// Why a command was refused before anything was touched.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} {text}", code.word())]
pub struct CommandError {
    /// Its stable code.
    pub code: ErrorCode,
    /// One line for a human, without the code.
    pub text: String,
}

impl CommandError {
    /// An `ERR` with this text.
    #[cold]
    pub fn new(text: impl Into<String>) -> CommandError {
        CommandError { code: ErrorCode::Err, text: text.into() }
    }

    /// An error with another code.
    #[cold]
    pub fn with_code(code: ErrorCode, text: impl Into<String>) -> CommandError {
        CommandError { code, text: text.into() }
    }

    /// A syntax error; `why` names the word at fault.
    #[cold]
    pub fn syntax(why: impl fmt::Display) -> CommandError {
        CommandError::new(format!("syntax error, {why}"))
    }
}

/// A client's word as an error shows it: in quotes, on one line, and not the whole of a megabyte.
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(QUOTE_BYTES_MAX)];
        // UTF-8 stays legible; whatever could break the line or the terminal is escaped.
        f.write_str("'")?;
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => write!(f, "{c}")?,
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        f.write_str(if shown.len() < self.0.len() { "...'" } else { "'" })
    }
}
