//! Users: who may log in, and which commands, queues and channels are for whom.
//!
//! A connection holds its user and asks it only when something is forbidden to that user; those who may do
//! everything cost one branch a command. Whoever changes a user puts another in its place and raises a version, on
//! which each connection looks its user up again before it runs the next commands.

mod access;
mod command_rules;
mod commands;
mod denied;
mod file;
mod fuzz;
mod log;
mod password;
mod rules;
mod selector;
mod user;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

pub(crate) use access::{Access, Gone};
pub(crate) use commands::{CATEGORIES, Entry, category};
pub(crate) use denied::Denied;
pub use file::AclFileError;
pub use fuzz::fuzz_users;
pub(crate) use log::{Context, DenialLog, Reason};
pub(crate) use rules::RuleError;
pub(crate) use user::{DEFAULT, User};

use crate::Config;
use crate::config::Secret;
use crate::limits::{USER_NAME_BYTES_MAX, USERS_MAX};
use commands::CommandSet;
use file::AclFile;
use password::PasswordHash;
use user::Birth;

/// All users of a server.
pub(crate) struct Acl {
    users: RwLock<BTreeMap<Box<[u8]>, Arc<User>>>,
    /// Rises with every change of a user.
    version: AtomicU64,
    births: AtomicU64,
    /// Where ACL LOAD and SAVE find them.
    file: Option<AclFile>,
    /// What nobody may run.
    disabled: CommandSet,
    /// What was refused.
    pub(crate) log: DenialLog,
}

/// Why a user was not changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum SetUserError {
    /// The name can't be one.
    #[error("Usernames can't contain spaces or null characters")]
    Name,
    /// The name is too long, or empty.
    #[error("Usernames have 1 to {USER_NAME_BYTES_MAX} bytes")]
    NameLength,
    /// There are too many.
    #[error("There are {USERS_MAX} users already, which is the limit; delete some")]
    TooMany,
    /// A rule is wrong.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

impl Acl {
    /// The users of a configuration; it forgets their passwords. A default user that it does not name may do
    /// everything, with the password of `requirepass` or without one.
    pub(crate) fn open(config: &mut Config) -> Result<Acl, AclFileError> {
        const CHECKED: &str = "the configuration was checked when it was read";
        let user = Arc::new(User::new_default(Birth(0)));
        let acl = Acl {
            users: RwLock::new(BTreeMap::from([(user.name().into(), user)])),
            version: AtomicU64::new(0),
            births: AtomicU64::new(1),
            file: config.acl_file.clone().map(AclFile::new),
            disabled: disabled(&config.disabled_commands),
            log: DenialLog::default(),
        };
        if let Some(password) = config.password.take() {
            acl.set_default_password(Some(&password)).expect(CHECKED);
        }
        for user in std::mem::take(&mut config.users).iter() {
            let rules = user.rules.reveal().split_ascii_whitespace().map(str::as_bytes);
            // The default user is there already, and may do everything.
            let reset = (user.name.as_bytes() == DEFAULT).then_some(&b"reset"[..]);
            acl.set_user(user.name.as_bytes(), reset.into_iter().chain(rules)).expect(CHECKED);
        }
        if acl.file.is_some() {
            acl.load()?;
        }
        Ok(acl)
    }

    /// Whether nobody may run a command.
    pub(crate) fn is_disabled(&self, entry: Entry) -> bool {
        self.disabled.has(entry.place())
    }

    /// Whether there are such commands.
    fn disables_some(&self) -> bool {
        self.disabled != CommandSet::NONE
    }

    /// Whether ACL LOAD and SAVE have a file.
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Takes the users of the ACL file in place of all that there are. Connections go on as the users of the same
    /// names.
    pub(crate) fn load(&self) -> Result<(), AclFileError> {
        let loaded = self.file.as_ref().expect("the caller has asked whether there is a file").read()?;
        let mut users = self.users.write();
        let born = |user: User| {
            let birth = users.get(user.name()).map_or_else(|| self.next_birth(), |old| old.birth());
            (user.name().into(), Arc::new(user.born(birth)))
        };
        *users = loaded.into_iter().map(born).collect();
        self.changed();
        Ok(())
    }

    /// Writes all users to the ACL file.
    pub(crate) fn save(&self) -> io::Result<()> {
        let file = self.file.as_ref().expect("the caller has asked whether there is a file");
        file.write(self.users().iter().map(|user| user.line()))
    }

    /// Rises with every change.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// After a change, and before anybody is told of it.
    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The user of this name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<Arc<User>> {
        self.users.read().get(name).cloned()
    }

    /// The user that connections begin with.
    pub(crate) fn default_user(&self) -> Arc<User> {
        self.find(DEFAULT).expect("nobody can delete the default user")
    }

    /// All of them, by their names.
    pub(crate) fn users(&self) -> Vec<Arc<User>> {
        self.users.read().values().cloned().collect()
    }

    /// The user with this name and password, if there is one and it is on.
    pub(crate) fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        // Hashed in any case, so that the time does not tell whether there is such a user.
        let hash = PasswordHash::of(password);
        self.find(name).filter(|user| user.accepts(hash))
    }

    /// Makes or changes a user, and gives what it has become. Connections that are this user follow its new rules from their next commands on.
    pub(crate) fn set_user<'w>(
        &self,
        name: &[u8],
        rules: impl IntoIterator<Item = &'w [u8]>,
    ) -> Result<Arc<User>, SetUserError> {
        check_name(name)?;
        let mut users = self.users.write();
        let user = match users.get(name) {
            Some(user) => user.with_rules(rules)?,
            None if users.len() >= USERS_MAX => return Err(SetUserError::TooMany),
            None => User::new(name, self.next_birth()).with_rules(rules)?,
        };
        let user = Arc::new(user);
        users.insert(name.into(), Arc::clone(&user));
        self.changed();
        Ok(user)
    }

    /// What `requirepass` means: the password of the default user, or that it has none.
    pub(crate) fn set_default_password(&self, password: Option<&Secret>) -> Result<(), SetUserError> {
        let rules = match password {
            Some(password) => vec![b"resetpass".to_vec(), [b">", password.reveal().as_bytes()].concat()],
            None => vec![b"nopass".to_vec()],
        };
        self.set_user(DEFAULT, rules.iter().map(Vec::as_slice)).map(drop)
    }

    /// Deletes users; those that there were.
    pub(crate) fn delete<'n>(&self, names: impl Iterator<Item = &'n [u8]>) -> Vec<Arc<User>> {
        let mut users = self.users.write();
        let deleted: Vec<_> =
            names.filter(|name| *name != DEFAULT).filter_map(|name| users.remove(name)).collect();
        self.changed();
        deleted
    }

    fn next_birth(&self) -> Birth {
        Birth(self.births.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whether a user of this name and these rules could be made.
pub(crate) fn check_rules(name: &str, rules: &str) -> Result<(), SetUserError> {
    check_name(name.as_bytes())?;
    User::new(name.as_bytes(), Birth(0)).with_rules(rules.split_ascii_whitespace().map(str::as_bytes))?;
    Ok(())
}

/// Whether a command or subcommand has this name.
pub(crate) fn is_command(name: &str) -> bool {
    Entry::find(name.as_bytes()).is_some()
}

/// The commands of these names, their subcommands with them.
fn disabled(names: &[String]) -> CommandSet {
    let mut set = CommandSet::NONE;
    for entry in names.iter().filter_map(|name| Entry::find(name.as_bytes())) {
        set.set(entry.place(), true);
        entry.subcommands().for_each(|place| set.set(place, true));
    }
    set
}

/// Whether a user may have this name.
fn check_name(name: &[u8]) -> Result<(), SetUserError> {
    if rules::has_spaces(name) {
        return Err(SetUserError::Name);
    }
    if name.is_empty() || name.len() > USER_NAME_BYTES_MAX {
        return Err(SetUserError::NameLength);
    }
    Ok(())
}
