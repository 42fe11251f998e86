//! What the server lets this client's user do, asked without doing it.
//!
//! The server looks at a user's rules before it reads a command's options. So a command whose options are wrong is
//! answered with the rules' refusal, or, if they allow it, with one about its options; in both cases nothing has
//! happened. (ACL DRYRUN would say it, too, but only to administrators.)

use redis::Cmd;

use crate::claim::Sources;
use crate::connection::Client;
use crate::error::{Error, Result};

/// Something that a user may or may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// Claim from these queues.
    Claim(Sources),
    /// Ack, nack, release and extend jobs of this queue.
    Report(String),
    /// Push to this queue.
    Push(String),
    /// Look where jobs are ready.
    Look,
    /// Tell the server that a worker is alive, and that it ends.
    Beat,
}

/// Neither a number nor a receipt: no command takes it.
const WRONG: &str = "?";

impl Right {
    /// Commands that need the right, and that can't do anything.
    fn commands(&self) -> Vec<(&'static str, Cmd)> {
        let command = |name: &'static str, words: &[&str]| {
            let mut command = Cmd::new();
            name.split(' ').chain(words.iter().copied()).for_each(|word| {
                command.arg(word);
            });
            (name, command)
        };
        match self {
            Right::Claim(sources) => {
                let mut command = redis::cmd("QMCLAIM");
                sources.write(&mut command);
                command.arg("COUNT").arg(WRONG);
                vec![("QMCLAIM", command)]
            }
            Right::Report(queue) => vec![
                command("QACK", &[queue, WRONG]),
                command("QNACK", &[queue, WRONG]),
                command("QRELEASE", &[queue, WRONG]),
                command("QEXTEND", &[queue, WRONG, WRONG]),
            ],
            Right::Look => vec![command("QREADY", &[WRONG])],
            Right::Beat => vec![
                command("QWORKER BEAT", &[WRONG, "PID", WRONG]),
                command("QWORKER BYE", &[WRONG, "PID", WRONG]),
            ],
            Right::Push(queue) => vec![command("QPUSH", &[queue, "", "DELAY", WRONG])],
        }
    }
}

impl Client {
    /// Whether the user has a right; the inner error is why not.
    pub async fn may(&self, right: &Right) -> Result<std::result::Result<(), String>> {
        for (name, command) in right.commands() {
            match self.run(name, &command).await {
                Err(Error::Auth(why)) => return Ok(Err(why)),
                // No other server knows the command.
                Err(Error::Command(why)) if why.starts_with("unknown command") => {
                    return Err(Error::Other { code: "ERR".into(), message: why });
                }
                Err(Error::Command(_)) => {}
                Err(error) => return Err(error),
                Ok(value) => {
                    return Err(Error::Reply { command: name, found: format!("{value:?} to wrong words") });
                }
            }
        }
        Ok(Ok(()))
    }
}
