//! A connection: one task that reads, runs what is complete, and writes what may go out.
//!
//! The order of the loop is the guarantee. Commands run before replies are written, because a run's records are
//! staged at its end; replies are written before the task waits, because whoever wakes it has more of them; and
//! only then does it read, so that a client that does not read its replies is not read from either.

mod filling;
mod line;
mod share;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant as Stopwatch};

use stanchion_protocol::{Decoder, ErrorCode};
use tokio::time::Instant;

use crate::acl::{Access, Gone};
use crate::clients::Client;
use crate::commands::transaction::Queued;
use crate::commands::{self, WaitOver, poll_pending};
use crate::disconnect::Reason;
use crate::lifecycle::Phase;
use crate::limits::{OUTPUT_PAUSE_BYTES, READ_AHEAD_BYTES, READ_BYTES, READ_BYTES_MIN, SHARE_BYTES};
use crate::mailbox::Closed;
use crate::outbox::Outbox;
use crate::payloads::ReadTogether;
use crate::server::Server;
use crate::session::{Blocked, Pending, Session};
use crate::transport::{Security, Transport};
use crate::turn::{Progress, Turn};
use crate::{buffers, claims};
use filling::Filling;
use share::Share;

/// A connection at work. Dropping it gives back what it holds, however its task ends.
pub(crate) struct Connection {
    server: Arc<Server>,
    transport: Transport,
    decoder: Decoder,
    /// Bytes that are not decoded yet; without a buffer of its own while there are none.
    input: Vec<u8>,
    session: Session,
    outbox: Outbox,
    /// The peer sends no more.
    ended: bool,
    /// What was in the socket when the server began to stop has been read.
    drained: bool,
    /// The record for which a wake-up is ordered.
    waits_for: u64,
    /// Bytes read and written since they were added up.
    bytes: (u64, u64),
    /// When the command began to arrive that is not complete.
    begun: Option<Instant>,
    /// Payloads that its replies wait for.
    filling: Filling,
    share: Share,
    /// The last share was too small for all that may be written.
    is_writing: bool,
}

/// What happened while a connection waited.
enum Event {
    Read(io::Result<usize>),
    Writable,
    Woken,
    Payloads(ReadTogether),
    /// It is time to look at what is pending, or to end the connection for that reason.
    Late(Option<Reason>),
}

/// Sleeps until an instant, or for ever.
async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The end of a time, unless it is zero; and what happens then.
fn after(start: Instant, time: Duration, reason: Reason) -> Option<(Instant, Option<Reason>)> {
    (time > Duration::ZERO).then(|| (start + time, Some(reason)))
}

/// Makes room behind what is there: for the rest of the current argument when that is known, so that it is not
/// moved while it grows.
fn make_room(input: &mut Vec<u8>, missing: usize) {
    buffers::borrow(input);
    if input.capacity() - input.len() < missing.max(READ_BYTES_MIN) {
        input.reserve(missing.max(READ_BYTES));
    }
}

/// Waits until all that is ready on this thread has had its turn. The runtime's own `yield_now` looks at the sockets
/// besides, which is a system call.
async fn after_those_ready() {
    let mut is_over = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Serves a connection until it ends.
pub(crate) async fn serve(
    server: Arc<Server>,
    transport: Transport,
    security: Security,
    client: Arc<Client>,
) {
    let transport = match begin(&server, transport, security).await {
        Ok(transport) => transport,
        Err(error) => {
            server.disconnects.tell(Reason::Handshake, &client.peer, &error);
            return server.clients.leave(&client);
        }
    };
    let mut connection = Connection::new(server, transport, client);
    // A peer that is gone is no error of ours; whatever it did not get is given back when this is dropped.
    _ = connection.run().await;
}

/// Does what comes before the first command.
async fn begin(server: &Server, transport: Transport, security: Security) -> io::Result<Transport> {
    if security == Security::Plain {
        return Ok(transport);
    }
    tokio::select! {
        secured = transport.secure(security, &server.tls) => secured,
        () = server.lifecycle.reached(Phase::Stopping) => Err(io::Error::other("the server is stopping")),
    }
}

impl Connection {
    fn new(server: Arc<Server>, transport: Transport, client: Arc<Client>) -> Connection {
        let access = Access::new(&server.acl);
        client.set_user(Arc::clone(access.user()));
        Connection {
            decoder: Decoder::new(&server.config.limits, access.is_authenticated()),
            session: Session::new(client, access),
            server,
            transport,
            input: Vec::new(),
            outbox: Outbox::default(),
            ended: false,
            drained: false,
            waits_for: 0,
            bytes: (0, 0),
            begun: None,
            filling: Filling::default(),
            share: Share::default(),
            is_writing: false,
        }
    }

    async fn run(&mut self) -> io::Result<()> {
        loop {
            // Before anything else: whoever has less to do has it done first.
            if self.share.is_used_up() {
                line::stand().await;
                self.share.renew();
            }
            let phase = self.server.lifecycle.phase();
            if phase == Phase::Hurrying {
                return Ok(());
            }
            if phase == Phase::Stopping && !self.drained {
                self.drain();
            }
            // Before commands run: what has been read was sent before this, so it need not follow later changes.
            if self.session.access.is_stale(&self.server.acl) && self.refresh_access().is_err() {
                return Ok(());
            }
            let progress = if self.is_writing { Progress::Full } else { self.turn(phase) };
            self.give_up_waiting(phase);
            self.read_payloads();
            if !self.take_mail() {
                return Ok(());
            }
            if self.share.may_wait(self.outbox.ready(self.server.tidings.durable.durable()).len()) {
                after_those_ready().await;
            }
            let blocked = self.write()?;
            if !self.is_writing
                && self.outbox.unsent_bytes() > self.server.clients.output_limits.replies_bytes_max()
            {
                self.tell(Reason::Output);
                return Ok(());
            }
            if self.is_done(progress) {
                return Ok(());
            }
            if self.is_writing {
                continue;
            }
            match progress {
                Progress::More => {
                    self.share.use_up();
                    continue;
                }
                // What was held back by the replies can go on once they are written.
                Progress::Full if !blocked && !self.outbox.is_held() => continue,
                _ => {}
            }
            if self.must_look_again(progress) {
                continue;
            }
            if !blocked && self.can_take_mail() {
                tokio::task::yield_now().await;
                continue;
            }
            match self.wait(blocked, progress).await {
                Event::Read(read) => {
                    let bytes = read?;
                    self.ended |= bytes == 0;
                    self.count_read(bytes);
                }
                Event::Payloads(read) => {
                    if !self.take_payloads(read) {
                        self.tell(Reason::Payload);
                        return Ok(());
                    }
                }
                Event::Late(Some(reason)) => {
                    self.tell(reason);
                    return Ok(());
                }
                Event::Writable | Event::Woken | Event::Late(None) => {}
            }
        }
    }

    /// Users were changed, perhaps this connection's; if it has to end, that is in the log.
    #[cold]
    fn refresh_access(&mut self) -> Result<(), Gone> {
        let refreshed = self.session.refresh_access(&self.server.acl);
        if refreshed.is_err() {
            self.tell(Reason::User);
        }
        refreshed
    }

    /// The server ends this connection.
    #[cold]
    fn tell(&self, reason: Reason) {
        let client = &self.session.client;
        self.server.disconnects.tell(reason, &client.peer, &format_args!("client {}", client.id));
    }

    /// Runs what is there.
    fn turn(&mut self, phase: Phase) -> Progress {
        self.share.begin_turn();
        if self.input.is_empty() && self.session.pending.is_none() && !self.session.closing {
            return Progress::Idle;
        }
        if self.session.is_amid_reply() && (phase == Phase::Failed || self.outbox.is_full()) {
            return Progress::Full;
        }
        self.session.run.begin(Stopwatch::now());
        self.outbox.prepare();
        let over = if phase >= Phase::Stopping { WaitOver::Yes } else { WaitOver::No };
        let server = Arc::clone(&self.server);
        let mut turn = Turn::new(&server, &mut self.session, &mut self.outbox);
        let mut progress = Progress::Pending;
        loop {
            if turn.session.pending.is_some() && phase != Phase::Failed && !poll_pending(&mut turn, over) {
                if turn.session.pending.as_ref().is_some_and(Pending::is_at_work) {
                    progress = Progress::More;
                }
                break;
            }
            if phase == Phase::Failed {
                turn.session.pending = None;
            }
            progress = turn.run(&mut self.decoder, &self.input);
            if progress != Progress::Pending {
                break;
            }
        }
        let units = turn.units();
        drop(turn);
        let consumed = self.decoder.consume();
        self.share.ran(units);
        self.share.moved(consumed);
        if consumed > 0 {
            // Whatever is left began to arrive later.
            self.begun = None;
        }
        self.consume(consumed);
        self.add_up();
        progress
    }

    /// Adds up what the turn did.
    fn add_up(&mut self) {
        let (client, run) = (&self.session.client, &mut self.session.run);
        if run.is_empty() {
            return;
        }
        // The clock was read at the end of the last command.
        let now = run.begun();
        if let Some(newest) = run.newest() {
            client.heard(now, newest);
        }
        self.server.stats.add(client.id, run, std::mem::take(&mut self.bytes), now);
    }

    /// So much was read.
    fn count_read(&mut self, bytes: usize) {
        self.bytes.0 += bytes as u64;
        self.server.traffic.read(self.session.client.id, bytes);
    }

    /// Drops decoded bytes from the front of the buffer.
    fn consume(&mut self, bytes: usize) {
        if bytes < self.input.len() {
            self.input.drain(..bytes);
            return;
        }
        self.input.clear();
    }

    /// The log has failed: what waits for it gets an error in its place, and the connection ends.
    fn give_up_waiting(&mut self, phase: Phase) {
        if phase != Phase::Failed || self.session.closing {
            return;
        }
        if self.session.is_amid_reply() {
            // Whatever were written now would be taken for a part of it.
            self.session.pending = None;
            self.session.closing = true;
            self.outbox.drop_waiting(self.server.tidings.durable.durable());
            return;
        }
        let waits = self.outbox.is_held() || self.session.pending.take().is_some();
        if waits {
            self.session.closing = true;
            if !self.outbox.drop_waiting(self.server.tidings.durable.durable()) {
                return;
            }
            let why = self.server.lifecycle.failure().unwrap_or_default();
            let text = format!("the outcome of this command is unknown, for the log failed: {why}");
            self.server.errors.count(ErrorCode::MisConf);
            self.outbox.reply(self.session.proto).error(ErrorCode::MisConf, &text);
        }
    }

    /// Writes behind the replies what others have for this client; false when it has to go.
    fn take_mail(&mut self) -> bool {
        let client = &self.session.client;
        if !client.mailbox.is_signalled() {
            return true;
        }
        self.outbox.prepare();
        let taken = match self.session.closing || self.session.is_amid_reply() {
            // After the last reply, and within one, there is nothing more to say, but it can still be told to go at once.
            true => client.mailbox.check_open(),
            false => client.mailbox.deliver(&mut self.outbox, self.session.proto, OUTPUT_PAUSE_BYTES),
        };
        if let Err(why) = taken {
            self.tell(match why {
                Closed::TooSlow => Reason::Messages,
                Closed::Killed => Reason::Killed,
            });
        }
        taken.is_ok()
    }

    /// Whether there is more for this client than went out at once, and room for it now.
    fn can_take_mail(&self) -> bool {
        !self.session.closing
            && !self.session.is_amid_reply()
            && self.session.client.mailbox.is_signalled()
            && self.outbox.unsent_bytes() < OUTPUT_PAUSE_BYTES
    }

    /// Writes what may go out, up to a share of it; true when the socket takes no more.
    fn write(&mut self) -> io::Result<bool> {
        let durable = self.server.tidings.durable.durable();
        let mut left = SHARE_BYTES;
        self.is_writing = false;
        loop {
            let ready = self.outbox.ready(durable);
            if ready.is_empty() {
                return Ok(false);
            }
            if left == 0 {
                self.is_writing = true;
                self.share.use_up();
                return Ok(false);
            }
            match self.transport.try_write(&ready[..ready.len().min(left)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    left -= written;
                    self.outbox.wrote(written);
                    self.bytes.1 += written as u64;
                    self.share.moved(written);
                    self.server.traffic.wrote(self.session.client.id, written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether nothing is left to do.
    fn is_done(&self, progress: Progress) -> bool {
        if self.session.closing {
            return self.outbox.unsent_bytes() == 0;
        }
        let finished = progress == Progress::Idle && self.outbox.unsent_bytes() == 0;
        // A claim that waits for a job has nobody to give it to, and what is paused has not begun; other commands
        // are finished first.
        let gone = self.ended
            && matches!(
                self.session.pending,
                Some(
                    Pending::Claim(Blocked { blocks: true, .. })
                        | Pending::Replicas { .. }
                        | Pending::Postponed { .. }
                        | Pending::Piece(_)
                )
            );
        gone || (finished && (self.ended || self.drained))
    }

    /// Orders the wake-ups that this connection needs; true when what it would wait for has happened meanwhile.
    fn must_look_again(&mut self, progress: Progress) -> bool {
        let waits = &self.server.tidings.durable;
        let mut awaited = self.outbox.awaits();
        if let Some(Pending::Sync { lsn, .. } | Pending::Backup { lsn }) = self.session.pending {
            awaited = Some(awaited.map_or(lsn, |other| other.min(lsn)));
        }
        if let Some(lsn) = awaited
            && lsn != self.waits_for
        {
            if !waits.wait(lsn, &self.session.client.wake) {
                return true;
            }
            self.waits_for = lsn;
        }
        if let Some(Pending::Checkpoint { request }) = self.session.pending
            && let Some(lane) = self.server.lane()
            && !lane.checkpoints.wait(request, &self.session.client.wake)
        {
            return true;
        }
        if matches!(self.session.pending, Some(Pending::Postponed { .. })) && !self.server.pause.is_on() {
            return true;
        }
        progress == Progress::NoRoom && !self.server.wait_for_room(&self.session.client.wake)
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, blocked: bool, progress: Progress) -> Event {
        let reads = self.wants_more(progress);
        let late = self.deadline(progress);
        let queued = self.session.queued.as_ref().map(Queued::len);
        self.session.client.rests(self.input.len(), self.outbox.unsent_bytes(), queued);
        self.outbox.rest();
        buffers::give_back(&mut self.input);
        let missing = self.decoder.missing(self.input.len()).min(READ_AHEAD_BYTES);
        let (transport, input, filling) = (&mut self.transport, &mut self.input, &mut self.filling);
        let share = &mut self.share;
        let socket = poll_fn(|cx| {
            if reads {
                make_room(input, missing);
                if let Poll::Ready(read) = transport.poll_read_behind(input, cx) {
                    return Poll::Ready(Event::Read(read));
                }
                buffers::give_back(input);
            }
            if blocked && transport.poll_writable(cx).is_ready() {
                return Poll::Ready(Event::Writable);
            }
            share.give_way();
            Poll::Pending
        });
        tokio::select! {
            biased;
            event = socket => event,
            () = self.session.client.wake.notified() => Event::Woken,
            read = filling.read() => Event::Payloads(read),
            () = sleep_until(late.map(|(at, _)| at)) => Event::Late(late.and_then(|(_, reason)| reason)),
        }
    }

    /// Whether more may be read now. While its commands wait, a client may send a little ahead, so that its end is
    /// noticed.
    fn wants_more(&self, progress: Progress) -> bool {
        if self.ended || self.drained || self.session.closing {
            return false;
        }
        match progress {
            Progress::Idle => true,
            Progress::Pending | Progress::NoRoom => self.input.len() < READ_AHEAD_BYTES,
            Progress::More | Progress::Full | Progress::Closing => false,
        }
    }

    /// When this connection has to be looked at even if nothing happens, and why it ends then unless that is for what
    /// is pending.
    fn deadline(&mut self, progress: Progress) -> Option<(Instant, Option<Reason>)> {
        if let Some(pending) = &self.session.pending {
            return pending.deadline().map(|at| (at, None));
        }
        if !self.session.access.is_authenticated() {
            return after(
                self.session.client.since.into(),
                self.server.config.login_timeout,
                Reason::LoginTime,
            );
        }
        if progress == Progress::Idle && self.decoder.is_within_command(self.input.len()) {
            let begun = *self.begun.get_or_insert_with(Instant::now);
            return after(begun, self.server.config.request_timeout, Reason::RequestTime);
        }
        // Nor does a subscriber have anything to say.
        if self.outbox.unsent_bytes() > 0 || self.session.subscriptions.count() > 0 {
            return None;
        }
        let timeout = self.server.live.idle_timeout()?;
        after(Instant::now(), timeout, Reason::IdleTime)
    }

    /// Reads what the socket has, for the last time: the server is stopping.
    fn drain(&mut self) {
        self.drained = true;
        while self.input.len() < READ_AHEAD_BYTES {
            make_room(&mut self.input, 0);
            match self.transport.try_read_behind(&mut self.input) {
                Ok(bytes) if bytes > 0 => self.count_read(bytes),
                _ => return,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.release();
        buffers::give_back(&mut self.input);
        self.outbox.rest();
        // Last, so that whoever sees the end finds what was claimed back in its place.
        self.transport.close();
    }
}

impl Connection {
    /// Gives back what only this connection could have used.
    fn release(&mut self) {
        let server = &self.server;
        let undelivered = self.outbox.undelivered();
        let pending = self.session.pending.take();
        server.clients.leave(&self.session.client);
        server.monitors.remove(&self.session.client, &server.attention);
        self.session.subscriptions.clear(&server.hub, &self.session.client);
        let Some(lane) = server.lane().filter(|_| server.lifecycle.phase() < Phase::Failed) else { return };
        let mut answer = None;
        if let Some(Pending::Claim(blocked)) = pending {
            // From here on nobody serves it, or whoever does gets the jobs back.
            blocked.waiter.try_take();
            answer = blocked.waiter.abandon();
            commands::unpark(lane, &blocked);
        }
        claims::give_back(lane, &undelivered);
        claims::give_back(lane, &answer.map(|answer| answer.jobs).unwrap_or_default());
        claims::lapse(lane, &self.session.bound.take());
    }
}
