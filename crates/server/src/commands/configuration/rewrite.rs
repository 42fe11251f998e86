//! CONFIG REWRITE: what CONFIG SET has changed goes into the file that the server was started with.
//!
//! Only the changed keys are touched, so comments and order stay. The file is replaced as a whole: a crash leaves the
//! old one or the new one.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use toml_edit::{DocumentMut, Item, Value, value};

use super::path_text;
use crate::config::duration_text;
use crate::server::Server;

/// A parameter that can be changed while the server runs, as the file writes it.
struct Live {
    /// Its name in CONFIG SET.
    parameter: &'static str,
    /// Its key in the file.
    key: &'static str,
    value: fn(&Server) -> Value,
}

const LIVE: &[Live] = &[
    Live {
        parameter: "client-output-buffer-limit",
        key: "client-output-buffer-limit",
        value: |server| server.clients.output_limits.get().to_string().into(),
    },
    Live {
        parameter: "latency-monitor-threshold",
        key: "latency-monitor-threshold",
        value: |server| (server.latency.threshold_ms() as i64).into(),
    },
    Live {
        parameter: "maxclients",
        key: "clients-max",
        value: |server| i64::from(server.live.clients_max()).into(),
    },
    Live {
        parameter: "maxmemory",
        key: "maxmemory",
        value: |server| (server.memory_bytes_max() as i64).into(),
    },
    Live {
        parameter: "protected-mode",
        key: "protected-mode",
        value: |server| server.live.protected_mode.load(Ordering::Relaxed).into(),
    },
    Live {
        parameter: "requirepass",
        key: "requirepass",
        value: |server| {
            server.live.new_password.lock().as_ref().map_or("", |password| password.reveal()).into()
        },
    },
    Live {
        parameter: "slowlog-log-slower-than",
        key: "slowlog-log-slower-than",
        value: |server| server.attention.slow_us().into(),
    },
    Live {
        parameter: "slowlog-max-len",
        key: "slowlog-max-len",
        value: |server| (server.slow_log.entries_max() as i64).into(),
    },
    Live {
        parameter: "timeout",
        key: "idle-timeout",
        value: |server| duration_text(server.live.idle_timeout().unwrap_or_default()).into(),
    },
    Live {
        parameter: "tls-auth-clients",
        key: "tls-auth-clients",
        value: |server| server.tls.files().auth_clients.to_string().into(),
    },
    Live {
        parameter: "tls-ca-cert-file",
        key: "tls-ca-cert-file",
        value: |server| path_text(server.tls.files().ca_cert).into(),
    },
    Live {
        parameter: "tls-cert-file",
        key: "tls-cert-file",
        value: |server| path_text(server.tls.files().cert).into(),
    },
    Live {
        parameter: "tls-key-file",
        key: "tls-key-file",
        value: |server| path_text(server.tls.files().key).into(),
    },
];

/// Writes the changed parameters into the file.
pub(super) fn rewrite(server: &Server, path: &Path) -> Result<(), String> {
    let changed = server.live.changed.lock();
    let changes: Vec<_> = LIVE
        .iter()
        .filter(|live| changed.contains(live.parameter))
        .map(|live| (live.key, (live.value)(server)))
        .collect();
    let failed = |error: io::Error| error.to_string();
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let text = edit(&text, changes)?;
    // Two at once would write the same temporary file, so the lock is held to the end.
    replace(path, &text).map_err(failed)
}

/// The file's text with other values.
fn edit(text: &str, changes: Vec<(&str, Value)>) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error| format!("it is no TOML any more: {error}"))?;
    for (key, new) in changes {
        match document.get_mut(key) {
            // What stands around the old value, a comment most of the time, stays.
            Some(Item::Value(old)) => {
                let decor = old.decor().clone();
                *old = new;
                *old.decor_mut() = decor;
            }
            Some(other) => *other = value(new),
            None => _ = document.insert(key, value(new)),
        }
    }
    Ok(document.to_string())
}

/// Replaces a file as a whole, with the same permissions.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // Where a link leads, the file itself is meant.
    let path = path.canonicalize()?;
    let directory = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::NotFound)?.to_owned();
    name.push(".rewritten");
    let new = directory.join(name);
    let written = write_new(&new, text, std::fs::metadata(&path)?.permissions())
        .and_then(|()| std::fs::rename(&new, &path));
    if written.is_err() {
        // The old file stands, and the failure is what matters.
        _ = std::fs::remove_file(&new);
    }
    written?;
    File::open(directory)?.sync_all()
}

fn write_new(path: &Path, text: &str, permissions: Permissions) -> io::Result<()> {
    let mut file = File::create(path)?;
    // Before anything is in it: there may be a password.
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::configuration::PARAMETERS;

    #[test]
    fn every_parameter_that_can_be_set_can_be_written() {
        let settable = PARAMETERS.iter().filter(|parameter| parameter.set.is_some());
        let names: Vec<_> = settable.map(|parameter| parameter.name).collect();
        assert_eq!(LIVE.iter().map(|live| live.parameter).collect::<Vec<_>>(), names);
        for live in LIVE {
            assert!(crate::config::OPTIONS.iter().any(|option| option.name == live.key), "{}", live.key);
        }
    }

    #[test]
    fn only_what_was_changed_is_touched() {
        let old = "# ours\nport = 7379 # as ever\nclients-max = 10 # few\n\n[limits]\nclaim-jobs-max = 5\n";
        let text = edit(old, vec![("clients-max", 20.into()), ("idle-timeout", "5m".into())]).unwrap();
        assert_eq!(
            text,
            "# ours\nport = 7379 # as ever\nclients-max = 20 # few\nidle-timeout = \"5m\"\n\n[limits]\nclaim-jobs-max = 5\n"
        );
        assert!(edit("port = ", Vec::new()).unwrap_err().contains("no TOML"));
    }

    #[test]
    fn a_file_is_replaced_with_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("a.toml"), directory.path().join("link.toml"));
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
