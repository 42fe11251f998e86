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
        // What would be refused may be any of the others.
        CommandId::AclDryrun => at >= 4,
        CommandId::Hello => is_login_of_hello(args, at),
        // Wherever the name stands: a word too many or too few before it must not make a difference.
        CommandId::ConfigSet => {
            at >= 3
                && SECRET_PARAMETERS.iter().any(|name| args.at(at - 1).eq_ignore_ascii_case(name.as_bytes()))
        }
        _ => false,
    }
}

/// Whether the word at `at` is one of the two behind an AUTH of HELLO: behind SETNAME that word is a name.
fn is_login_of_hello(args: Args<'_>, at: usize) -> bool {
    let mut option = 1;
    while option < at {
        let word = args.at(option);
        if word.eq_ignore_ascii_case(b"AUTH") {
            if at <= option + 2 {
                return true;
            }
            option += 3;
        } else {
            option += if word.eq_ignore_ascii_case(b"SETNAME") { 2 } else { 1 };
        }
    }
    false
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
            ("HELLO AUTH user secret", "HELLO AUTH (redacted) (redacted)"),
            ("HELLO 3 AUTH a b AUTH c d", "HELLO 3 AUTH (redacted) (redacted) AUTH (redacted) (redacted)"),
            ("HELLO", "HELLO"),
            ("CONFIG SET timeout 5 REQUIREPASS secret", "CONFIG SET timeout 5 REQUIREPASS (redacted)"),
            ("CONFIG SET maxclients requirepass", "CONFIG SET maxclients requirepass"),
            ("CONFIG SET timeout requirepass secret", "CONFIG SET timeout requirepass (redacted)"),
            ("CONFIG GET requirepass", "CONFIG GET requirepass"),
            ("ACL SETUSER bob on >secret", "ACL SETUSER (redacted) (redacted) (redacted)"),
            ("ACL DRYRUN bob AUTH secret", "ACL DRYRUN bob AUTH (redacted)"),
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
