//! What the server is told at its start: flags over environment over file over defaults.
//!
//! All three speak through one table of options ([`options::OPTIONS`]), so that a key of the file, a
//! `STANCHION_…` variable and a flag mean the same and are refused in the same words. Every problem is one
//! line that says where it is and what to write instead, and nothing is ignored: an option that nobody reads
//! is how a misspelt one goes unnoticed for days.

mod diagnostics;
mod document;
mod durations;
mod file;
mod options;
mod queues;
mod sizes;
mod users;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use stanchion_protocol::Limits;
use stanchion_storage::Durability;

use crate::output_limits::OutputLimits;
use crate::tls::TlsFiles;

pub use diagnostics::{DebugAccess, Diagnostics};
pub use document::configuration_md;
pub use durations::{duration_text, parse_duration};
pub use options::{OPTIONS, Opt};
pub(crate) use options::{durability_text, parse_memory, parse_yes_or_no};
pub use queues::QueueFile;
pub(crate) use sizes::{memory_default, parse_bytes};
pub use users::UserFile;

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// A password, which no log line and no debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The configuration of a server, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses to listen on.
    pub bind: Vec<IpAddr>,
    /// The port to listen on; 0 lets the system choose one, `None` is off.
    pub port: Option<u16>,
    /// The port to listen on with TLS; 0 lets the system choose one, `None` is off.
    pub tls_port: Option<u16>,
    /// The certificates, and who must show one.
    pub tls: TlsFiles,
    /// The Unix socket to listen on.
    pub unix_socket: Option<PathBuf>,
    /// The permissions of its file.
    pub unix_socket_mode: u32,
    /// Where to show /health and /metrics.
    pub http: Option<SocketAddr>,
    /// Whether clients of other machines are refused while there is no password.
    pub protected_mode: bool,
    /// The file that it was read from.
    pub file: Option<PathBuf>,
    /// The data directory.
    pub dir: PathBuf,
    /// When replies wait for the disk.
    pub durability: Durability,
    /// How many shards own the queues.
    pub shards: u16,
    /// How many threads serve connections.
    pub threads: u16,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What clients must say to AUTH; forgotten once the server has its hash.
    pub password: Option<Secret>,
    /// The file of users for ACL LOAD and SAVE.
    pub acl_file: Option<PathBuf>,
    /// Users by their names; forgotten once the server has them.
    pub users: UserFile,
    /// Commands that nobody may run.
    pub disabled_commands: Vec<String>,
    /// How many clients may be connected at once.
    pub clients_max: u32,
    /// A client that says nothing for so long is disconnected; zero: never.
    pub idle_timeout: Duration,
    /// A client that must log in has to do it within this; zero: never.
    pub login_timeout: Duration,
    /// A command must have arrived within this of its first byte; zero: never.
    pub request_timeout: Duration,
    /// After so long the system asks a silent peer whether it is there; zero: never.
    pub tcp_keepalive: Duration,
    /// After a restart no lease ends sooner than this.
    pub lease_grace: Duration,
    /// How long an ordered shutdown may take.
    pub shutdown_timeout: Duration,
    /// The size of the log's segments.
    pub segment_bytes: u64,
    /// How much may wait for the log's writer.
    pub staged_bytes_max: usize,
    /// How large all files of the log may be together.
    pub disk_budget: Option<u64>,
    /// How much memory jobs and their payloads may take; 0: no limit.
    pub memory_bytes_max: u64,
    /// How much a client may leave unread before it is disconnected.
    pub output_limits: OutputLimits,
    /// What operators debug with.
    pub diagnostics: Diagnostics,
    /// What one command may say.
    pub limits: Limits,
    /// The settings of queues by their names.
    pub queues: QueueFile,
}

/// Flags, as they were typed: the text of each option that was given.
#[derive(Clone, Default, Debug)]
pub struct Overrides {
    /// `--config`: the TOML file.
    pub config: Option<PathBuf>,
    /// `--bind`
    pub bind: Option<String>,
    /// `--port`
    pub port: Option<String>,
    /// `--http`
    pub http: Option<String>,
    /// `--dir`
    pub dir: Option<String>,
    /// `--durability`
    pub durability: Option<String>,
    /// `--shards`
    pub shards: Option<String>,
    /// `--log-format`
    pub log_format: Option<String>,
}

/// What is wrong with the configuration: where, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// `file:line`, a variable or a flag.
    pub place: String,
    /// What is wrong there, and the remedy.
    pub problem: String,
}

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "STANCHION_CONFIG";

/// All our variables begin so.
const VARIABLE_PREFIX: &str = "STANCHION_";

impl Config {
    /// Reads flags, the process's environment and the file that they name.
    ///
    /// # Errors
    /// The first problem found.
    pub fn load(overrides: &Overrides) -> Result<Config, ConfigError> {
        Config::load_from(overrides, std::env::vars_os())
    }

    /// The same, with another environment.
    ///
    /// # Errors
    /// The first problem found.
    pub fn load_from(
        overrides: &Overrides,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, ConfigError> {
        let environment = Environment::read(variables)?;
        let mut config = Config::default();
        if let Some(path) = overrides.config.as_ref().or(environment.config.as_ref()) {
            file::apply(&mut config, path)?;
            config.file = Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        }
        for (option, text) in &environment.values {
            option.set(&mut config, text).map_err(|problem| ConfigError::new(option.variable(), problem))?;
        }
        for (flag, text) in overrides.given() {
            let option = options::find(flag).expect("every flag is in the table of options");
            option
                .set(&mut config, text)
                .map_err(|problem| ConfigError::new(format!("--{flag}"), problem))?;
        }
        config.check()?;
        Ok(config)
    }

    /// What no single option can know.
    fn check(&self) -> Result<(), ConfigError> {
        if self.port.is_none() && self.tls_port.is_none() && self.unix_socket.is_none() {
            return Err(ConfigError::new(
                "port".into(),
                "off leaves nothing to listen on; set tls-port, unix-socket, or a port".into(),
            ));
        }
        if self.tls_port.is_none() && self.tls != TlsFiles::default() {
            return Err(ConfigError::new(
                "tls-port".into(),
                "off, so the other tls-… options do nothing; set it, or remove them".into(),
            ));
        }
        self.check_users()?;
        if self.limits.payload_bytes_max > self.limits.args_bytes_max {
            return Err(ConfigError::new(
                "limits.payload-bytes-max".into(),
                format!(
                    "{} is more than limits.args-bytes-max ({}); a payload is an argument, so lower it or raise the other",
                    self.limits.payload_bytes_max, self.limits.args_bytes_max
                ),
            ));
        }
        Ok(())
    }
}

impl Config {
    /// Whether each user is said once: what a second place says would be ignored, as in Redis, or override the first.
    fn check_users(&self) -> Result<(), ConfigError> {
        let why = if self.acl_file.is_some() && !self.users.is_empty() {
            "has no place beside [users]; write all users into the file, or all into the configuration"
        } else if self.acl_file.is_some() && self.password.is_some() {
            "has no place beside requirepass; give the default user its password in the file"
        } else if self.users.has("default") && self.password.is_some() {
            let problem = "has no place beside requirepass; give the default user its password here";
            return Err(ConfigError::new("users.default".into(), problem.into()));
        } else {
            return Ok(());
        };
        Err(ConfigError::new("aclfile".into(), why.into()))
    }
}

impl Default for Config {
    /// What the table of options says where nobody else says anything.
    fn default() -> Config {
        let mut config = Config {
            bind: Vec::new(),
            port: None,
            tls_port: None,
            tls: TlsFiles::default(),
            unix_socket: None,
            unix_socket_mode: 0,
            http: None,
            protected_mode: true,
            file: None,
            dir: PathBuf::new(),
            durability: Durability::Always,
            shards: 1,
            threads: 1,
            log_format: LogFormat::Text,
            password: None,
            acl_file: None,
            users: UserFile::default(),
            disabled_commands: Vec::new(),
            clients_max: 0,
            idle_timeout: Duration::ZERO,
            login_timeout: Duration::ZERO,
            request_timeout: Duration::ZERO,
            tcp_keepalive: Duration::ZERO,
            lease_grace: Duration::ZERO,
            shutdown_timeout: Duration::ZERO,
            segment_bytes: 0,
            staged_bytes_max: 0,
            disk_budget: None,
            memory_bytes_max: 0,
            output_limits: OutputLimits::default(),
            diagnostics: Diagnostics::NOTHING,
            limits: Limits::default(),
            queues: QueueFile::default(),
        };
        for option in OPTIONS {
            option.set(&mut config, &option.default_text()).expect("a default is a legal value");
        }
        config
    }
}

impl Overrides {
    /// The flags that were given, with their texts.
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("bind", &self.bind),
            ("port", &self.port),
            ("http", &self.http),
            ("dir", &self.dir),
            ("durability", &self.durability),
            ("shards", &self.shards),
            ("log-format", &self.log_format),
        ]
        .into_iter()
        .filter_map(|(flag, text)| text.as_deref().map(|text| (flag, text)))
    }
}

impl ConfigError {
    fn new(place: String, problem: String) -> ConfigError {
        ConfigError { place, problem }
    }
}

impl Secret {
    /// Keeps a password.
    pub fn new(password: String) -> Secret {
        Secret(password)
    }

    /// The password, for whoever hashes it, and for the file that it came from.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What our variables say.
struct Environment {
    config: Option<PathBuf>,
    values: Vec<(&'static Opt, String)>,
}

impl Environment {
    fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Environment, ConfigError> {
        let mut environment = Environment { config: None, values: Vec::new() };
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(VARIABLE_PREFIX)) else { continue };
            if name == CONFIG_VARIABLE {
                environment.config = Some(PathBuf::from(value));
                continue;
            }
            let Some(option) = OPTIONS.iter().find(|option| option.variable() == name) else {
                let names = OPTIONS.iter().map(Opt::variable).chain([CONFIG_VARIABLE.to_owned()]);
                return Err(ConfigError::new(name.to_owned(), unknown("variable", name, names)));
            };
            let Some(value) = value.to_str() else {
                return Err(ConfigError::new(name.to_owned(), format!("not UTF-8; {}", option.expected)));
            };
            environment.values.push((option, value.to_owned()));
        }
        Ok(environment)
    }
}

/// The refusal of a name that does not exist, with the nearest one that does.
fn unknown(what: &str, name: &str, names: impl Iterator<Item = String>) -> String {
    let nearest = names
        .map(|known| (strsim::damerau_levenshtein(&known, name), known))
        .min()
        .expect("there are names to choose from")
        .1;
    format!("there is no {what} '{}'; did you mean '{nearest}'?", name.escape_debug())
}

#[cfg(test)]
mod tests;
