//! Who listens to which channel, and the way of a message from its publisher to the mailboxes of those who do.
//!
//! Messages are left in the mailboxes under the lock of their channel, so that all who listen to it see them in
//! one order, and nobody sees one after UNSUBSCRIBE was answered. Connections are woken after it is given back.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;
use smallvec::SmallVec;
use stanchion_protocol::glob;
use stanchion_storage::Lsn;
use tokio::sync::Notify;

use crate::clients::Client;
use crate::mailbox::{Care, Message, Posted, Publication};

/// Channels share their lock with a fraction of the others, so that their publishers rarely meet.
const STRIPES: usize = 16;

/// What the channels begin with that tell what happens to jobs; the queue's name follows.
pub(crate) const JOB_CHANNEL: &[u8] = b"__job__:";

/// All channels and patterns that somebody listens to.
pub(crate) struct Hub {
    channels: [CachePadded<Mutex<HashMap<Name, Listeners>>>; STRIPES],
    patterns: Mutex<BTreeMap<Name, Listeners>>,
    hasher: RandomState,
    channel_count: AtomicUsize,
    pattern_count: AtomicUsize,
    /// Subscriptions that can see a channel of jobs.
    job_subscriptions: AtomicUsize,
    /// Messages that may get lost, and were.
    lost: AtomicU64,
}

/// The name of a channel, or a pattern.
type Name = Arc<[u8]>;

/// Connections by their numbers.
type Listeners = BTreeMap<u64, Arc<Client>>;

/// What a subscription names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    /// One channel.
    Channel,
    /// All channels that match a glob.
    Pattern,
}

/// A message that is on its way.
struct Delivery<'a> {
    channel: &'a [u8],
    payload: &'a [u8],
    lsn: Lsn,
    care: Care,
    /// Made for the first who gets it.
    publication: Option<Arc<Publication>>,
    received: usize,
    lost: u64,
    woken: SmallVec<[Arc<Notify>; 8]>,
}

impl Hub {
    /// Nobody listens yet.
    pub(crate) fn new() -> Hub {
        Hub {
            channels: std::array::from_fn(|_| CachePadded::new(Mutex::default())),
            patterns: Mutex::default(),
            hasher: RandomState::new(),
            channel_count: AtomicUsize::new(0),
            pattern_count: AtomicUsize::new(0),
            job_subscriptions: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
        }
    }

    fn stripe(&self, channel: &[u8]) -> &Mutex<HashMap<Name, Listeners>> {
        &self.channels[self.hasher.hash_one(channel) as usize % STRIPES]
    }

    /// From now on the client gets what this names. It does not do so yet.
    pub(crate) fn subscribe(&self, topic: Topic, name: &Arc<[u8]>, client: &Arc<Client>) {
        if sees_jobs(topic, name) {
            self.job_subscriptions.fetch_add(1, Ordering::Release);
        }
        match topic {
            Topic::Channel => {
                let mut channels = self.stripe(name).lock();
                let listeners = channels.entry(Arc::clone(name)).or_default();
                if listeners.is_empty() {
                    self.channel_count.fetch_add(1, Ordering::Release);
                }
                listeners.insert(client.id, Arc::clone(client));
            }
            Topic::Pattern => {
                let mut patterns = self.patterns.lock();
                let listeners = patterns.entry(Arc::clone(name)).or_default();
                if listeners.is_empty() {
                    self.pattern_count.fetch_add(1, Ordering::Release);
                }
                listeners.insert(client.id, Arc::clone(client));
            }
        }
    }

    /// The client gets it no more, except for what is in its mailbox already. It did until now.
    pub(crate) fn unsubscribe(&self, topic: Topic, name: &[u8], client: &Client) {
        if sees_jobs(topic, name) {
            self.job_subscriptions.fetch_sub(1, Ordering::Release);
        }
        match topic {
            Topic::Channel => {
                let mut channels = self.stripe(name).lock();
                if leave(channels.get_mut(name), client) {
                    channels.remove(name);
                    self.channel_count.fetch_sub(1, Ordering::Release);
                }
            }
            Topic::Pattern => {
                let mut patterns = self.patterns.lock();
                if leave(patterns.get_mut(name), client) {
                    patterns.remove(name);
                    self.pattern_count.fetch_sub(1, Ordering::Release);
                }
            }
        }
    }

    /// Sends a client's message to all who listen; how many get it. One who listens twice gets it twice.
    pub(crate) fn publish(&self, channel: &[u8], payload: &[u8]) -> usize {
        self.send(channel, payload, 0, Care::Whole)
    }

    /// Sends what happened to a job. Nobody sees it before the record `lsn` is durable, and it may get lost.
    pub(crate) fn publish_job(&self, channel: &[u8], payload: &[u8], lsn: Lsn) {
        self.send(channel, payload, lsn, Care::Lossy);
    }

    fn send(&self, channel: &[u8], payload: &[u8], lsn: Lsn, care: Care) -> usize {
        if self.channels() == 0 && self.patterns() == 0 {
            return 0;
        }
        let mut delivery = Delivery {
            channel,
            payload,
            lsn,
            care,
            publication: None,
            received: 0,
            lost: 0,
            woken: SmallVec::new(),
        };
        if self.channels() > 0
            && let Some(listeners) = self.stripe(channel).lock().get(channel)
        {
            delivery.leave(listeners, |publication| Message::Channel(Arc::clone(publication)));
        }
        if self.patterns() > 0 {
            for (pattern, listeners) in &*self.patterns.lock() {
                if glob::matches(pattern, channel) {
                    delivery.leave(listeners, |publication| {
                        Message::Pattern(Arc::clone(pattern), Arc::clone(publication))
                    });
                }
            }
        }
        if delivery.lost > 0 && care == Care::Lossy {
            self.add_lost(delivery.lost);
        }
        delivery.woken.iter().for_each(|wake| wake.notify_one());
        delivery.received
    }

    /// How many channels somebody listens to.
    pub(crate) fn channels(&self) -> usize {
        self.channel_count.load(Ordering::Acquire)
    }

    /// How many patterns somebody listens to.
    pub(crate) fn patterns(&self) -> usize {
        self.pattern_count.load(Ordering::Acquire)
    }

    /// The channels that match a pattern, and that somebody listens to.
    pub(crate) fn names(&self, pattern: Option<&[u8]>) -> Vec<Arc<[u8]>> {
        let mut names = Vec::new();
        for stripe in &self.channels {
            let channels = stripe.lock();
            let matching =
                channels.keys().filter(|name| pattern.is_none_or(|glob| glob::matches(glob, name)));
            names.extend(matching.cloned());
        }
        names
    }

    /// How many clients listen to a channel by its name.
    pub(crate) fn listeners(&self, channel: &[u8]) -> usize {
        self.stripe(channel).lock().get(channel).map_or(0, BTreeMap::len)
    }

    /// Whether somebody may listen to what happens to jobs.
    #[inline]
    pub(crate) fn has_job_listeners(&self) -> bool {
        self.job_subscriptions.load(Ordering::Relaxed) > 0
    }

    /// So many messages that may get lost were, before they came here.
    pub(crate) fn add_lost(&self, messages: u64) {
        self.lost.fetch_add(messages, Ordering::Relaxed);
    }

    /// How many messages that may get lost were, for their readers were too slow.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Delivery<'_> {
    /// Leaves the message in the mailboxes of these.
    fn leave(&mut self, listeners: &Listeners, message: impl Fn(&Arc<Publication>) -> Message) {
        let publication = self.publication.get_or_insert_with(|| {
            Arc::new(Publication {
                channel: self.channel.into(),
                payload: self.payload.into(),
                lsn: self.lsn,
            })
        });
        for client in listeners.values() {
            let (posted, wake) = client.mailbox.leave(message(publication), self.care);
            match posted {
                Posted::Kept => self.received += 1,
                Posted::Lost => self.lost += 1,
            }
            self.woken.extend(wake.cloned());
        }
    }
}

/// Takes a client out; whether it was the last.
fn leave(listeners: Option<&mut Listeners>, client: &Client) -> bool {
    listeners.is_some_and(|listeners| {
        listeners.remove(&client.id);
        listeners.is_empty()
    })
}

/// Whether a subscription may see a channel of jobs.
fn sees_jobs(topic: Topic, name: &[u8]) -> bool {
    // A pattern may as far as its bytes stand for themselves and are those of the channels.
    let end = match topic {
        Topic::Channel => name.len(),
        Topic::Pattern => {
            name.iter().position(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\')).unwrap_or(name.len())
        }
    };
    let fixed = &name[..end];
    fixed.starts_with(JOB_CHANNEL) || (end < name.len() && JOB_CHANNEL.starts_with(fixed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Clients;
    use crate::endpoint::Endpoint;
    use crate::outbox::Outbox;

    fn client(clients: &Clients) -> Arc<Client> {
        let end = Endpoint::Network(([127, 0, 0, 1], 1).into());
        clients.enter(end.clone(), end, 9).expect("there is room")
    }

    fn name(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    fn mail(client: &Client) -> String {
        let mut outbox = Outbox::default();
        client
            .mailbox
            .deliver(&mut outbox, stanchion_protocol::Proto::Resp3, usize::MAX)
            .expect("it is open");
        String::from_utf8_lossy(outbox.ready(0)).replace("\r\n", " ")
    }

    #[test]
    fn a_message_goes_to_the_listeners_of_its_channel_and_of_patterns() {
        let (hub, clients) = (Hub::new(), Clients::default());
        let (one, other) = (client(&clients), client(&clients));
        assert_eq!(hub.publish(b"news", b"early"), 0);
        hub.subscribe(Topic::Channel, &name("news"), &one);
        hub.subscribe(Topic::Pattern, &name("n*"), &one);
        hub.subscribe(Topic::Pattern, &name("x*"), &other);
        assert_eq!(hub.publish(b"news", b"hi"), 2);
        assert_eq!(mail(&one), ">3 $7 message $4 news $2 hi >4 $8 pmessage $2 n* $4 news $2 hi ");
        assert!(!other.mailbox.is_signalled());
        assert_eq!((hub.channels(), hub.patterns(), hub.listeners(b"news")), (1, 2, 1));
        hub.unsubscribe(Topic::Channel, b"news", &one);
        hub.unsubscribe(Topic::Pattern, b"n*", &one);
        assert_eq!((hub.publish(b"news", b"late"), hub.channels(), hub.patterns()), (0, 0, 1));
    }

    #[test]
    fn a_channel_is_there_until_its_last_listener_leaves() {
        let (hub, clients) = (Hub::new(), Clients::default());
        let (one, other) = (client(&clients), client(&clients));
        for listener in [&one, &other] {
            hub.subscribe(Topic::Channel, &name("a"), listener);
        }
        hub.subscribe(Topic::Channel, &name("b"), &one);
        hub.unsubscribe(Topic::Channel, b"a", &one);
        assert_eq!((hub.channels(), hub.listeners(b"a")), (2, 1));
        assert_eq!(hub.names(Some(b"[a]")), [name("a")]);
        hub.unsubscribe(Topic::Channel, b"a", &other);
        assert_eq!(hub.names(None), [name("b")]);
    }

    #[test]
    fn whoever_may_see_jobs_is_known() {
        for (topic, text, sees) in [
            (Topic::Channel, "__job__:mail", true),
            (Topic::Channel, "__job__", false),
            (Topic::Channel, "__*", false),
            (Topic::Pattern, "*", true),
            (Topic::Pattern, "__job__:*", true),
            (Topic::Pattern, "__job__:mail", true),
            (Topic::Pattern, "__jo[bx]*", true),
            (Topic::Pattern, "\\__job__:mail", true),
            (Topic::Pattern, "__key*", false),
            (Topic::Pattern, "__job__", false),
        ] {
            assert_eq!(sees_jobs(topic, text.as_bytes()), sees, "{topic:?} {text}");
        }
        let (hub, clients) = (Hub::new(), Clients::default());
        let listener = client(&clients);
        hub.subscribe(Topic::Pattern, &name("*"), &listener);
        assert!(hub.has_job_listeners());
        hub.unsubscribe(Topic::Pattern, b"*", &listener);
        assert!(!hub.has_job_listeners());
    }
}
