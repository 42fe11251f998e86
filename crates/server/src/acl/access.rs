//! As whom a connection speaks.

use std::sync::Arc;

use super::{Acl, DEFAULT, User};
use crate::clients::Client;

/// A connection's user.
pub(crate) struct Access {
    user: Arc<User>,
    authenticated: bool,
    /// The version of the users at which this one was looked up.
    version: u64,
    /// Whether each command has to be looked at.
    restricted: bool,
}

/// A connection has lost its user, or what it listens to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gone;

impl Access {
    /// A connection that has said nothing yet.
    pub(crate) fn new(acl: &Acl) -> Access {
        let version = acl.version();
        Access::of(acl, acl.default_user(), version, false)
    }

    fn of(acl: &Acl, user: Arc<User>, version: u64, authenticated: bool) -> Access {
        // The default user needs no login as long as nobody gave it a password.
        let authenticated = authenticated || (user.name() == DEFAULT && user.is_open());
        let restricted = !authenticated || !user.may_do_everything() || acl.disables_some();
        Access { user, authenticated, version, restricted }
    }

    /// Who it is; nobody yet, as long as it is not authenticated.
    pub(crate) fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Whether it has said who it is, or need not.
    #[inline]
    pub(crate) fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether each command has to be looked at.
    #[inline]
    pub(crate) fn is_restricted(&self) -> bool {
        self.restricted
    }

    /// Whether a user has changed since this one was looked up.
    #[inline]
    pub(crate) fn is_stale(&self, acl: &Acl) -> bool {
        self.version != acl.version()
    }

    /// Looks the user up again.
    #[cold]
    pub(crate) fn refresh(&mut self, acl: &Acl, client: &Client) -> Result<(), Gone> {
        while self.is_stale(acl) {
            let version = acl.version();
            let user =
                acl.find(self.user.name()).filter(|user| user.birth() == self.user.birth()).ok_or(Gone)?;
            *self = Access::of(acl, Arc::clone(&user), version, self.authenticated);
            client.set_user(user);
        }
        Ok(())
    }

    /// The connection has said who it is.
    pub(crate) fn log_in(&mut self, user: Arc<User>, acl: &Acl, client: &Client) -> Result<(), Gone> {
        client.set_user(Arc::clone(&user));
        // A version of before this one: whoever deletes the user meanwhile finds it at the client, or is found here.
        *self = Access::of(acl, user, self.version, true);
        self.refresh(acl, client)
    }

    /// The connection is as it was at its start.
    pub(crate) fn reset(&mut self, acl: &Acl, client: &Client) {
        *self = Access::new(acl);
        client.set_user(Arc::clone(&self.user));
    }

    /// The user, if there are queues that it must not see.
    pub(crate) fn limited_reader(&self) -> Option<Arc<User>> {
        (self.restricted && !self.user.may_read_all()).then(|| Arc::clone(&self.user))
    }
}
