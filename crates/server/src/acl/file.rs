//! The ACL file: Redis's format, a line `user name rule ...` for each user.
//!
//! A file with anything wrong in it is not loaded at all, and says where it is wrong. Comments are refused as in
//! Redis, because ACL SAVE would lose them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use stanchion_protocol::error::Quoted;

use super::user::Birth;
use super::{DEFAULT, RuleError, User, check_name};
use crate::limits::{ACL_FILE_BYTES_MAX, ACL_FILE_PROBLEMS_SHOWN, USERS_MAX};

/// The file of the option `aclfile`.
pub(crate) struct AclFile {
    path: PathBuf,
    /// Held while the file is written, so that two writers don't meet in one temporary file.
    writing: Mutex<()>,
}

/// Why a file was not loaded.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AclFileError(String);

/// Who may read a new file: it has hashes of passwords.
const NEW_FILE_MODE: u32 = 0o600;

impl AclFile {
    /// The file at this path.
    pub(super) fn new(path: PathBuf) -> AclFile {
        AclFile { path, writing: Mutex::new(()) }
    }

    /// Reads all users; without a line for it, the default user is as it is without a file.
    pub(super) fn read(&self) -> Result<Vec<User>, AclFileError> {
        let path = self.path.display();
        let text = read_bounded(&self.path)
            .map_err(|error| AclFileError(format!("Error loading ACLs, opening file '{path}': {error}")))?;
        let mut users = parse(&path.to_string(), &text)?;
        if !users.iter().any(|user| user.name() == DEFAULT) {
            tracing::warn!(%path, "the ACL file has no default user, so who connects may do everything without a password");
            users.push(User::new_default(Birth(0)));
        }
        Ok(users)
    }

    /// Writes all users, so that a crash leaves the old file or the new one.
    pub(super) fn write(&self, users: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
        let _writing = self.writing.lock();
        // A link stays a link.
        let path = fs::canonicalize(&self.path)?;
        let directory = path.parent().expect("a file is in a directory");
        let mode = fs::metadata(&path).map_or(NEW_FILE_MODE, |metadata| metadata.permissions().mode());
        let mut name = path.file_name().expect("a file has a name").to_owned();
        name.push(format!(".tmp-{}", std::process::id()));
        let temporary = directory.join(name);
        let written = write_file(&temporary, mode, users).and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            // Whatever is left of it is in nobody's way but ours; the first error is the one to tell.
            _ = fs::remove_file(&temporary);
            return Err(error);
        }
        File::open(directory)?.sync_all()
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(ACL_FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > ACL_FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {ACL_FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn write_file(path: &Path, mode: u32, lines: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
    // One of a process that died while it wrote, with our number by chance.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let mut text = Vec::new();
    for line in lines {
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    file.write_all(&text)?;
    file.sync_all()
}

/// The users of a file's text; `path` is for the messages, which come all at once, in one line.
pub(super) fn parse(path: &str, text: &[u8]) -> Result<Vec<User>, AclFileError> {
    let mut users: Vec<User> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut problems = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match parse_line(line) {
            Ok(user) if !seen.insert(Box::<[u8]>::from(user.name())) => {
                let name = Quoted(user.name());
                problems.push(format!("{path}:{}: Duplicate user {name} found", number + 1));
            }
            Ok(user) => users.push(user),
            Err(problem) => problems.push(format!("{path}:{}: {problem}", number + 1)),
        }
    }
    if users.len() > USERS_MAX {
        problems.push(format!("{path}: there are more than {USERS_MAX} users"));
    }
    if problems.is_empty() {
        return Ok(users);
    }
    let more = problems.len().saturating_sub(ACL_FILE_PROBLEMS_SHOWN);
    problems.truncate(ACL_FILE_PROBLEMS_SHOWN);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Err(AclFileError(problems.join(". ")))
}

fn parse_line(line: &[u8]) -> Result<User, String> {
    let mut words = line.split(|byte| *byte == b' ').map(<[u8]>::trim_ascii);
    let (Some(b"user"), Some(name)) = (words.next(), words.next()) else {
        return Err("a line should start with user keyword followed by the username".into());
    };
    check_name(name).map_err(|error| error.to_string())?;
    User::new(name, Birth(0)).with_rules(words).map_err(|error| match error {
        RuleError::Word { word, wrong } => format!("{}: {wrong}", Quoted(&word)),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn problems(text: &str) -> String {
        parse("f", text.as_bytes()).err().unwrap_or_else(|| panic!("{text} is right")).to_string()
    }

    #[test]
    fn lines_are_users() {
        let text = b"user ann on nopass +@all\n\n  user bob  off   ~a (+qlen  ~b)\t \r\nuser default on";
        let lines: Vec<_> = parse("f", text).unwrap().iter().map(User::line).collect();
        assert_eq!(
            lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>(),
            [
                "user ann on nopass resetchannels +@all",
                "user bob off ~a resetchannels -@all (~b resetchannels -@all +qlen)",
                "user default on resetchannels -@all",
            ]
        );
        assert!(parse("f", b"").unwrap().is_empty());
    }

    #[test]
    fn problems_name_file_line_and_word() {
        const KEYWORD: &str = "a line should start with user keyword followed by the username";
        for (text, want) in [
            ("user u on +nonsense", "f:1: '+nonsense': Unknown command or category name in ACL"),
            (
                "\nuser u on #secret",
                "f:2: '#(hidden)': The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters",
            ),
            ("user u (+qlen >secret", "f:1: Unmatched parenthesis in acl selector starting at '(+qlen'."),
            ("# a comment", &format!("f:1: {KEYWORD}")),
            ("USER u", &format!("f:1: {KEYWORD}")),
            ("user", &format!("f:1: {KEYWORD}")),
            ("user  on", "f:1: Usernames have 1 to 255 bytes"),
            ("user u\0 on", "f:1: Usernames can't contain spaces or null characters"),
            ("user u on\nuser v on\nuser u off", "f:3: Duplicate user 'u' found"),
            ("user u x\nuser v on\nuser w y", "f:1: 'x': Syntax error. f:3: 'y': Syntax error"),
        ] {
            assert_eq!(problems(text), want, "{text}");
        }
        let many = problems(&"nonsense\n".repeat(ACL_FILE_PROBLEMS_SHOWN + 2));
        assert!(many.ends_with(". and 2 more"), "{many}");
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode_and_links() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real.acl"), directory.path().join("link.acl"));
        fs::write(&real, "user ann on\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let file = AclFile::new(link.clone());
        assert_eq!(file.read().unwrap().len(), 2, "the default user is added");
        file.write([b"user bob off".to_vec()].into_iter()).unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "user bob off\n");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left behind");
        let missing = AclFile::new(directory.path().join("missing"));
        assert!(missing.read().is_err() && missing.write(std::iter::empty()).is_err());
    }
}
