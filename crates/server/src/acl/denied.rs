//! Why a user may not run a command, in the words of Redis 7.

use stanchion_protocol::error::Quoted;
use stanchion_protocol::{Args, CommandError, CommandSpec, ErrorCode};

use super::commands::Entry;

/// What is not allowed. Of several reasons the last counts: it comes from the permissions that came closest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Denied {
    /// The command.
    Command,
    /// The key at this position.
    Key(usize),
    /// The glob for keys at this position.
    Glob(usize),
    /// The channel at this position.
    Channel(usize),
}

impl Denied {
    /// The reply to whoever tried.
    #[cold]
    pub(crate) fn error(self, spec: &'static CommandSpec, args: Args<'_>) -> CommandError {
        let text = match self {
            Denied::Command => {
                format!("this user has no permissions to run the '{}' command", Entry::of(spec, args).name())
            }
            Denied::Key(_) => {
                "this user has no permissions to access one of the keys used as arguments".into()
            }
            Denied::Glob(at) => format!(
                "this user has no permissions to claim from all queues that match {}; MATCH takes the user's own readable and writable key patterns, word for word",
                Quoted(args.at(at))
            ),
            Denied::Channel(_) => {
                "this user has no permissions to access one of the channels used as arguments".into()
            }
        };
        CommandError::with_code(ErrorCode::NoPerm, text)
    }

    /// The reply at EXEC to what was allowed when it was queued.
    #[cold]
    pub(crate) fn error_at_exec(self) -> CommandError {
        let reason = match self {
            Denied::Command => "no permission to execute the command",
            Denied::Key(_) | Denied::Glob(_) => "no permission to touch the specified keys",
            Denied::Channel(_) => {
                "no permission to access one of the channels used as arguments to the command"
            }
        };
        CommandError::with_code(
            ErrorCode::NoPerm,
            format!(
                "ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: {reason}"
            ),
        )
    }

    /// What ACL DRYRUN answers.
    pub(crate) fn dry_run(self, spec: &'static CommandSpec, args: Args<'_>) -> Vec<u8> {
        let access = |what: &str, at: usize| {
            [b"This user has no permissions to access the '", args.at(at), b"' ", what.as_bytes()].concat()
        };
        match self {
            Denied::Command => {
                let name = Entry::of(spec, args).name();
                format!("This user has no permissions to run the '{name}' command").into_bytes()
            }
            Denied::Key(at) => access("key", at),
            Denied::Glob(at) => access("queues", at),
            Denied::Channel(at) => access("channel", at),
        }
    }

    /// The word of ACL LOG.
    pub(crate) fn reason(self) -> super::log::Reason {
        match self {
            Denied::Command => super::log::Reason::Command,
            Denied::Key(_) | Denied::Glob(_) => super::log::Reason::Key,
            Denied::Channel(_) => super::log::Reason::Channel,
        }
    }

    /// What ACL LOG shows as the object.
    pub(crate) fn object(self, spec: &'static CommandSpec, args: Args<'_>) -> Vec<u8> {
        match self {
            Denied::Command => Entry::of(spec, args).name().into_bytes(),
            Denied::Key(at) | Denied::Glob(at) | Denied::Channel(at) => args.at(at).to_vec(),
        }
    }
}
