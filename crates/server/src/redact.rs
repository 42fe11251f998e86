//! What MONITOR, the slow log and log lines may show of a command: no passwords.

use stanchion_protocol::table::CommandId;
use stanchion_protocol::{Args, CommandSpec};

/// Stands for a word that is not shown, as in Redis.
pub(crate) const REDACTED: &[u8] = b"(redacted)";

/// Parameters of CONFIG SET whose values are secret.
const SECRET_PARAMETERS: &[&str] = &["requirepass", "tls-key-file-pass"];

/// The words of a command as others may see them.
pub(crate) fn redact<'a>(spec: &CommandSpec, args: Args<'a>) -> impl ExactSizeIterator<Item = &'a [u8]> {
    let id = spec.id;
    args.iter().enumerate().map(move |(at, word)| if is_secret(id, args, at) { REDACTED } else { word })
}

/// Whether the word at `at` may hold a secret. One word too many is better than one too few.
fn is_secret(id: CommandId, args: Args<'_>, at: usize) -> bool {
    match id {
        CommandId::Auth => at >= 1,
        CommandId::AclSetuser => at >= 2,
        CommandId::Hello => hello_login(args).is_some_and(|login| (login + 1..=login + 2).contains(&at)),
        CommandId::ConfigSet => {
            at >= 3
                && at % 2 == 1
                && SECRET_PARAMETERS.iter().any(|name| args.at(at - 1).eq_ignore_ascii_case(name.as_bytes()))
        }
        _ => false,
    }
}

/// Where HELLO's AUTH stands: behind SETNAME its word is a name.
fn hello_login(args: Args<'_>) -> Option<usize> {
    let mut at = 2;
    while let Some(word) = args.get(at) {
        if word.eq_ignore_ascii_case(b"AUTH") {
            return Some(at);
        }
        at += if word.eq_ignore_ascii_case(b"SETNAME") { 2 } else { 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use stanchion_protocol::{OwnedArgs, table};

    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (command, want) in [
            ("AUTH secret", "AUTH (redacted)"),
            ("auth user secret", "auth (redacted) (redacted)"),
            ("HELLO 3 AUTH user secret SETNAME x", "HELLO 3 AUTH (redacted) (redacted) SETNAME x"),
            ("HELLO 3 SETNAME auth auth user secret", "HELLO 3 SETNAME auth auth (redacted) (redacted)"),
            ("HELLO 3 AUTH user", "HELLO 3 AUTH (redacted)"),
            ("HELLO", "HELLO"),
            ("CONFIG SET timeout 5 REQUIREPASS secret", "CONFIG SET timeout 5 REQUIREPASS (redacted)"),
            ("CONFIG SET maxclients requirepass", "CONFIG SET maxclients requirepass"),
            ("CONFIG GET requirepass", "CONFIG GET requirepass"),
            ("ACL SETUSER bob on >secret", "ACL SETUSER (redacted) (redacted) (redacted)"),
            ("QPUSH q AUTH", "QPUSH q AUTH"),
        ] {
            let mut words = OwnedArgs::default();
            command.split(' ').for_each(|word| words.push(word.as_bytes()));
            let spec = table::resolve(words.as_args()).unwrap();
            let shown: Vec<_> = redact(spec, words.as_args()).map(String::from_utf8_lossy).collect();
            assert_eq!(shown.join(" "), want);
        }
    }
}
