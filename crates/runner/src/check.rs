//! The second half of a check, beyond the file: whether this machine can do what it asks for, with the programs that
//! it names; and whether its server is there, is a Stanchion, and lets the runner do what its groups and schedules need.
//!
//! Nothing is changed by it. What the user may do is asked with commands that are wrong in a way which the server
//! notices only after it has looked at the user's rules.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use stanchion_client::{Client, Error, Right};

use crate::config::{Config, ConfigError, Dispatcher, Group, Problem};
use crate::group::sources;
use crate::process::cgroup::{Delegated, REMEDY};

/// How long the server may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Whether this machine can do what the configuration asks for. Changes nothing. `file` is the file's name in messages.
pub fn machine(file: &str, config: &Config) -> Result<(), ConfigError> {
    memory_limits(file, config)?;
    tls_files(file, config)?;
    programs(file, config)
}

/// Whether this process could limit its jobs' memory, if the configuration asks for that. Changes nothing.
fn memory_limits(file: &str, config: &Config) -> Result<(), ConfigError> {
    let Some(line) = config.memory_max_line else { return Ok(()) };
    let Err(reason) = Delegated::find() else { return Ok(()) };
    let what = format!("memory-max can't be kept to: {reason}");
    let problem = Problem { line, what, instead: REMEDY.to_owned() };
    Err(ConfigError { file: file.to_owned(), problems: vec![problem] })
}

/// Reads the files that TLS takes.
fn tls_files(file: &str, config: &Config) -> Result<(), ConfigError> {
    let Some(tls) = &config.server.tls else { return Ok(()) };
    let Err(error) = tls.check() else { return Ok(()) };
    let problem = match error {
        Error::TlsFile { option, what, instead } => Problem {
            line: config.lines.of_key(&format!("server.{option}")),
            what: format!("\"{option}\" {what}"),
            instead: instead.to_owned(),
        },
        other => url_problem(config, other.to_string(), "write other files"),
    };
    Err(ConfigError { file: file.to_owned(), problems: vec![problem] })
}

/// A problem of the server, or of the user that the url names.
fn url_problem(config: &Config, what: String, instead: &str) -> Problem {
    Problem { line: config.lines.of_key("server.url"), what, instead: instead.to_owned() }
}

/// Looks for the programs of all dispatchers.
fn programs(file: &str, config: &Config) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    let mut seen = Vec::new();
    for group in &config.groups {
        let Some(program) = group.dispatcher.program() else { continue };
        // Several groups may share a dispatcher.
        if seen.contains(&&group.dispatcher_name) {
            continue;
        }
        seen.push(&group.dispatcher_name);
        if let Err((what, instead)) = find(program) {
            let line = config.lines.of_key(&format!("dispatchers.{}.command", group.dispatcher_name));
            problems.push(Problem { line, what, instead });
        }
    }
    finish(file, problems)
}

/// What is to be known about a server that lets the runner work.
#[derive(Debug)]
pub struct Found {
    /// The groups and the server, in words.
    pub words: String,
    /// What is allowed but looks like a mistake.
    pub warnings: Vec<Problem>,
}

/// Asks the server; returns what was found.
pub async fn server(file: &str, config: &Config) -> Result<Found, ConfigError> {
    let problem = |what: String, instead: &str| {
        let problems = vec![url_problem(config, what, instead)];
        ConfigError { file: file.to_owned(), problems }
    };
    let client =
        config.server.client().map_err(|error| problem(error.to_string(), "write the url of a server"))?;
    let address = client.address();
    let found = async {
        client.connect().await?;
        let problems = missing_rights(&client, config).await?;
        Ok((problems, unseen(&client, config).await?))
    };
    let mut warnings = Vec::new();
    match tokio::time::timeout(ANSWER_MAX, found).await.unwrap_or(Err(Error::Timeout(ANSWER_MAX))) {
        Ok((problems, unseen)) => {
            finish(file, problems)?;
            warnings.extend(unseen);
        }
        Err(Error::Loading(_)) => {}
        Err(Error::Tls { what, instead }) => {
            return Err(problem(format!("no TLS with the server at {address}: {what}"), instead));
        }
        Err(Error::Auth(error)) => {
            let what = format!("the server at {address} does not let the runner in: {error}");
            return Err(problem(
                what,
                "write user and password into the url, as in redis://USER:PASSWORD@HOST:PORT",
            ));
        }
        Err(error @ (Error::Io(_) | Error::Timeout(_))) => {
            let what = format!("the server at {address} does not answer: {error}");
            return Err(problem(what, "start it, or write the url of one that runs"));
        }
        Err(error) => {
            let what = format!("the server at {address} is not a Stanchion: {error}");
            return Err(problem(what, "write the url of one"));
        }
    }
    let slots: u32 = config.groups.iter().map(|group| group.slots).sum();
    let words = format!("groups: {}, slots: {slots}, server: {address}", config.groups.len());
    Ok(Found { words, warnings })
}

/// What the user of the url may not do and has to.
async fn missing_rights(client: &Client, config: &Config) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for group in &config.groups {
        let line = config.lines.of_key(&format!("groups.{}.include", group.name));
        if matches!(group.dispatcher, Dispatcher::Drain(_)) {
            // Its commands claim by themselves, with a login of their own.
            if let Err(why) = client.may(&Right::Look).await? {
                let what = format!("the user may not look where group \"{}\" has jobs: {why}", group.name);
                let instead = "give it +qready on the server (ACL SETUSER)".to_owned();
                problems.push(Problem { line, what, instead });
            }
            continue;
        }
        let claim = Right::Claim(sources(group));
        if let Err(why) = client.may(&claim).await? {
            let what = format!("the user may not claim what group \"{}\" asks for: {why}", group.name);
            problems.push(Problem { line, what, instead: claim_rule(group) });
            continue;
        }
        // A glob is a name that it matches itself, so it stands for the queues that it matches.
        for queue in &group.include {
            if let Err(why) = client.may(&Right::Report(queue.clone())).await? {
                let what = format!("the user may not report jobs of \"{queue}\": {why}");
                problems.push(Problem { line, what, instead: claim_rule(group) });
                break;
            }
        }
    }
    for schedule in &config.schedules {
        if let Err(why) = client.may(&Right::Push(schedule.queue.clone())).await? {
            let line = config.lines.of_key(&format!("schedules.{}.queue", schedule.name));
            let what = format!("the user may not push to \"{}\": {why}", schedule.queue);
            let instead = format!("give it +qpush ~{} on the server (ACL SETUSER)", schedule.queue);
            problems.push(Problem { line, what, instead });
        }
    }
    Ok(problems)
}

/// A runner that may not tell that it is alive does its work, and nobody sees it.
async fn unseen(client: &Client, config: &Config) -> Result<Option<Problem>, Error> {
    let Err(why) = client.may(&Right::Beat).await? else { return Ok(None) };
    let what = format!("the user may not tell the server that the runner is alive: {why}");
    let instead = "operators will not see it in QWORKER LIST, nor can they stop it there; give it +qworker|beat \
                   +qworker|bye on the server (ACL SETUSER)";
    Ok(Some(url_problem(config, what, instead)))
}

/// The rule that a user needs for a group.
fn claim_rule(group: &Group) -> String {
    let low = group.low_priority.iter().flat_map(|low| &low.queues);
    let queues: Vec<String> = group.include.iter().chain(low).map(|queue| format!("~{queue}")).collect();
    format!("give it +@claim {} on the server (ACL SETUSER)", queues.join(" "))
}

fn finish(file: &str, mut problems: Vec<Problem>) -> Result<(), ConfigError> {
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort_by_key(|problem| problem.line);
    Err(ConfigError { file: file.to_owned(), problems })
}

/// Whether a program can be started; otherwise what is wrong and what to do.
fn find(program: &str) -> Result<(), (String, String)> {
    if program.contains('/') {
        return is_executable(Path::new(program));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let candidates: Vec<PathBuf> = env::split_paths(&path).map(|directory| directory.join(program)).collect();
    if candidates.iter().any(|candidate| is_executable(candidate).is_ok()) {
        return Ok(());
    }
    // One that is there and can't be started tells more than all places where it isn't.
    if let Some(there) = candidates.iter().find(|candidate| candidate.is_file()) {
        return is_executable(there);
    }
    let what = format!("the program \"{program}\" is in no directory of PATH");
    Err((what, "install it, or write its whole path".to_owned()))
}

fn is_executable(path: &Path) -> Result<(), (String, String)> {
    let shown = path.display();
    if !path.exists() {
        return Err((format!("there is no program {shown}"), "install it, or write where it is".to_owned()));
    }
    if !path.is_file() {
        return Err((format!("{shown} is not a program"), "write the path of one".to_owned()));
    }
    access(path, Access::EXEC_OK)
        .map_err(|_| (format!("{shown} can't be executed by this user"), format!("run chmod a+x {shown}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(command: &str) -> Result<(), String> {
        let text = format!(
            "[server]\nurl='redis://h'\n[groups.a]\nslots=1\ninclude=['*']\ndispatcher='d'\n\
             [dispatchers.d]\nkind='exec'\ncommand=['{command}']"
        );
        programs("f", &Config::parse("f", &text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn programs_are_looked_for_where_they_would_be_started() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let (plain, directory) = (plain.to_str().unwrap(), directory.path().to_str().unwrap());
        assert_eq!(checked("true"), Ok(()));
        assert_eq!(checked("/bin/sh"), Ok(()));
        let cases = [
            (
                "no-such-program",
                "f:9: the program \"no-such-program\" is in no directory of PATH; install it",
            ),
            ("/no/such/program", "f:9: there is no program /no/such/program; install it"),
            (directory, "is not a program; write the path of one"),
            (plain, "can't be executed by this user; run chmod a+x "),
        ];
        for (command, expected) in cases {
            let error = checked(command).unwrap_err();
            assert!(error.contains(expected), "{command}: {error}");
        }
    }
}
