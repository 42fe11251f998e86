//! What a client gets without having asked for it: messages of channels, lines for MONITOR, and the word that it
//! has to go.
//!
//! Whoever has something for a client posts it here, on any thread; the connection's own task writes it, in its
//! own protocol and between two replies. What a slow reader has not taken is bounded: beyond that the connection
//! ends, as with Redis's `client-output-buffer-limit pubsub`, except for messages that may get lost by design.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use stanchion_protocol::{Proto, Reply};
use stanchion_storage::Lsn;
use tokio::sync::Notify;

use crate::hold::Wait;
use crate::limits::{MAIL_KEPT, MAIL_LOSSY_BYTES_MAX, MAIL_OVERHEAD_BYTES};
use crate::outbox::Outbox;
use crate::output_limits::{LiveOutputLimits, OutputLimits};

/// One client's.
pub(crate) struct Mailbox {
    /// There is something to look at; only changed under the lock, but read between commands without it.
    signalled: AtomicBool,
    inside: Mutex<Inside>,
    /// Wakes the connection's task.
    wake: Arc<Notify>,
    limits: Arc<LiveOutputLimits>,
}

#[derive(Default)]
struct Inside {
    messages: VecDeque<Message>,
    /// What they take, as the limits count it.
    bytes: usize,
    /// Since when that is above the soft limit.
    above_soft: Option<Instant>,
    closed: Option<Closed>,
}

/// Something that is no reply.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// Of a channel.
    Channel(Arc<Publication>),
    /// Of a channel that a pattern matches.
    Pattern(Arc<[u8]>, Arc<Publication>),
    /// A line for MONITOR, without a line end.
    Line(Arc<str>),
}

/// What was published, shared by all who get it.
#[derive(Debug)]
pub(crate) struct Publication {
    /// Where.
    pub(crate) channel: Box<[u8]>,
    /// What.
    pub(crate) payload: Box<[u8]>,
    /// It is not seen before this record is durable; 0 for no record.
    pub(crate) lsn: Lsn,
}

/// Why a connection has to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Closed {
    /// It takes its messages too slowly.
    TooSlow,
    /// Another client said so.
    Killed,
}

/// What became of something that was posted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Posted {
    /// It is in the mailbox.
    Kept,
    /// There was no room for it.
    Lost,
}

/// What to do when there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Care {
    /// The message must not be missed: the connection ends instead.
    Whole,
    /// The message may be missed.
    Lossy,
}

impl Mailbox {
    /// An empty one, of the task that `wake` wakes.
    pub(crate) fn new(wake: Arc<Notify>, limits: Arc<LiveOutputLimits>) -> Mailbox {
        Mailbox { signalled: AtomicBool::new(false), inside: Mutex::default(), wake, limits }
    }

    /// Leaves a message and wakes the connection.
    pub(crate) fn post(&self, message: Message, care: Care) -> Posted {
        let (posted, wake) = self.leave(message, care);
        if let Some(wake) = wake {
            wake.notify_one();
        }
        posted
    }

    /// Leaves a message; whoever is given back is still to be woken. For those who hold a lock.
    pub(crate) fn leave(&self, message: Message, care: Care) -> (Posted, Option<&Arc<Notify>>) {
        let mut inside = self.inside.lock();
        if inside.closed.is_some() {
            return (Posted::Lost, None);
        }
        let bytes = inside.bytes + message.bytes();
        if care == Care::Lossy && bytes > MAIL_LOSSY_BYTES_MAX {
            return (Posted::Lost, None);
        }
        let limits = self.limits.get();
        if bytes > limits.messages_bytes_max || inside.is_slow(bytes, &limits) {
            return (Posted::Lost, Some(self.close_inside(&mut inside, Closed::TooSlow)));
        }
        inside.bytes = bytes;
        inside.messages.push_back(message);
        (Posted::Kept, self.signal())
    }

    /// The connection is to end, whatever it does now. Messages that it has not written are dropped.
    pub(crate) fn close(&self, why: Closed) {
        let mut inside = self.inside.lock();
        let wake = self.close_inside(&mut inside, why);
        drop(inside);
        wake.notify_one();
    }

    fn close_inside(&self, inside: &mut Inside, why: Closed) -> &Arc<Notify> {
        let closed = *inside.closed.get_or_insert(why);
        *inside = Inside { closed: Some(closed), ..Inside::default() };
        // Woken in any case: with messages that it can't write it waits for its socket only.
        self.signal();
        &self.wake
    }

    /// Under the lock: who is to be woken, unless somebody did it already.
    fn signal(&self) -> Option<&Arc<Notify>> {
        (!self.signalled.swap(true, Ordering::Release)).then_some(&self.wake)
    }

    /// Whether there is something to look at.
    #[inline]
    pub(crate) fn is_signalled(&self) -> bool {
        self.signalled.load(Ordering::Relaxed)
    }

    /// Whether the connection may go on.
    pub(crate) fn check_open(&self) -> Result<(), Closed> {
        self.inside.lock().closed.map_or(Ok(()), Err)
    }

    /// Writes messages as long as the outbox has fewer bytes than that; the rest waits for the next time.
    pub(crate) fn deliver(
        &self,
        outbox: &mut Outbox,
        proto: Proto,
        outbox_bytes_max: usize,
    ) -> Result<(), Closed> {
        let mut messages = {
            let mut inside = self.inside.lock();
            if let Some(closed) = inside.closed {
                return Err(closed);
            }
            std::mem::take(&mut inside.messages)
        };
        // Encoded without the lock, so that no publisher waits for it.
        let mut bytes = 0;
        while outbox.unsent_bytes() < outbox_bytes_max
            && let Some(message) = messages.pop_front()
        {
            bytes += message.bytes();
            if message.lsn() > 0 {
                outbox.wait(Wait::Lsn(message.lsn()));
            }
            message.write(&mut outbox.reply(proto));
        }
        self.put_back(messages, bytes);
        Ok(())
    }

    /// Puts back what was not written, before what has come meanwhile.
    fn put_back(&self, mut messages: VecDeque<Message>, written_bytes: usize) {
        let mut inside = self.inside.lock();
        if inside.closed.is_some() {
            return;
        }
        messages.append(&mut inside.messages);
        if messages.capacity() > MAIL_KEPT && messages.is_empty() {
            messages = VecDeque::new();
        }
        inside.messages = messages;
        inside.bytes -= written_bytes;
        if inside.bytes <= self.limits.get().messages_soft_bytes_max {
            inside.above_soft = None;
        }
        if inside.messages.is_empty() {
            self.signalled.store(false, Ordering::Release);
        }
    }
}

impl Inside {
    /// Whether it is above the soft limit for too long, once it has so many bytes.
    fn is_slow(&mut self, bytes: usize, limits: &OutputLimits) -> bool {
        if limits.messages_soft_bytes_max == 0 || bytes <= limits.messages_soft_bytes_max {
            return false;
        }
        let now = Instant::now();
        now.duration_since(*self.above_soft.get_or_insert(now)) > limits.messages_soft_time
    }
}

impl Message {
    /// What it takes, as the limits count it.
    fn bytes(&self) -> usize {
        MAIL_OVERHEAD_BYTES
            + match self {
                Message::Channel(publication) => publication.bytes(),
                Message::Pattern(pattern, publication) => pattern.len() + publication.bytes(),
                Message::Line(line) => line.len(),
            }
    }

    /// The record that has to be durable before it is seen.
    fn lsn(&self) -> Lsn {
        match self {
            Message::Channel(publication) | Message::Pattern(_, publication) => publication.lsn,
            Message::Line(_) => 0,
        }
    }

    fn write(&self, reply: &mut Reply<'_>) {
        match self {
            Message::Channel(publication) => {
                reply.push(3);
                reply.bulk(b"message");
                publication.write(reply);
            }
            Message::Pattern(pattern, publication) => {
                reply.push(4);
                reply.bulk(b"pmessage");
                reply.bulk(pattern);
                publication.write(reply);
            }
            Message::Line(line) => reply.simple(line),
        }
    }
}

impl Publication {
    fn bytes(&self) -> usize {
        self.channel.len() + self.payload.len()
    }

    fn write(&self, reply: &mut Reply<'_>) {
        reply.bulk(&self.channel);
        reply.bulk(&self.payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::OUTPUT_PAUSE_BYTES;

    fn mailbox() -> Mailbox {
        Mailbox::new(Arc::new(Notify::new()), Arc::default())
    }

    fn message(payload: &[u8]) -> Message {
        announced(payload, 0)
    }

    fn announced(payload: &[u8], lsn: Lsn) -> Message {
        let (channel, payload) = (b"news"[..].into(), payload.into());
        Message::Channel(Arc::new(Publication { channel, payload, lsn }))
    }

    fn read(mailbox: &Mailbox, outbox: &mut Outbox, proto: Proto) -> String {
        mailbox.deliver(outbox, proto, OUTPUT_PAUSE_BYTES).expect("it is open");
        let text = String::from_utf8_lossy(outbox.ready(0)).into_owned();
        outbox.wrote(text.len());
        text
    }

    #[test]
    fn messages_are_written_in_order_and_in_the_clients_protocol() {
        let (mailbox, mut outbox) = (mailbox(), Outbox::default());
        assert!(!mailbox.is_signalled());
        mailbox.post(message(b"a"), Care::Whole);
        mailbox.post(Message::Line("OK".into()), Care::Whole);
        assert!(mailbox.is_signalled());
        assert_eq!(
            read(&mailbox, &mut outbox, Proto::Resp2),
            "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\na\r\n+OK\r\n"
        );
        assert!(!mailbox.is_signalled());
        let Message::Channel(publication) = message(b"b") else { unreachable!("it is one") };
        mailbox.post(Message::Pattern(b"n*"[..].into(), publication), Care::Whole);
        assert_eq!(
            read(&mailbox, &mut outbox, Proto::Resp3),
            ">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$1\r\nb\r\n"
        );
    }

    #[test]
    fn the_first_message_wakes_and_those_behind_it_need_not() {
        let mailbox = mailbox();
        assert!(mailbox.leave(message(b"a"), Care::Whole).1.is_some());
        assert!(mailbox.leave(message(b"b"), Care::Whole).1.is_none());
        read(&mailbox, &mut Outbox::default(), Proto::Resp2);
        assert!(mailbox.leave(message(b"c"), Care::Whole).1.is_some());
    }

    #[test]
    fn what_the_outbox_has_no_room_for_waits() {
        let (mailbox, mut outbox) = (mailbox(), Outbox::default());
        let half = vec![b'x'; OUTPUT_PAUSE_BYTES / 2];
        for _ in 0..3 {
            mailbox.post(message(&half), Care::Whole);
        }
        let first = read(&mailbox, &mut outbox, Proto::Resp2).len();
        assert!((2 * half.len()..3 * half.len()).contains(&first), "two of the three");
        assert!(mailbox.is_signalled());
        mailbox.post(message(b"last"), Care::Whole);
        let rest = read(&mailbox, &mut outbox, Proto::Resp2);
        assert!(rest.len() > half.len() && rest.ends_with("$4\r\nlast\r\n"));
        assert!(!mailbox.is_signalled());
    }

    #[test]
    fn what_is_not_durable_is_not_seen() {
        let (mailbox, mut outbox) = (mailbox(), Outbox::default());
        mailbox.post(message(b"a"), Care::Whole);
        mailbox.post(announced(b"b", 7), Care::Lossy);
        mailbox.post(message(b"c"), Care::Whole);
        let first = read(&mailbox, &mut outbox, Proto::Resp2);
        assert!(first.ends_with("$1\r\na\r\n"), "{first}");
        assert_eq!(outbox.awaits(), Some(7));
        let rest = String::from_utf8_lossy(outbox.ready(7)).into_owned();
        assert!(rest.contains("$1\r\nb\r\n") && rest.ends_with("$1\r\nc\r\n"), "{rest}");
    }

    #[test]
    fn a_reader_that_is_too_slow_loses_messages_or_its_connection() {
        let mailbox = mailbox();
        let payload = vec![b'x'; MAIL_LOSSY_BYTES_MAX / 2];
        let lossy: Vec<_> = (0..3).map(|_| mailbox.post(message(&payload), Care::Lossy)).collect();
        assert_eq!(lossy, [Posted::Kept, Posted::Lost, Posted::Lost]);
        assert_eq!(mailbox.post(message(b"small"), Care::Lossy), Posted::Kept);
        while mailbox.post(message(&payload), Care::Whole) == Posted::Kept {}
        assert_eq!(
            mailbox.deliver(&mut Outbox::default(), Proto::Resp2, OUTPUT_PAUSE_BYTES),
            Err(Closed::TooSlow)
        );
        assert_eq!(mailbox.post(message(b"late"), Care::Whole), Posted::Lost);
    }

    #[test]
    fn a_killed_client_gets_nothing_more() {
        let (mailbox, mut outbox) = (mailbox(), Outbox::default());
        mailbox.post(message(b"a"), Care::Whole);
        mailbox.close(Closed::Killed);
        mailbox.close(Closed::TooSlow);
        assert_eq!(mailbox.deliver(&mut outbox, Proto::Resp2, OUTPUT_PAUSE_BYTES), Err(Closed::Killed));
        assert_eq!(outbox.unsent_bytes(), 0);
    }
}
