//! docs/configuration.md, written from the table of options.

use std::fmt::Write;

use super::{OPTIONS, Opt};

/// What no table can say.
const HEAD: &str = "\
# Configuration

Written by `cargo xtask docs` from the server's table of options.

A value comes from a flag, else from the environment, else from the file, else it is the default. The file is TOML and named by
`--config` or `STANCHION_CONFIG`. The variable of an option is its name in capitals behind `STANCHION_`, with `_` for `-` and `.`:
`STANCHION_CLIENTS_MAX`. Nothing is ignored: an unknown key, a value that does not fit and an option without effect refuse the
start, with the place and the remedy in one line. Durations are written `250ms 30s 5m 1h 7d`; a bare number is milliseconds.

```toml
bind = [\"127.0.0.1\", \"10.0.0.5\"]
tls-port = 7380
tls-cert-file = \"/etc/stanchion/server.crt\"
tls-key-file = \"/etc/stanchion/server.key\"
tls-ca-cert-file = \"/etc/stanchion/clients-ca.crt\"
unix-socket = \"/run/stanchion/stanchion.sock\"
unix-socket-mode = \"770\"

[[queues]]
match = \"refreshLinks*\"
lease = \"10m\"
```

";

const TAIL: &str = "
`[[queues]]` gives queues whose names match a glob the settings that `QCONFIG SET` would; they are in [PROTOCOL.md](PROTOCOL.md).

## While the server runs

`CONFIG SET` changes what Redis lets change; `CONFIG REWRITE` keeps it in the file. **SIGHUP** reads the certificates again; so does
`CONFIG SET tls-cert-file … tls-key-file …`. Connections that are there keep theirs, and if the new files are wrong the old ones
stay in use and the log, or the answer, says why.

## Who may connect

Without a password nobody from another machine may (`protected-mode`). `bind` says at which addresses the server listens, for
`port` and `tls-port` alike; `port = \"off\"` leaves TLS and the Unix socket. With TLS a client must show a certificate of
`tls-ca-cert-file` unless `tls-auth-clients` says otherwise. Whoever may write to the Unix socket's file may connect to it.

At the start the server raises its own limit of open files for `clients-max`; where the system does not allow that, fewer clients
may connect and the log says so.

## What a slow or hostile peer meets

| what it does | what happens |
|---|---|
| connects above `clients-max` | `-ERR max number of clients reached`, and the end |
| does not shake hands, at the TLS port | the end after 10 s |
| does not log in, where it must | the end after `login-timeout` |
| begins a command and does not finish it | the end after `request-timeout` |
| says nothing, and waits for nothing | the end after `idle-timeout`, if there is one |
| is gone, or takes no replies | the end after about `tcp-keepalive` |
| sends more than `limits.args-bytes-max` in one command | the bytes are dropped as they come, then an error |
| does not read its replies | beyond 1 MiB its commands wait; beyond `client-output-buffer-limit` the end |
| does not read its messages | beyond `client-output-buffer-limit` the end |

Each end that the server decides is one line in the log, 20 a minute for each reason.
";

/// The document.
pub fn configuration_md() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| option | default | meaning |\n|---|---|---|\n");
    for option in OPTIONS {
        _ = writeln!(text, "| `{}` | {} | {} |", option.name, shown_default(option), option.summary);
    }
    text.push_str(TAIL);
    text
}

/// The default, which for some options depends on the machine.
fn shown_default(option: &Opt) -> String {
    match option.name {
        "shards" => "two a core".into(),
        "threads" => "one less than cores".into(),
        "maxmemory" => "half of the machine's memory, or of what its cgroup allows".into(),
        _ => match option.default_text() {
            empty if empty.is_empty() => "–".into(),
            text => format!("`{text}`"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_is_told_of_is_there() {
        let named = |text: &str| OPTIONS.iter().any(|option| option.name == text);
        for words in TAIL.split('`').skip(1).step_by(2).filter(|words| words.contains("-")) {
            let name = words.split([' ', '=']).next().unwrap_or_default();
            assert!(named(name) || words.starts_with(['-', 'C']), "{words}");
        }
        for line in HEAD.lines().filter(|line| line.contains(" = ") && !line.contains("lease")) {
            let name = line.split(' ').next().unwrap_or_default();
            assert!(named(name) || name == "match", "{line}");
        }
    }
}
