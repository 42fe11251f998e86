//! CONFIG: a table of the parameters that clients ask for, and what may be changed while the server runs.

mod rewrite;

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::{Args, CommandError, glob, limits};
use stanchion_storage::Durability;

use super::Done;
use crate::config::{Secret, durability_text, parse_memory, parse_yes_or_no};
use crate::descriptors;
use crate::limits::{ACL_LOG_ENTRIES_MAX, LATENCY_MS_MAX, SLOW_ENTRIES_MAX};
use crate::server::Server;
use crate::tls::{AuthClients, TlsFiles};
use crate::turn::Turn;

/// A parameter: Redis's name where Redis has one.
struct Parameter {
    name: &'static str,
    get: fn(&Server) -> String,
    /// `None` for one that needs a restart.
    set: Option<Set>,
}

/// Changes a parameter, or says what its value must look like.
type Set = fn(&Server, &str) -> Result<(), Problem>;

/// What is wrong with a value, in Redis's words where it has some.
type Problem = Cow<'static, str>;

/// What CONFIG GET knows. The rest of the configuration is in the file; a client library looks for these.
const PARAMETERS: &[Parameter] = &[
    fixed("acl-pubsub-default", |_| "resetchannels".into()),
    fixed("aclfile", |server| {
        server.config.acl_file.as_ref().map_or_else(String::new, |path| path.display().to_string())
    }),
    fixed("acllog-max-len", |_| ACL_LOG_ENTRIES_MAX.to_string()),
    fixed("appendfsync", |server| match server.config.durability {
        Durability::Always => "always".into(),
        Durability::Interval(_) => "everysec".into(),
        Durability::Never => "no".into(),
    }),
    fixed("appendonly", |_| "yes".into()),
    fixed("bind", |server| server.config.bind.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    Parameter {
        name: "client-output-buffer-limit",
        get: |server| server.clients.output_limits.get().to_string(),
        set: Some(|server, value| {
            let mut limits = server.clients.output_limits.get();
            limits.change(value)?;
            server.clients.output_limits.set(limits);
            Ok(())
        }),
    },
    fixed("client-query-buffer-limit", |server| {
        let headers_bytes_max = limits::QUERY_BYTES_MAX - limits::ARGS_BYTES_MAX;
        (server.config.limits.args_bytes_max + headers_bytes_max).to_string()
    }),
    fixed("cluster-enabled", |_| "no".into()),
    fixed("databases", |_| "1".into()),
    fixed("dir", |server| server.config.dir.display().to_string()),
    fixed("durability", |server| durability_text(server.config.durability)),
    fixed("enable-debug-command", |server| server.config.diagnostics.debug.word().into()),
    fixed("http", |server| server.config.http.map_or_else(|| "off".into(), |address| address.to_string())),
    fixed("io-threads", |server| server.config.threads.to_string()),
    Parameter {
        name: "latency-monitor-threshold",
        get: |server| server.latency.threshold_ms().to_string(),
        set: Some(|server, value| {
            server.attention.set_latency_ms(integer(value, 0..=LATENCY_MS_MAX as i64)? as u64);
            Ok(())
        }),
    },
    fixed("latency-tracking", |_| "yes".into()),
    fixed("latency-tracking-info-percentiles", |_| "50 99 99.9".into()),
    fixed("lease-grace", |server| server.config.lease_grace.as_millis().to_string()),
    fixed("login-timeout", |server| server.config.login_timeout.as_secs().to_string()),
    Parameter {
        name: "maxclients",
        get: |server| server.live.clients_max().to_string(),
        set: Some(|server, value| {
            let max = integer(value, 1..=u32::MAX.into())? as u32;
            let possible = descriptors::provide(max, server.config.threads);
            if possible < max {
                return Err(format!(
                    "The operating system is not able to handle the specified number of clients, try with {possible}"
                )
                .into());
            }
            server.live.set_clients_max(max);
            Ok(())
        }),
    },
    Parameter {
        name: "maxmemory",
        get: |server| server.memory_bytes_max().to_string(),
        set: Some(|server, value| {
            let bytes = parse_memory(value).ok_or("argument must be a memory value of at least 1mb, or 0")?;
            server.set_memory_bytes_max(bytes);
            Ok(())
        }),
    },
    fixed("maxmemory-policy", |_| "noeviction".into()),
    fixed("port", |server| server.ports().plain.to_string()),
    Parameter {
        name: "protected-mode",
        get: |server| yes_or_no(server.live.protected_mode.load(Ordering::Relaxed)),
        set: Some(|server, value| {
            let on = parse_yes_or_no(value).ok_or("argument must be 'yes' or 'no'")?;
            server.live.protected_mode.store(on, Ordering::Relaxed);
            Ok(())
        }),
    },
    fixed("proto-max-bulk-len", |_| stanchion_protocol::limits::BULK_BYTES_MAX.to_string()),
    fixed("request-timeout", |server| server.config.request_timeout.as_secs().to_string()),
    Parameter {
        name: "requirepass",
        // Redis shows it; we only say whether there is one.
        get: |server| match server.live.requires_password.load(Ordering::Relaxed) {
            true => "(hidden)".into(),
            false => String::new(),
        },
        set: Some(|server, value| {
            let password = (!value.is_empty()).then(|| Secret::new(value.to_owned()));
            server
                .require_password(password.as_ref())
                .map_err(|_| "argument must be at most 4096 bytes long".into())
        }),
    },
    fixed("save", |_| String::new()),
    fixed("shards", |server| server.config.shards.to_string()),
    Parameter {
        name: "slowlog-log-slower-than",
        get: |server| server.attention.slow_us().to_string(),
        set: Some(|server, value| {
            server.attention.set_slow_us(integer(value, -1..=i64::MAX)?);
            Ok(())
        }),
    },
    Parameter {
        name: "slowlog-max-len",
        get: |server| server.slow_log.entries_max().to_string(),
        set: Some(|server, value| {
            server.slow_log.set_entries_max(integer(value, 0..=SLOW_ENTRIES_MAX as i64)? as usize);
            Ok(())
        }),
    },
    fixed("tcp-keepalive", |server| server.config.tcp_keepalive.as_secs().to_string()),
    Parameter {
        name: "timeout",
        get: |server| server.live.idle_timeout().unwrap_or_default().as_secs().to_string(),
        set: Some(|server, value| {
            let seconds = integer(value, 0..=i32::MAX.into())?;
            server.live.set_idle_timeout(Duration::from_secs(seconds as u64));
            Ok(())
        }),
    },
    Parameter {
        name: "tls-auth-clients",
        get: |server| server.tls.files().auth_clients.to_string(),
        set: Some(|server, value| {
            let auth = AuthClients::parse(value).ok_or("argument must be 'yes', 'no' or 'optional'")?;
            rename_tls(server, |files| files.auth_clients = auth)
        }),
    },
    Parameter {
        name: "tls-ca-cert-file",
        get: |server| path_text(server.tls.files().ca_cert),
        set: Some(|server, value| rename_tls(server, |files| files.ca_cert = parse_path(value))),
    },
    Parameter {
        name: "tls-cert-file",
        get: |server| path_text(server.tls.files().cert),
        set: Some(|server, value| rename_tls(server, |files| files.cert = parse_path(value))),
    },
    Parameter {
        name: "tls-key-file",
        get: |server| path_text(server.tls.files().key),
        set: Some(|server, value| rename_tls(server, |files| files.key = parse_path(value))),
    },
    fixed("tls-port", |server| server.ports().tls.to_string()),
    fixed("unixsocket", |server| path_text(server.config.unix_socket.clone())),
    fixed("unixsocketperm", |server| format!("{:o}", server.config.unix_socket_mode)),
];

fn path_text(path: Option<PathBuf>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

fn parse_path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// Names another file. All that CONFIG SET names are read together, at its end: a certificate and its key belong
/// to each other.
fn rename_tls(server: &Server, change: impl FnOnce(&mut TlsFiles)) -> Result<(), Problem> {
    if !server.tls.is_on() {
        return Err("TLS is off; set tls-port in the configuration and restart".into());
    }
    server.tls.rename(change);
    Ok(())
}

/// A whole number within bounds, with Redis's words for what is none.
fn integer(value: &str, bounds: RangeInclusive<i64>) -> Result<i64, Problem> {
    let number = string2ll(value.as_bytes()).ok_or("argument couldn't be parsed into an integer")?;
    if bounds.contains(&number) {
        return Ok(number);
    }
    let (min, max) = bounds.into_inner();
    Err(format!("argument must be between {min} and {max} inclusive").into())
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.into()
}

const fn fixed(name: &'static str, get: fn(&Server) -> String) -> Parameter {
    Parameter { name, get, set: None }
}

/// CONFIG GET pattern ...
pub(super) fn get(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let patterns: Vec<_> = args.skip(2).iter().map(<[u8]>::to_ascii_lowercase).collect();
    let found: Vec<_> = PARAMETERS
        .iter()
        .filter(|parameter| patterns.iter().any(|pattern| glob::matches(pattern, parameter.name.as_bytes())))
        .map(|parameter| (parameter.name, (parameter.get)(turn.server)))
        .collect();
    let mut reply = turn.reply();
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    Ok(())
}

/// CONFIG SET parameter value ...: all or nothing, as in Redis.
pub(super) fn set(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let words: Vec<_> = args.skip(2).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(CommandError::new("syntax error"));
    }
    let mut changes = Vec::new();
    for [name, value] in pairs {
        let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name))
        else {
            return Err(CommandError::new(format!(
                "Unknown option or number of arguments for CONFIG SET - '{name}'"
            )));
        };
        let failed = |why: &str| {
            CommandError::new(format!("CONFIG SET failed (possibly related to argument '{name}') - {why}"))
        };
        let Some(set) = parameter.set else {
            return Err(failed(
                "can't set immutable config; write it into the configuration file and restart",
            ));
        };
        if changes.iter().any(|(_, seen, ..): &(_, &str, _, _)| *seen == parameter.name) {
            return Err(failed("duplicate parameter"));
        }
        changes.push((set, parameter.name, value.as_str(), (parameter.get)(turn.server)));
    }
    // What a password was is not known any more, so it is changed when nothing else can be refused.
    changes.sort_by_key(|(_, name, ..)| *name == "requirepass");
    let names: Vec<_> = changes.iter().map(|(_, name, ..)| *name).collect();
    for (applied, (set, name, value, _)) in changes.iter().enumerate() {
        if let Err(why) = set(turn.server, value) {
            undo(turn.server, &changes[..applied]);
            return Err(CommandError::new(format!(
                "CONFIG SET failed (possibly related to argument '{name}') - {why}"
            )));
        }
    }
    if let Some((_, name, ..)) = changes.iter().find(|(_, name, ..)| name.starts_with("tls-"))
        && let Err(why) = turn.server.tls.reload()
    {
        undo(turn.server, &changes);
        return Err(CommandError::new(format!(
            "CONFIG SET failed (possibly related to argument '{name}') - Unable to update TLS configuration: {why}"
        )));
    }
    tracing::info!(parameters = ?names, "configuration changed");
    turn.server.live.changed.lock().extend(names);
    turn.reply().ok();
    Ok(())
}

/// CONFIG RESETSTAT.
pub(super) fn reset_statistics(turn: &mut Turn<'_, '_>) -> Done {
    turn.server.reset_statistics();
    turn.reply().ok();
    Ok(())
}

/// CONFIG REWRITE.
pub(super) fn rewrite(turn: &mut Turn<'_, '_>) -> Done {
    let Some(path) = &turn.server.config.file else {
        return Err(CommandError::new("The server is running without a config file"));
    };
    // The disk may take its time, and other connections of the shard are not to wait for it.
    turn.end_hold();
    rewrite::rewrite(turn.server, path).map_err(|why| {
        tracing::warn!(path = %path.display(), %why, "the configuration file was not rewritten");
        CommandError::new(format!("Rewriting config file: {why}"))
    })?;
    tracing::info!(path = %path.display(), "configuration file rewritten");
    turn.reply().ok();
    Ok(())
}

/// A change of a parameter: how, which, to what, and what it was.
type Change<'c> = (Set, &'static str, &'c str, String);

/// Takes back what was set before a later parameter was refused.
fn undo(server: &Server, applied: &[Change<'_>]) {
    for (set, _, _, before) in applied {
        set(server, before).expect("what a parameter was is legal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_and_in_lower_case() {
        assert!(PARAMETERS.is_sorted_by(|one, next| one.name < next.name));
        assert!(PARAMETERS.iter().all(|parameter| parameter.name == parameter.name.to_lowercase()));
    }
}
