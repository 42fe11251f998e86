//! The table of options: each one's name, default and meaning.
//!
//! A key of the file is the option's name, its variable the same in capitals after `STANCHION_`, and the most
//! common ones are flags too.

use std::path::PathBuf;
use std::time::Duration;

use stanchion_protocol::limits;
use stanchion_storage::Durability;
use stanchion_storage::limits::{SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN, STAGED_BYTES_MAX_DEFAULT};

use super::{
    Config, LogFormat, Secret, diagnostics, duration_text, memory_default, parse_bytes, parse_duration,
};
use crate::acl;
use crate::limits::{MEMORY_BYTES_MIN, PASSWORD_BYTES_MAX, SHARDS_MAX, THREADS_MAX, UNIX_SOCKET_BYTES_MAX};
use crate::output_limits::OutputLimits;
use crate::tls::AuthClients;

/// What the system takes for keepalive, in whole hours.
const KEEPALIVE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(9 * 3_600);

/// One option.
pub struct Opt {
    /// Its key in the file; a dot stands for a table.
    pub name: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// What its value must look like, as a remedy: "write …".
    pub expected: &'static str,
    pub(super) default: fn() -> String,
    pub(super) set: fn(&mut Config, &str) -> Option<()>,
}

/// Every option there is.
pub const OPTIONS: &[Opt] = &[
    Opt {
        name: "bind",
        summary: "The addresses to listen on, in a list or with spaces between them.",
        expected: "write IP addresses such as 127.0.0.1, 0.0.0.0 or ::1",
        default: || "127.0.0.1".into(),
        set: |config, text| {
            config.bind = text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
            (!config.bind.is_empty()).then_some(())
        },
    },
    Opt {
        name: "port",
        summary: "The port to listen on; 0 lets the system choose one, off listens on none.",
        expected: "write a number from 0 to 65535, or off",
        default: || "7379".into(),
        set: |config, text| parse_port(text).map(|port| config.port = port),
    },
    Opt {
        name: "tls-port",
        summary: "The port to listen on with TLS; 0 lets the system choose one, off listens on none.",
        expected: "write a number from 0 to 65535, or off",
        default: || "off".into(),
        set: |config, text| parse_port(text).map(|port| config.tls_port = port),
    },
    Opt {
        name: "tls-cert-file",
        summary: "The server's certificate and those between it and its authority, in PEM format; read again on SIGHUP.",
        expected: "write the path of a file",
        default: String::new,
        set: |config, text| {
            config.tls.cert = parse_path(text);
            Some(())
        },
    },
    Opt {
        name: "tls-key-file",
        summary: "The certificate's private key, in PEM format; read again on SIGHUP.",
        expected: "write the path of a file",
        default: String::new,
        set: |config, text| {
            config.tls.key = parse_path(text);
            Some(())
        },
    },
    Opt {
        name: "tls-ca-cert-file",
        summary: "The authorities whose certificates clients may show, in PEM format; read again on SIGHUP.",
        expected: "write the path of a file",
        default: String::new,
        set: |config, text| {
            config.tls.ca_cert = parse_path(text);
            Some(())
        },
    },
    Opt {
        name: "tls-auth-clients",
        summary: "Whether clients must show a certificate: yes; no; optional, where one that is shown must be good.",
        expected: "write yes, no or optional",
        default: || "yes".into(),
        set: |config, text| AuthClients::parse(text).map(|auth| config.tls.auth_clients = auth),
    },
    Opt {
        name: "unix-socket",
        summary: "The path of a Unix socket to listen on; empty: none. A file that a dead server left there is replaced.",
        expected: "write a path, or nothing for none",
        default: String::new,
        set: |config, text| {
            config.unix_socket = parse_path(text);
            (text.len() <= UNIX_SOCKET_BYTES_MAX).then_some(())
        },
    },
    Opt {
        name: "unix-socket-mode",
        summary: "The permissions of the Unix socket's file, in octal. Whoever may write to it may connect.",
        expected: "write an octal number from 0 to 777, in quotes, such as \"770\"",
        default: || "700".into(),
        set: |config, text| {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
            mode.map(|mode| config.unix_socket_mode = mode)
        },
    },
    Opt {
        name: "http",
        summary: "IP:PORT for /health and /metrics over HTTP, without TLS and without a password; port 0 lets the system choose one; off: none.",
        expected: "write IP:PORT such as 127.0.0.1:7380, or off",
        default: || "off".into(),
        set: |config, text| {
            config.http = if text == "off" { None } else { Some(text.parse().ok()?) };
            Some(())
        },
    },
    Opt {
        name: "protected-mode",
        summary: "Whether clients of other machines are refused while the default user has no password.",
        expected: "write yes or no",
        default: || "yes".into(),
        set: |config, text| parse_yes_or_no(text).map(|yes| config.protected_mode = yes),
    },
    Opt {
        name: "dir",
        summary: "The data directory. It is created when it is missing, and nothing else may live there.",
        expected: "write the path of a directory",
        default: || "stanchion-data".into(),
        set: |config, text| (!text.is_empty()).then(|| config.dir = PathBuf::from(text)),
    },
    Opt {
        name: "durability",
        summary: "When replies wait for the disk.",
        expected: "write always, never or an interval such as 1s",
        default: || "always".into(),
        set: |config, text| parse_durability(text).map(|durability| config.durability = durability),
    },
    Opt {
        name: "shards",
        summary: "How many shards own the queues; it may change between runs.",
        expected: "write a number from 1 to 256",
        default: || shards_default().to_string(),
        set: |config, text| number(text, 1, SHARDS_MAX.into()).map(|shards| config.shards = shards as u16),
    },
    Opt {
        name: "threads",
        summary: "How many threads serve connections; the log's writer and the system's network work need a core, too.",
        expected: "write a number from 1 to 256",
        default: || threads_default().to_string(),
        set: |config, text| {
            number(text, 1, THREADS_MAX.into()).map(|threads| config.threads = threads as u16)
        },
    },
    Opt {
        name: "log-format",
        summary: "How log lines are written.",
        expected: "write text or json",
        default: || "text".into(),
        set: |config, text| {
            config.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return None,
            };
            Some(())
        },
    },
    Opt {
        name: "requirepass",
        summary: "What clients must say to AUTH; empty: nothing.",
        expected: "write a password of at most 4096 bytes, or nothing for none",
        default: String::new,
        set: |config, text| {
            if text.len() > PASSWORD_BYTES_MAX {
                return None;
            }
            config.password = (!text.is_empty()).then(|| Secret::new(text.to_owned()));
            Some(())
        },
    },
    Opt {
        name: "aclfile",
        summary: "The file of users that ACL LOAD reads and ACL SAVE writes; it must be there. Empty: none.",
        expected: "write the path of a file, or nothing for none",
        default: String::new,
        set: |config, text| {
            config.acl_file = (!text.is_empty()).then(|| PathBuf::from(text));
            Some(())
        },
    },
    Opt {
        name: "disabled-commands",
        summary: "Commands that nobody may run, in a list or with commas between them; a command's subcommands go with it.",
        expected: "write names of commands, such as flushall,config|set",
        default: String::new,
        set: |config, text| {
            let names = text.split([',', ' ']).filter(|name| !name.is_empty());
            config.disabled_commands = names.map(str::to_owned).collect();
            config.disabled_commands.iter().all(|name| acl::is_command(name)).then_some(())
        },
    },
    Opt {
        name: "clients-max",
        summary: "How many clients may be connected at once.",
        expected: "write a number from 1 to 1000000",
        default: || "10000".into(),
        set: |config, text| number(text, 1, 1_000_000).map(|max| config.clients_max = max as u32),
    },
    Opt {
        name: "idle-timeout",
        summary: "A client that says nothing for so long, and waits for nothing, is disconnected; 0: never.",
        expected: "write a duration such as 5m, or 0 for never",
        default: || "0ms".into(),
        set: |config, text| parse_duration(text).map(|timeout| config.idle_timeout = timeout),
    },
    diagnostics::SLOWER_THAN,
    diagnostics::SLOW_ENTRIES,
    diagnostics::LATENCY_THRESHOLD,
    diagnostics::DEBUG,
    Opt {
        name: "login-timeout",
        summary: "A client that must log in and has not after so long is disconnected; 0: never.",
        expected: "write a duration such as 1m, or 0 for never",
        default: || "1m".into(),
        set: |config, text| parse_duration(text).map(|timeout| config.login_timeout = timeout),
    },
    Opt {
        name: "request-timeout",
        summary: "A client whose command has begun to arrive and is not complete after so long is disconnected; 0: never.",
        expected: "write a duration such as 1m, or 0 for never",
        default: || "1m".into(),
        set: |config, text| parse_duration(text).map(|timeout| config.request_timeout = timeout),
    },
    Opt {
        name: "tcp-keepalive",
        summary: "After so long a silent peer is asked whether it is there, and one that takes no replies is given up; 0: never.",
        expected: "write a duration from 1s to 9h such as 5m, or 0 for never",
        default: || "5m".into(),
        set: |config, text| {
            // The system counts in whole seconds, and up to 32767 of them.
            let keepalive = parse_duration(text).filter(|time| time.is_zero() || KEEPALIVE.contains(time))?;
            config.tcp_keepalive = keepalive;
            Some(())
        },
    },
    Opt {
        name: "lease-grace",
        summary: "After a restart no lease ends sooner than this, so that running jobs can be reported.",
        expected: "write a duration such as 60s",
        default: || "1m".into(),
        set: |config, text| parse_duration(text).map(|grace| config.lease_grace = grace),
    },
    Opt {
        name: "shutdown-timeout",
        summary: "How long an ordered shutdown may take before it is hurried.",
        expected: "write a duration such as 10s",
        default: || "10s".into(),
        set: |config, text| parse_duration(text).map(|timeout| config.shutdown_timeout = timeout),
    },
    Opt {
        name: "segment-bytes",
        summary: "The size of new segments of the log.",
        expected: "write a number of bytes from 4096 to 4294967296",
        default: || SEGMENT_BYTES_DEFAULT.to_string(),
        set: |config, text| {
            number(text, SEGMENT_BYTES_MIN, 1 << 32).map(|bytes| config.segment_bytes = bytes)
        },
    },
    Opt {
        name: "disk-budget",
        summary: "How large all files of the log may be together, checkpoints included, at least five segments; 0: as large as the disk has room for.",
        expected: "write a number of bytes, or 0 for no budget",
        default: || "0".into(),
        set: |config, text| {
            let bytes = number(text, 0, 1 << 60)?;
            config.disk_budget = (bytes > 0).then_some(bytes);
            Some(())
        },
    },
    Opt {
        name: "staged-bytes-max",
        summary: "How much may wait for the log's writer before clients wait.",
        expected: "write a number of bytes from 4096 to 1073741824",
        default: || STAGED_BYTES_MAX_DEFAULT.to_string(),
        set: |config, text| number(text, 4096, 1 << 30).map(|bytes| config.staged_bytes_max = bytes as usize),
    },
    Opt {
        name: "maxmemory",
        summary: "How much memory jobs and their payloads may take: payloads beyond it are only in the log, and with more jobs than that pushes are refused; 0: no limit.",
        expected: "write a number of bytes such as 1gb, 512mb or 0, as Redis does",
        default: || memory_default().to_string(),
        set: |config, text| parse_memory(text).map(|bytes| config.memory_bytes_max = bytes),
    },
    Opt {
        name: "client-output-buffer-limit",
        summary: "What a client may leave unread before it is disconnected: normal for replies, pubsub for messages; each with a hard limit, a soft one and the seconds for that.",
        expected: "write classes as Redis does, such as \"normal 256mb 0 0 pubsub 32mb 8mb 60\"",
        default: || OutputLimits::default().to_string(),
        set: |config, text| config.output_limits.change(text).ok(),
    },
    Opt {
        name: "limits.name-bytes-max",
        summary: "Bytes of a queue's or group's name, a dedupe key, a worker's name or a root's signature.",
        expected: "write a number from 1 to 255",
        default: || limits::NAME_BYTES_MAX.to_string(),
        set: |config, text| {
            number(text, 1, limits::NAME_BYTES_MAX as u64)
                .map(|max| config.limits.name_bytes_max = max as usize)
        },
    },
    Opt {
        name: "limits.payload-bytes-max",
        summary: "Bytes of one job's payload.",
        expected: "write a number from 1 to 16777216",
        default: || limits::PAYLOAD_BYTES_MAX.to_string(),
        set: |config, text| {
            let max = number(text, 1, limits::PAYLOAD_BYTES_MAX as u64)?;
            config.limits.payload_bytes_max = max as usize;
            Some(())
        },
    },
    Opt {
        name: "limits.args-bytes-max",
        summary: "Bytes of all arguments of one command, or of all commands of one EXEC.",
        expected: "write a number from 1024 to 33554432",
        default: || limits::ARGS_BYTES_MAX.to_string(),
        set: |config, text| {
            let max = number(text, 1024, limits::ARGS_BYTES_MAX as u64)?;
            config.limits.args_bytes_max = max as usize;
            Some(())
        },
    },
    Opt {
        name: "limits.command-jobs-max",
        summary: "Jobs that one command may push, or name by receipt or id.",
        expected: "write a number from 1 to 10000",
        default: || limits::COMMAND_JOBS_MAX.to_string(),
        set: |config, text| {
            let max = number(text, 1, limits::COMMAND_JOBS_MAX.into())?;
            config.limits.command_jobs_max = max as u32;
            Some(())
        },
    },
    Opt {
        name: "limits.claim-jobs-max",
        summary: "Jobs that one claim may ask for.",
        expected: "write a number from 1 to 10000",
        default: || limits::CLAIM_JOBS_MAX.to_string(),
        set: |config, text| {
            let max = number(text, 1, limits::CLAIM_JOBS_MAX.into())?;
            config.limits.claim_jobs_max = max as u32;
            Some(())
        },
    },
];

impl Opt {
    /// Its value where nobody says anything.
    pub fn default_text(&self) -> String {
        (self.default)()
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        let name: String = self
            .name
            .chars()
            .map(|c| if c == '-' || c == '.' { '_' } else { c.to_ascii_uppercase() })
            .collect();
        format!("STANCHION_{name}")
    }

    /// Reads a value, or says what to write instead.
    pub(crate) fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        // A password is not repeated, not even a bad one.
        let shown =
            if self.name == "requirepass" { "(hidden)".into() } else { text.escape_debug().to_string() };
        (self.set)(config, text)
            .ok_or_else(|| format!("'{shown}' is not a value of {}; {}", self.name, self.expected))
    }
}

/// Options whose value may be a list in the file; elsewhere there are spaces between its words.
pub(super) const LISTS: &[&str] = &["bind", "disabled-commands"];

/// The option of this name.
pub(crate) fn find(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// `always`, `never` or an interval.
pub(crate) fn parse_durability(text: &str) -> Option<Durability> {
    match text {
        "always" => Some(Durability::Always),
        "never" => Some(Durability::Never),
        text => parse_duration(text).filter(|every| *every > Duration::ZERO).map(Durability::Interval),
    }
}

/// A durability as the configuration writes it.
pub(crate) fn durability_text(durability: Durability) -> String {
    match durability {
        Durability::Always => "always".into(),
        Durability::Never => "never".into(),
        Durability::Interval(every) => duration_text(every),
    }
}

/// `yes` or `no`, as Redis has it; TOML's `true` and `false` mean the same.
pub(crate) fn parse_yes_or_no(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// A size of memory that is enough to begin with, or 0.
pub(crate) fn parse_memory(text: &str) -> Option<u64> {
    parse_bytes(text).filter(|bytes| *bytes == 0 || *bytes >= MEMORY_BYTES_MIN)
}

/// A path, or nothing.
fn parse_path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// A port, or `off`.
fn parse_port(text: &str) -> Option<Option<u16>> {
    if text == "off" {
        return Some(None);
    }
    text.parse().ok().map(Some)
}

/// A whole number within bounds.
pub(super) fn number(text: &str, min: u64, max: u64) -> Option<u64> {
    text.parse().ok().filter(|value| (min..=max).contains(value))
}

/// One core is left to the log's writer and to the system. On two cores that costs less a job than two threads
/// that keep putting each other to sleep (docs/adr/0006).
fn threads_default() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(1).clamp(1, THREADS_MAX.into()) as u16
}

/// Two shards a core keep two connections from meeting at one lock most of the time.
fn shards_default() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).min(usize::from(SHARDS_MAX)) as u16
}
