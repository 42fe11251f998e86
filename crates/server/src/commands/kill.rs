//! CLIENT KILL: ends connections by what is known of them.

use std::sync::Arc;
use std::time::Duration;

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::error::Quoted;
use stanchion_protocol::{Args, CommandError};

use super::{Done, upper};
use crate::acl::{Acl, User};
use crate::clients::{Client, ClientType};
use crate::mailbox::Closed;
use crate::turn::Turn;

/// Which connections: those that all of these are true of.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    kind: Option<ClientType>,
    user: Option<Arc<User>>,
    age_min: Option<Duration>,
    /// Whether the connection that asks may be among them.
    own: bool,
}

/// `CLIENT KILL address`, or `CLIENT KILL filter value ...`.
pub(super) fn kill(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if args.len() == 3 {
        let filter = Filter { peer: args.get(2), own: true, ..Filter::default() };
        if end(turn, &filter) == 0 {
            return Err(CommandError::new("No such client"));
        }
        turn.reply().ok();
        return Ok(());
    }
    let filter = read(args.skip(2), &turn.server.acl)?;
    let killed = end(turn, &filter);
    turn.reply().integer(killed);
    Ok(())
}

fn read<'a>(words: Args<'a>, acl: &Acl) -> Result<Filter<'a>, CommandError> {
    let syntax = || CommandError::new("syntax error");
    let mut filter = Filter::default();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let value = words.get(at + 1).ok_or_else(syntax)?;
        match upper(word).as_str() {
            "ID" => filter.id = Some(positive(value, "client-id should be greater than 0")?),
            "ADDR" => filter.peer = Some(value),
            "LADDR" => filter.local = Some(value),
            "TYPE" => filter.kind = Some(ClientType::read(value)?),
            "USER" => {
                let user = acl.find(value);
                filter.user =
                    Some(user.ok_or_else(|| CommandError::new(format!("No such user {}", Quoted(value))))?);
            }
            "MAXAGE" => {
                let seconds = positive(value, "maxage is not an integer or out of range")?;
                filter.age_min = Some(Duration::from_secs(seconds));
            }
            "SKIPME" => {
                filter.own = match upper(value).as_str() {
                    "YES" => false,
                    "NO" => true,
                    _ => return Err(syntax()),
                }
            }
            _ => return Err(syntax()),
        }
        at += 2;
    }
    Ok(filter)
}

fn positive(word: &[u8], error: &str) -> Result<u64, CommandError> {
    let number = string2ll(word).and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| CommandError::new(error))
}

/// Ends them, and says how many they were.
fn end(turn: &mut Turn<'_, '_>, filter: &Filter<'_>) -> usize {
    let clients = &turn.server.clients;
    let own = turn.session.client.id;
    let mut killed = 0;
    for client in clients.all() {
        if !filter.fits(&client, own) {
            continue;
        }
        killed += 1;
        if client.id == own {
            // After this reply.
            turn.session.closing = true;
        } else {
            client.mailbox.close(Closed::Killed);
            // Whoever asks next sees it no more, however long its task takes to notice.
            clients.leave(&client);
        }
    }
    killed
}

impl Filter<'_> {
    fn fits(&self, client: &Client, own: u64) -> bool {
        self.id.is_none_or(|id| client.id == id)
            && self.peer.is_none_or(|peer| client.peer.to_string().as_bytes() == peer)
            && self.local.is_none_or(|local| client.local.to_string().as_bytes() == local)
            && self.kind.is_none_or(|kind| client.kind() == kind)
            && self.user.as_ref().is_none_or(|user| client.is_user(user))
            && self.age_min.is_none_or(|age| client.since.elapsed() >= age)
            && (self.own || client.id != own)
    }
}
