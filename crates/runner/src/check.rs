//! The second half of a check, beyond the file: whether this machine can do what it asks for, and whether its server
//! is there and is a Stanchion.

use std::time::Duration;

use stanchion_client::{Client, Error};

use crate::config::{Config, ConfigError, Problem};
use crate::process::cgroup::{Delegated, REMEDY};

/// How long the server may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Whether this process could limit its jobs' memory, if the configuration asks for that. Changes nothing.
pub fn memory_limits(file: &str, config: &Config) -> Result<(), ConfigError> {
    let Some(line) = config.memory_max_line else { return Ok(()) };
    let Err(reason) = Delegated::find() else { return Ok(()) };
    let what = format!("memory-max can't be kept to: {reason}");
    let problem = Problem { line, what, instead: REMEDY.to_owned() };
    Err(ConfigError { file: file.to_owned(), problems: vec![problem] })
}

/// Asks the server; returns what was found, in words. `file` is the file's name in messages.
pub async fn server(file: &str, config: &Config) -> Result<String, ConfigError> {
    let problem = |what: String, instead: &str| {
        let problem = Problem { line: config.url_line, what, instead: instead.to_owned() };
        ConfigError { file: file.to_owned(), problems: vec![problem] }
    };
    let client =
        Client::new(&config.url).map_err(|error| problem(error.to_string(), "write the url of a server"))?;
    let address = client.address();
    // QLIST, because no other server knows it.
    let answer = tokio::time::timeout(ANSWER_MAX, client.list(None)).await;
    match answer.unwrap_or(Err(Error::Timeout(ANSWER_MAX))) {
        Ok(_) | Err(Error::Loading(_)) => {
            let slots: u32 = config.groups.iter().map(|group| group.slots).sum();
            Ok(format!("{} groups with {slots} slots, server at {address}", config.groups.len()))
        }
        Err(Error::Auth(error)) => {
            let what = format!("the server at {address} does not let the runner in: {error}");
            Err(problem(what, "write the password into the url, as in redis://:PASSWORD@HOST:PORT"))
        }
        Err(error @ (Error::Io(_) | Error::Timeout(_))) => {
            let what = format!("the server at {address} does not answer: {error}");
            Err(problem(what, "start it, or write the url of one that runs"))
        }
        Err(error) => {
            let what = format!("the server at {address} is not a Stanchion: {error}");
            Err(problem(what, "write the url of one"))
        }
    }
}
