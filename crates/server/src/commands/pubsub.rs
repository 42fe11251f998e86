//! SUBSCRIBE and its like, PUBLISH and PUBSUB.

use stanchion_protocol::{Args, CommandError};

use super::Done;
use crate::hub::Topic;
use crate::limits::CHANNEL_BYTES_MAX;
use crate::turn::Turn;

/// What a client wants with a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Subscribe(Topic),
    Publish,
}

/// Whether this connection may listen or publish there: the one place that decides it.
fn admit(_: &Turn<'_, '_>, access: Access, name: &[u8]) -> Done {
    if name.len() <= CHANNEL_BYTES_MAX {
        return Ok(());
    }
    let what = match access {
        Access::Subscribe(Topic::Pattern) => "pattern",
        Access::Subscribe(Topic::Channel) | Access::Publish => "channel name",
    };
    Err(CommandError::new(format!(
        "the {what} of {} bytes is above the limit of {CHANNEL_BYTES_MAX}",
        name.len()
    )))
}

/// SUBSCRIBE and PSUBSCRIBE: a message per name, all of them or an error.
pub(super) fn subscribe(turn: &mut Turn<'_, '_>, topic: Topic, args: Args<'_>) -> Done {
    let names = args.skip(1);
    for name in names.iter() {
        admit(turn, Access::Subscribe(topic), name)?;
    }
    turn.session.subscriptions.check_room(topic, names.iter())?;
    let word: &[u8] = match topic {
        Topic::Channel => b"subscribe",
        Topic::Pattern => b"psubscribe",
    };
    for name in names.iter() {
        let (hub, session) = (&turn.server.hub, &mut *turn.session);
        session.subscriptions.add(topic, name, hub, &session.client);
        confirm(turn, word, Some(name));
    }
    Ok(())
}

/// UNSUBSCRIBE and PUNSUBSCRIBE: of these names, or of all.
pub(super) fn unsubscribe(turn: &mut Turn<'_, '_>, topic: Topic, args: Args<'_>) -> Done {
    let word: &[u8] = match topic {
        Topic::Channel => b"unsubscribe",
        Topic::Pattern => b"punsubscribe",
    };
    let named = args.skip(1);
    if !named.is_empty() {
        for name in named.iter() {
            end_one(turn, topic, word, name);
        }
        return Ok(());
    }
    let all: Vec<_> = turn.session.subscriptions.of(topic).iter().cloned().collect();
    if all.is_empty() {
        confirm(turn, word, None);
    }
    for name in all {
        end_one(turn, topic, word, &name);
    }
    Ok(())
}

fn end_one(turn: &mut Turn<'_, '_>, topic: Topic, word: &[u8], name: &[u8]) {
    let (hub, session) = (&turn.server.hub, &mut *turn.session);
    session.subscriptions.remove(topic, name, hub, &session.client);
    // Whatever was sent until now stands before the confirmation, because a client expects nothing after it.
    turn.take_all_mail();
    confirm(turn, word, Some(name));
}

/// `[word, name, subscriptions]`, as a message.
fn confirm(turn: &mut Turn<'_, '_>, word: &[u8], name: Option<&[u8]>) {
    let count = turn.session.subscriptions.count();
    let mut reply = turn.reply();
    reply.push(3);
    reply.bulk(word);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.nil(),
    }
    reply.integer(count);
    turn.keep_written();
}

/// PUBLISH.
pub(super) fn publish(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    admit(turn, Access::Publish, args.at(1))?;
    // Nobody is woken while a lock is held.
    turn.end_hold();
    let received = turn.server.hub.publish(args.at(1), args.at(2));
    turn.reply().integer(received);
    Ok(())
}

/// PUBSUB CHANNELS.
pub(super) fn channels(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if args.len() > 3 {
        let word = String::from_utf8_lossy(args.at(1));
        return Err(CommandError::new(format!(
            "unknown subcommand or wrong number of arguments for '{word}'. Try PUBSUB HELP."
        )));
    }
    let names = turn.server.hub.names(args.get(2));
    let mut reply = turn.reply();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name));
    Ok(())
}

/// PUBSUB NUMSUB.
pub(super) fn listeners(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let (hub, names) = (&turn.server.hub, args.skip(2));
    let mut reply = turn.outbox.reply(turn.session.proto);
    reply.array(2 * names.len());
    for name in names.iter() {
        reply.bulk(name);
        reply.integer(hub.listeners(name));
    }
    Ok(())
}

/// PUBSUB NUMPAT.
pub(super) fn patterns(turn: &mut Turn<'_, '_>) -> Done {
    let patterns = turn.server.hub.patterns();
    turn.reply().integer(patterns);
    Ok(())
}
