//! What a shim is asked to start: what the job reads, and, for a shim that stays, its command and environment.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};

use super::Order;

/// The job reads the payload.
const WITH_PAYLOAD: u8 = b'p';
/// The job reads nothing.
const WITHOUT_PAYLOAD: u8 = b'n';
/// The job reads from the socket that is its standard output.
const FROM_OUTPUT: u8 = b'o';
/// In front of one of these: the command follows, and the shim stays for another one.
const WITH_COMMAND: u8 = b'c';
/// Behind the kind: a length.
const LENGTH_BYTES: usize = 8;

/// What a job reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// These bytes, then the end.
    Payload(&'a [u8]),
    /// The end.
    Nothing,
    /// Its standard output is a socket, and so is its input the same.
    Output,
}

/// A job as its shim has read it.
pub(super) struct Request {
    pub(super) command: Command,
    /// Another request may follow.
    pub(super) stays: bool,
}

impl<'a> Input<'a> {
    /// The request of a shim that has its command as arguments; the payload follows.
    pub(crate) fn header(self) -> Vec<u8> {
        let kind = match self {
            Input::Payload(_) => WITH_PAYLOAD,
            Input::Nothing => WITHOUT_PAYLOAD,
            Input::Output => FROM_OUTPUT,
        };
        let length = (self.payload().len() as u64).to_le_bytes();
        [&[kind], length.as_slice()].concat()
    }

    /// What follows the header.
    pub(crate) fn payload(self) -> &'a [u8] {
        match self {
            Input::Payload(payload) => payload,
            Input::Nothing | Input::Output => &[],
        }
    }
}

/// In front of a header: the command. None of its words may hold a NUL.
pub(crate) fn command_header(
    program: &str,
    arguments: &[OsString],
    environment: &[(&'static str, OsString)],
) -> Vec<u8> {
    let mut words = Vec::new();
    let mut push = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| words.extend_from_slice(part));
        words.push(0);
    };
    push(&[program.as_bytes()]);
    for argument in arguments {
        push(&[argument.as_bytes()]);
    }
    for (name, value) in environment {
        push(&[name.as_bytes(), b"=", value.as_bytes()]);
    }
    let mut header = vec![WITH_COMMAND];
    header.extend_from_slice(&(arguments.len() as u64).to_le_bytes());
    header.extend_from_slice(&(words.len() as u64).to_le_bytes());
    header.extend_from_slice(&words);
    header
}

impl Request {
    /// The next job; none when the runner wants no more. The whole payload comes first: if the runner dies in the
    /// middle of it, nothing is started. `arguments` are the shim's own.
    pub(super) fn read(
        runner: &mut UnixStream,
        arguments: &mut impl Iterator<Item = OsString>,
    ) -> io::Result<Option<Request>> {
        let Some(first) = read_kind(runner)? else { return Ok(None) };
        let stays = first == WITH_COMMAND;
        let (mut command, kind) = if stays {
            let command = read_command(runner)?;
            (command, read_kind(runner)?.ok_or(io::ErrorKind::UnexpectedEof)?)
        } else {
            let program = arguments.next().ok_or(io::ErrorKind::InvalidInput)?;
            let mut command = Command::new(program);
            command.args(arguments);
            (command, first)
        };
        let payload_bytes = read_length(runner)?;
        command.stdin(match kind {
            WITHOUT_PAYLOAD => Stdio::null(),
            FROM_OUTPUT => Stdio::from(io::stdout().as_fd().try_clone_to_owned()?),
            WITH_PAYLOAD => Stdio::from(read_payload(runner, payload_bytes)?),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        });
        Ok(Some(Request { command, stays }))
    }
}

/// The first byte of a request. An order that came too late for the job before is passed over.
fn read_kind(runner: &mut UnixStream) -> io::Result<Option<u8>> {
    loop {
        let mut kind = [0];
        match runner.read(&mut kind) {
            Ok(0) => return Ok(None),
            Ok(_) if Order::signal(kind[0]).is_some() => {}
            Ok(_) => return Ok(Some(kind[0])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn read_length(runner: &mut UnixStream) -> io::Result<u64> {
    let mut length = [0; LENGTH_BYTES];
    runner.read_exact(&mut length)?;
    Ok(u64::from_le_bytes(length))
}

fn read_command(runner: &mut UnixStream) -> io::Result<Command> {
    let arguments = usize::try_from(read_length(runner)?).map_err(io::Error::other)?;
    let words_bytes = read_length(runner)?;
    let mut words = Vec::new();
    if runner.take(words_bytes).read_to_end(&mut words)? as u64 != words_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut words = words.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let mut command = Command::new(words.next().ok_or(io::ErrorKind::InvalidData)?);
    command.args(words.by_ref().take(arguments));
    for variable in words {
        let mut parts = variable.as_bytes().splitn(2, |byte| *byte == b'=');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            command.env(OsStr::from_bytes(name), OsString::from_vec(value.to_vec()));
        }
    }
    Ok(command)
}

/// The payload as a file in memory: the job reads it at its own pace, and nobody has to feed it.
fn read_payload(runner: &mut UnixStream, bytes: u64) -> io::Result<File> {
    let mut file = File::from(memfd_create("payload", MemfdFlags::CLOEXEC)?);
    if io::copy(&mut runner.take(bytes), &mut file)? < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_command_survives_the_wire_behind_late_orders() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let arguments = ["", "a b", "--x=\u{e9}"].map(OsString::from);
        let environment = [("JOB_GROUP", OsString::from("a=b")), ("JOB_ID", OsString::new())];
        ours.write_all(b"tk").unwrap();
        ours.write_all(&command_header("/bin/true", &arguments, &environment)).unwrap();
        let input = Input::Payload(b"payload");
        ours.write_all(&input.header()).unwrap();
        ours.write_all(input.payload()).unwrap();
        drop(ours);
        let request = Request::read(&mut theirs, &mut std::iter::empty()).unwrap().unwrap();
        assert!(request.stays);
        assert_eq!(request.command.get_program(), "/bin/true");
        assert!(request.command.get_args().eq(&arguments));
        let set: Vec<_> = request
            .command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.unwrap().to_owned()))
            .collect();
        assert_eq!(set, environment.map(|(name, value)| (OsString::from(name), value)));
        assert!(Request::read(&mut theirs, &mut std::iter::empty()).unwrap().is_none());
    }
}
