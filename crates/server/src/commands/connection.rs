//! PING ECHO HELLO AUTH SELECT QUIT RESET, TIME, SHUTDOWN, and what the command table answers by itself.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::error::Quoted;
use stanchion_protocol::{Args, CommandError, CommandSpec, ErrorCode, Proto, docs};

use super::client::check_name;
use super::watch::Watched;
use super::{Done, upper};
use crate::acl::{Context, DEFAULT, Reason};
use crate::muted::Replies;
use crate::turn::Turn;

/// PING.
pub(super) fn ping(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if args.len() > 2 {
        return Err(CommandError::new("wrong number of arguments for 'ping' command"));
    }
    let listens = turn.session.subscriptions.count() > 0;
    let mut reply = turn.reply();
    match args.get(1) {
        // Among the messages of RESP2 a plain reply would be taken for a broken one.
        message if listens && reply.proto() == Proto::Resp2 => {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(message.unwrap_or_default());
        }
        Some(message) => reply.bulk(message),
        None => reply.simple("PONG"),
    }
    Ok(())
}

/// ECHO.
pub(super) fn echo(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    turn.reply().bulk(args.at(1));
    Ok(())
}

/// HELLO [protover [AUTH user password] [SETNAME name]].
pub(super) fn hello(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let mut proto = turn.session.proto;
    if let Some(version) = args.get(1) {
        proto = match version {
            b"2" => Proto::Resp2,
            b"3" => Proto::Resp3,
            word if string2ll(word).is_some() => {
                return Err(CommandError::with_code(ErrorCode::NoProto, "unsupported protocol version"));
            }
            _ => return Err(CommandError::new("Protocol version is not an integer or out of range")),
        };
    }
    let (login, name) = hello_options(args)?;
    if let Some((user, password)) = login {
        authenticate(turn, args.at(0), user, password)?;
    }
    if !turn.session.access.is_authenticated() {
        return Err(CommandError::with_code(
            ErrorCode::NoAuth,
            "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        turn.session.client.names.lock().name = name;
    }
    set_proto(turn, proto);
    let id = turn.session.client.id;
    let mut reply = turn.reply();
    reply.map(7);
    for (field, value) in [("server", "redis"), ("version", super::info::REDIS_VERSION)] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(match proto {
        Proto::Resp2 => 2,
        Proto::Resp3 => 3,
    });
    reply.bulk(b"id");
    reply.integer(id);
    for (field, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(field.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// HELLO's options: a login and a name.
type HelloOptions<'a> = (Option<(&'a [u8], &'a [u8])>, Option<String>);

/// Reads HELLO's options, with Redis's words for what is wrong with them.
fn hello_options(args: Args<'_>) -> Result<HelloOptions<'_>, CommandError> {
    let (mut login, mut name) = (None, None);
    let mut at = 2;
    while let Some(word) = args.get(at) {
        match (upper(word).as_str(), args.get(at + 1), args.get(at + 2)) {
            ("AUTH", Some(user), Some(password)) => {
                login = Some((user, password));
                at += 3;
            }
            ("SETNAME", Some(word), _) => {
                name = Some(check_name(word)?);
                at += 2;
            }
            _ => {
                let word = Quoted(word);
                return Err(CommandError::new(format!("Syntax error in HELLO option {word}")));
            }
        }
    }
    Ok((login, name))
}

fn set_proto(turn: &mut Turn<'_, '_>, proto: Proto) {
    turn.session.proto = proto;
    turn.session.client.resp3.store(proto == Proto::Resp3, Ordering::Relaxed);
}

/// `AUTH [user] password`.
pub(super) fn auth(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    match args.len() {
        2 => {
            if turn.server.acl.default_user().needs_no_password() {
                return Err(CommandError::new(
                    "AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                ));
            }
            authenticate(turn, args.at(0), DEFAULT, args.at(1))?;
        }
        3 => authenticate(turn, args.at(0), args.at(1), args.at(2))?,
        _ => return Err(CommandError::new("syntax error")),
    }
    turn.reply().ok();
    Ok(())
}

/// Logs in, or notes in the ACL log that somebody tried; never the password.
fn authenticate(turn: &mut Turn<'_, '_>, command: &[u8], name: &[u8], password: &[u8]) -> Done {
    let (acl, session) = (&turn.server.acl, &mut *turn.session);
    let user = acl.authenticate(name, password);
    if let Some(user) = user
        && session.access.log_in(user, acl, &session.client).is_ok()
    {
        return Ok(());
    }
    let context = if session.queued.is_some() { Context::Multi } else { Context::Toplevel };
    acl.log.add((Reason::Auth, context), command, name, session.client.line());
    Err(CommandError::with_code(ErrorCode::WrongPass, "invalid username-password pair or user is disabled."))
}

/// SELECT.
pub(super) fn select(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    match string2ll(args.at(1)) {
        None => return Err(CommandError::new("value is not an integer or out of range")),
        Some(number) if i32::try_from(number).is_err() => {
            return Err(CommandError::new(
                "value is out of range, value must between -2147483648 and 2147483647",
            ));
        }
        Some(0) => turn.reply().ok(),
        Some(_) => return Err(CommandError::new("DB index is out of range")),
    }
    Ok(())
}

/// QUIT.
pub(super) fn quit(turn: &mut Turn<'_, '_>) -> Done {
    turn.reply().ok();
    turn.session.closing = true;
    Ok(())
}

/// RESET.
pub(super) fn reset(turn: &mut Turn<'_, '_>) -> Done {
    turn.session.queued = None;
    turn.session.watched = Watched::default();
    turn.session.backup = None;
    // What CLIENT REPLY SKIP asked for is this command's silence.
    if turn.session.replies != Replies::Skip {
        turn.session.replies = Replies::On;
    }
    turn.server.monitors.remove(&turn.session.client, &turn.server.attention);
    turn.session.subscriptions.clear(&turn.server.hub, &turn.session.client);
    turn.take_all_mail();
    turn.session.access.reset(&turn.server.acl, &turn.session.client);
    turn.session.client.names.lock().name.clear();
    set_proto(turn, Proto::Resp2);
    turn.reply().simple("RESET");
    Ok(())
}

/// TIME.
pub(super) fn time(turn: &mut Turn<'_, '_>) -> Done {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut reply = turn.reply();
    reply.array(2);
    reply.bulk_integer(now.as_secs());
    reply.bulk_integer(now.subsec_micros());
    Ok(())
}

/// `SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]`: the log is always synced; what is saved, or not, is a checkpoint.
pub(super) fn shutdown(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let (mut save, mut no_save, mut hurry, mut abort) = (false, false, false, false);
    for word in args.skip(1).iter() {
        match upper(word).as_str() {
            "SAVE" => save = true,
            "NOSAVE" => no_save = true,
            "FORCE" => {}
            "NOW" => hurry = true,
            "ABORT" => abort = true,
            _ => return Err(CommandError::syntax("SHUTDOWN takes NOSAVE, SAVE, NOW, FORCE or ABORT")),
        }
    }
    if save && no_save {
        return Err(CommandError::syntax("SAVE and NOSAVE contradict each other"));
    }
    if abort {
        let alone = args.len() == 2;
        return Err(if alone {
            CommandError::new("No shutdown in progress.")
        } else {
            CommandError::syntax("ABORT stands alone")
        });
    }
    if let Some(lane) = turn.server.lane() {
        if save {
            lane.checkpoints.ask();
        } else if no_save {
            lane.checkpoints.forgo();
        }
    }
    turn.server.lifecycle.stop();
    if hurry {
        turn.server.lifecycle.stop();
    }
    turn.session.closing = true;
    Ok(())
}

/// COMMAND, its subcommands, and HELP.
pub(super) fn documentation(turn: &mut Turn<'_, '_>, spec: &'static CommandSpec, args: Args<'_>) -> Done {
    if docs::answer(spec, args, &mut turn.reply())? {
        return Ok(());
    }
    Err(CommandError::new(format!("'{}' is not answered by this version", spec.name)))
}
