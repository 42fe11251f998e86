//! A turn of a connection: decodes and runs the commands that are there, with no await inside.

use std::time::Instant;

use stanchion_protocol::table::{self, Flags};
use stanchion_protocol::{Args, CommandError, CommandSpec, Decoded, Decoder, ErrorCode, Reply, parse};

use crate::acl::{Context, Denied, Entry};
use crate::commands;
use crate::disconnect::Reason;
use crate::holds::Holds;
use crate::lane::Lane;
use crate::lifecycle::Phase;
use crate::limits::{BARRIERS_MAX, OUTPUT_PAUSE_BYTES, TURN_UNITS};
use crate::muted::Replies;
use crate::outbox::Outbox;
use crate::server::Server;
use crate::session::Session;

/// How a turn ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// All commands that were there were run.
    Idle,
    /// There is more, after others had their turn.
    More,
    /// A command waits, and all behind it.
    Pending,
    /// The log has no room for more.
    NoRoom,
    /// The replies have to go out first.
    Full,
    /// The connection ends once its replies are out.
    Closing,
}

/// What commands work with.
pub(crate) struct Turn<'t, 'a> {
    /// The server.
    pub(crate) server: &'a Server,
    /// The locks; `None` while the log is recovered.
    pub(crate) holds: Option<Holds<'a>>,
    /// The connection.
    pub(crate) session: &'t mut Session,
    /// Its replies.
    pub(crate) outbox: &'t mut Outbox,
    /// The newest command has a lap of its own.
    pub(crate) alone: bool,
}

impl<'t, 'a> Turn<'t, 'a> {
    /// A turn of a connection.
    pub(crate) fn new(server: &'a Server, session: &'t mut Session, outbox: &'t mut Outbox) -> Turn<'t, 'a> {
        Turn { server, holds: server.lane().map(Holds::new), session, outbox, alone: false }
    }

    /// Runs the commands in `input` until none is left or something has to happen first.
    pub(crate) fn run(&mut self, decoder: &mut Decoder, input: &[u8]) -> Progress {
        let progress = self.run_commands(decoder, input);
        self.end_hold();
        // What is left when the next command is not complete yet.
        if self.session.run.open() > 0 {
            self.session.run.close(Instant::now());
        }
        progress
    }

    fn run_commands(&mut self, decoder: &mut Decoder, input: &[u8]) -> Progress {
        let phase = self.server.lifecycle.phase();
        loop {
            if self.session.closing {
                return Progress::Closing;
            }
            if self.session.pending.is_some() {
                return Progress::Pending;
            }
            if self.session.client.mailbox.is_signalled() && !self.take_mail() {
                return Progress::Closing;
            }
            if self.outbox.is_full() || self.outbox.barriers() >= BARRIERS_MAX {
                return Progress::Full;
            }
            if self.units() >= TURN_UNITS {
                return Progress::More;
            }
            if self.holds.as_ref().is_some_and(|holds| !holds.lane().log.has_room()) && phase != Phase::Failed
            {
                return Progress::NoRoom;
            }
            match decoder.decode(input) {
                Ok(Decoded::Incomplete) => return Progress::Idle,
                Ok(Decoded::Command) => {
                    let args = decoder.args(input);
                    let started = match self.session.replies {
                        Replies::On => self.request(args, phase),
                        _ => self.muted(|turn| turn.request(args, phase)),
                    };
                    if let Some(spec) = started {
                        if decoder.is_at_end(input) {
                            // Staging is a part of what was done.
                            self.end_hold();
                            self.end_lap(spec, args);
                        } else if self.lap_is_over() {
                            self.end_lap(spec, args);
                        }
                    }
                }
                Ok(Decoded::TooLarge(error)) => self.refuse(&error),
                Err(framing) => {
                    self.server.disconnects.tell(Reason::Protocol, &self.session.client.peer, &framing);
                    self.error(ErrorCode::Err, &framing.to_string());
                    self.session.closing = true;
                }
            }
            // RESET takes it back.
            decoder.set_authenticated(self.session.access.is_authenticated());
        }
    }

    /// How much was done: commands, and jobs that they moved.
    #[inline]
    pub(crate) fn units(&self) -> u32 {
        let jobs = self.holds.as_ref().map_or(0, Holds::units);
        self.session.run.calls().max(jobs)
    }

    /// Writes what others have for this client; false when it has to go.
    #[cold]
    fn take_mail(&mut self) -> bool {
        let session = &*self.session;
        session.client.mailbox.deliver(self.outbox, session.proto, OUTPUT_PAUSE_BYTES).is_ok()
    }

    /// Writes all of it, however much it is; within a transaction it would stand amid the reply.
    pub(crate) fn take_all_mail(&mut self) {
        let (client, proto) = (&self.session.client, self.session.proto);
        let in_transaction = self.holds.as_ref().is_some_and(Holds::in_transaction);
        if client.mailbox.is_signalled() && !in_transaction {
            // A connection that has to go is told so before its next command.
            _ = client.mailbox.deliver(self.outbox, proto, usize::MAX);
        }
    }

    /// Runs, queues, postpones or refuses a request; gives what has run.
    pub(crate) fn request(&mut self, args: Args<'_>, phase: Phase) -> Option<&'static CommandSpec> {
        let spec = match table::resolve(args) {
            Ok(spec) => spec,
            Err(error) => {
                self.reject(args, &error);
                return None;
            }
        };
        if let Err(error) = self.admit(spec, args, phase) {
            self.session.run.rejected(spec);
            self.reject(args, &error);
            return None;
        }
        if self.server.pause.is_on() && phase < Phase::Stopping && self.postpone(spec, args) {
            return None;
        }
        if self.session.queued.is_some() && !commands::transaction::runs_at_once(spec) {
            commands::transaction::queue(self, spec, args);
            return None;
        }
        self.start(spec, args);
        Some(spec)
    }

    /// Whether this connection may run the command now.
    #[inline]
    fn admit(&self, spec: &'static CommandSpec, args: Args<'_>, phase: Phase) -> Result<(), CommandError> {
        if self.session.access.is_restricted() {
            self.check_access(spec, args)?;
        }
        self.session.subscriptions.admit(spec, args, self.session.proto)?;
        if phase == Phase::Failed {
            return Err(CommandError::with_code(ErrorCode::MisConf, self.failure()));
        }
        if self.holds.is_none() && !spec.flags.has(Flags::LOADING) {
            return Err(CommandError::with_code(ErrorCode::Loading, self.server.loading.message()));
        }
        Ok(())
    }

    /// Whether this connection's user may run the command.
    fn check_access(&self, spec: &'static CommandSpec, args: Args<'_>) -> Result<(), CommandError> {
        if !self.session.access.is_authenticated() && !spec.flags.has(Flags::NO_AUTH) {
            return Err(CommandError::with_code(ErrorCode::NoAuth, "Authentication required."));
        }
        let entry = Entry::of(spec, args);
        if self.server.acl.is_disabled(entry) {
            let name = entry.name();
            return Err(CommandError::new(format!(
                "command '{name}' is disabled by the configuration (disabled-commands)"
            )));
        }
        let context = if self.session.queued.is_some() { Context::Multi } else { Context::Toplevel };
        self.permit(spec, args, context).map_err(|denied| denied.error(spec, args))
    }

    /// Asks the user's rules, and logs it when they say no.
    pub(crate) fn permit(
        &self,
        spec: &'static CommandSpec,
        args: Args<'_>,
        context: Context,
    ) -> Result<(), Denied> {
        let user = self.session.access.user();
        user.check(spec, args).inspect_err(|denied| {
            let (reason, object) = (denied.reason(), denied.object(spec, args));
            self.server.acl.log.add((reason, context), &object, user.name(), self.session.client.line());
        })
    }

    /// This connection has changed a user, perhaps its own: it may have to end after its reply.
    pub(crate) fn refresh_access(&mut self) {
        if self.session.refresh_access(&self.server.acl).is_err() {
            self.session.closing = true;
        }
    }

    #[cold]
    fn failure(&self) -> String {
        let why = self.server.lifecycle.failure().unwrap_or_default();
        format!("the outcome of this command is unknown, for the log failed: {why}")
    }

    /// Runs a command.
    #[inline]
    pub(crate) fn command(&mut self, spec: &'static CommandSpec, args: Args<'_>) {
        if !parse::is_queue_command(spec) {
            return commands::run_redis(self, spec, args);
        }
        // By reference: to move a command copies several hundred bytes.
        match &parse::parse(spec, args, &self.server.config.limits) {
            Ok(command) => commands::run(self, spec, command),
            Err(error) => self.fail(spec, error),
        }
    }

    /// Answers an error of a command that ran.
    #[cold]
    pub(crate) fn fail(&mut self, spec: &CommandSpec, error: &CommandError) {
        self.session.run.failed(spec);
        self.error(error.code, &error.text);
    }

    /// Answers a request that does not become a command.
    #[cold]
    fn reject(&mut self, args: Args<'_>, error: &CommandError) {
        let name = args.at(0);
        if table::is_http(name) {
            tracing::warn!(client = self.session.client.id, "closed a connection that speaks HTTP");
            self.session.closing = true;
        } else if name.eq_ignore_ascii_case(b"EXEC") {
            self.session.queued = None;
            self.session.watched = commands::watch::Watched::default();
            let why = if error.code == ErrorCode::Err { error.text.clone() } else { error.to_string() };
            let text = format!("Transaction discarded because of: {why}");
            self.error(ErrorCode::ExecAbort, &text);
        } else {
            self.refuse(error);
        }
    }

    /// Answers a request that is no command: within a transaction, EXEC will do nothing.
    #[cold]
    pub(crate) fn refuse(&mut self, error: &CommandError) {
        if let Some(queued) = &mut self.session.queued {
            queued.spoil();
        }
        self.error(error.code, &error.text);
    }

    /// Answers an error, and counts it.
    #[cold]
    pub(crate) fn error(&mut self, code: ErrorCode, text: &str) {
        self.server.errors.count(code);
        self.reply().error(code, text);
    }

    /// The next reply.
    #[inline]
    pub(crate) fn reply(&mut self) -> Reply<'_> {
        self.outbox.reply(self.session.proto)
    }

    /// The parts that queue commands work with.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut Holds<'a>, &mut Session, &mut Outbox) {
        let holds = self.holds.as_mut().expect("queue commands are refused while the log is recovered");
        (holds, self.session, self.outbox)
    }

    /// The lane.
    pub(crate) fn lane(&self) -> &'a Lane {
        self.holds.as_ref().expect("queue commands are refused while the log is recovered").lane()
    }

    /// Gives the lock back.
    pub(crate) fn end_hold(&mut self) {
        if let Some(holds) = &mut self.holds {
            holds.end(self.outbox);
        }
    }
}
