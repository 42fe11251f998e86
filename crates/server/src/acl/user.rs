//! A user: who may log in as it, and what it may do then.

use stanchion_protocol::{Args, CommandSpec};

use super::command_rules::CommandRules;
use super::denied::Denied;
use super::password::PasswordHash;
use super::selector::{KeyAccess, Selector};

/// A user. Changed by making another one, so that whoever holds one sees one state of it.
#[derive(Clone)]
pub(crate) struct User {
    name: Box<[u8]>,
    birth: Birth,
    pub(super) enabled: bool,
    pub(super) login: Login,
    /// Payloads that a client brings are never taken for structures here, so this is always so; the word is shown
    /// where Redis shows it.
    pub(super) shows_sanitize_payload: bool,
    /// What is allowed outside of parentheses.
    pub(super) root: Selector,
    /// What is allowed besides.
    pub(super) selectors: Vec<Selector>,
}

/// Tells a user from a later one of the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Birth(pub(super) u64);

/// How a user proves who it is.
#[derive(Clone)]
pub(super) enum Login {
    /// Any password will do.
    NoPassword,
    /// One of these; none at all while there are none.
    Passwords(Vec<PasswordHash>),
}

/// The user that connections are before they say another.
pub(crate) const DEFAULT: &[u8] = b"default";

impl User {
    /// One that is off and may do nothing.
    pub(super) fn new(name: &[u8], birth: Birth) -> User {
        User {
            name: name.into(),
            birth,
            enabled: false,
            login: Login::Passwords(Vec::new()),
            shows_sanitize_payload: false,
            root: Selector::nothing(),
            selectors: Vec::new(),
        }
    }

    /// The default user as it is where nobody says otherwise: anybody, and allowed everything.
    pub(super) fn new_default(birth: Birth) -> User {
        let mut user = User::new(DEFAULT, birth);
        user.enabled = true;
        user.login = Login::NoPassword;
        user.root.commands = CommandRules::all(true);
        user.root.allow_all_keys();
        user.root.allow_all_channels();
        user
    }

    /// The same user with another birth.
    pub(super) fn born(mut self, birth: Birth) -> User {
        self.birth = birth;
        self
    }

    /// Its name.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its birth.
    pub(crate) fn birth(&self) -> Birth {
        self.birth
    }

    /// Whether a connection is this user without saying a password.
    pub(crate) fn is_open(&self) -> bool {
        self.enabled && matches!(self.login, Login::NoPassword)
    }

    /// Whether it has no need of a password, although it may be off.
    pub(crate) fn needs_no_password(&self) -> bool {
        matches!(self.login, Login::NoPassword)
    }

    /// Whether one may log in as this user with the password of this hash.
    pub(super) fn accepts(&self, hash: Option<PasswordHash>) -> bool {
        let known = match (&self.login, hash) {
            (Login::NoPassword, _) => true,
            (Login::Passwords(_), None) => false,
            // All are compared, so that the time does not tell which one it was.
            (Login::Passwords(own), Some(hash)) => {
                own.iter().fold(false, |found, one| found | one.matches(&hash))
            }
        };
        known && self.enabled
    }

    /// Whether nothing is forbidden to it.
    pub(crate) fn may_do_everything(&self) -> bool {
        self.all_selectors().any(Selector::allows_everything)
    }

    /// Whether it may run a command, and if not, why.
    pub(crate) fn check(&self, spec: &'static CommandSpec, args: Args<'_>) -> Result<(), Denied> {
        let mut why = None;
        for selector in self.all_selectors() {
            match selector.check(spec, args) {
                Ok(()) => return Ok(()),
                Err(denied) => why = why.max(Some(denied)),
            }
        }
        Err(why.expect("a user has one selector at least"))
    }

    /// Whether it may see every queue.
    pub(crate) fn may_read_all(&self) -> bool {
        self.all_selectors().any(Selector::allows_all_keys)
    }

    /// Whether it may see this queue.
    pub(crate) fn may_read(&self, queue: &[u8]) -> bool {
        self.all_selectors().any(|selector| selector.allows_key(queue, KeyAccess::READ))
    }

    /// Whether it may have a channel's messages, or those of all channels that a glob matches.
    pub(crate) fn may_subscribe(&self, channel: &[u8], is_glob: bool) -> bool {
        self.all_selectors().any(|selector| selector.allows_channel(channel, is_glob))
    }

    fn all_selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// The words that are set, as ACL GETUSER shows them.
    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.needs_no_password() {
            flags.push("nopass");
        }
        if self.shows_sanitize_payload {
            flags.push("sanitize-payload");
        }
        flags
    }

    /// The hashes of its passwords.
    pub(crate) fn hashes(&self) -> Vec<String> {
        match &self.login {
            Login::NoPassword => Vec::new(),
            Login::Passwords(hashes) => hashes.iter().map(|hash| hash.to_hex()).collect(),
        }
    }

    /// What is allowed outside of parentheses, as `[commands, keys, channels]`.
    pub(crate) fn permissions(&self) -> [Vec<u8>; 3] {
        permissions(&self.root)
    }

    /// The same for each pair of parentheses.
    pub(crate) fn more_permissions(&self) -> impl ExactSizeIterator<Item = [Vec<u8>; 3]> {
        self.selectors.iter().map(permissions)
    }

    /// Its line in ACL LIST and in the ACL file.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = [b"user ", self.name()].concat();
        let mut word = |bytes: &[u8]| {
            line.push(b' ');
            line.extend_from_slice(bytes);
        };
        self.flags().iter().for_each(|flag| word(flag.as_bytes()));
        self.hashes().iter().for_each(|hash| word(&[b"#", hash.as_bytes()].concat()));
        word(&self.root.describe());
        self.selectors.iter().for_each(|selector| word(&[b"(", &selector.describe()[..], b")"].concat()));
        line
    }
}

fn permissions(selector: &Selector) -> [Vec<u8>; 3] {
    [selector.commands.describe(), selector.describe_keys(), selector.describe_channels()]
}
