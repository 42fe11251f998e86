//! What one connection listens to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use stanchion_protocol::table::CommandId;
use stanchion_protocol::{Args, CommandError, CommandSpec, Proto};

use crate::clients::Client;
use crate::hub::{Hub, Topic};
use crate::limits::SUBSCRIPTIONS_MAX;

/// A connection's subscriptions, which the hub has, too.
#[derive(Default)]
pub(crate) struct Subscriptions {
    channels: BTreeSet<Arc<[u8]>>,
    patterns: BTreeSet<Arc<[u8]>>,
}

impl Subscriptions {
    /// How many there are.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Those of one kind.
    pub(crate) fn of(&self, topic: Topic) -> &BTreeSet<Arc<[u8]>> {
        match topic {
            Topic::Channel => &self.channels,
            Topic::Pattern => &self.patterns,
        }
    }

    /// Adds one; one that is there already stays as it is.
    pub(crate) fn add(&mut self, topic: Topic, name: &[u8], hub: &Hub, client: &Arc<Client>) {
        if self.of(topic).contains(name) {
            return;
        }
        let name: Arc<[u8]> = name.into();
        hub.subscribe(topic, &name, client);
        match topic {
            Topic::Channel => self.channels.insert(name),
            Topic::Pattern => self.patterns.insert(name),
        };
        self.show(client);
    }

    /// Takes one away, if it is there.
    pub(crate) fn remove(&mut self, topic: Topic, name: &[u8], hub: &Hub, client: &Client) {
        let removed = match topic {
            Topic::Channel => self.channels.remove(name),
            Topic::Pattern => self.patterns.remove(name),
        };
        if removed {
            hub.unsubscribe(topic, name, client);
            self.show(client);
        }
    }

    /// Takes all away.
    pub(crate) fn clear(&mut self, hub: &Hub, client: &Client) {
        for topic in [Topic::Channel, Topic::Pattern] {
            for name in self.of(topic) {
                hub.unsubscribe(topic, name, client);
            }
        }
        *self = Subscriptions::default();
        self.show(client);
    }

    /// Whether these may be added.
    pub(crate) fn check_room<'n>(
        &self,
        topic: Topic,
        names: impl Iterator<Item = &'n [u8]>,
    ) -> Result<(), CommandError> {
        let there = self.of(topic);
        let count = self.count() + names.filter(|name| !there.contains(*name)).count();
        if count > SUBSCRIPTIONS_MAX {
            return Err(CommandError::new(format!(
                "{count} subscriptions are above the limit of {SUBSCRIPTIONS_MAX} of one connection"
            )));
        }
        Ok(())
    }

    /// What others see of them.
    fn show(&self, client: &Client) {
        client.channels.store(self.channels.len() as u32, Ordering::Relaxed);
        client.patterns.store(self.patterns.len() as u32, Ordering::Relaxed);
    }

    /// Refuses commands whose replies could not be told from messages: in RESP2 both are arrays.
    #[inline]
    pub(crate) fn admit(&self, spec: &CommandSpec, args: Args<'_>, proto: Proto) -> Result<(), CommandError> {
        if self.count() == 0 || proto == Proto::Resp3 {
            return Ok(());
        }
        let allowed = matches!(
            spec.id,
            CommandId::Subscribe
                | CommandId::Psubscribe
                | CommandId::Unsubscribe
                | CommandId::Punsubscribe
                | CommandId::Ping
                | CommandId::Quit
                | CommandId::Reset
        );
        if allowed {
            return Ok(());
        }
        let name = match crate::stats::command_name(spec.id as usize) {
            // Every command has the same row for it.
            Some(name) if spec.id == CommandId::Help => {
                format!("{}|{name}", String::from_utf8_lossy(args.at(0)).to_lowercase())
            }
            name => name.unwrap_or(spec.name).to_owned(),
        };
        Err(CommandError::new(format!(
            "Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )))
    }
}
