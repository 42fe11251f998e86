//! CLIENT: connections about themselves and each other.

use std::time::Duration;

use std::collections::HashSet;

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::table::CommandId;
use stanchion_protocol::{Args, CommandError};
use tokio::time::Instant;

use super::waiting::parse_timeout_ms;
use super::{Done, upper};
use crate::clients::{ClientType, Unblock};
use crate::limits::CLIENT_NAME_BYTES_MAX;
use crate::muted::Replies;
use crate::pause::Paused;
use crate::turn::Turn;

/// CLIENT ID.
pub(super) fn id(turn: &mut Turn<'_, '_>) -> Done {
    let id = turn.session.client.id;
    turn.reply().integer(id);
    Ok(())
}

/// A name as a line of CLIENT LIST can show it.
pub(super) fn check_name(name: &[u8]) -> Result<String, CommandError> {
    if name.len() > CLIENT_NAME_BYTES_MAX {
        return Err(CommandError::new(format!(
            "the client name of {} bytes is above the limit of {CLIENT_NAME_BYTES_MAX}",
            name.len()
        )));
    }
    if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Err(CommandError::new("Client names cannot contain spaces, newlines or special characters."));
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// CLIENT SETNAME.
pub(super) fn set_name(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    turn.session.client.names.lock().name = check_name(args.at(2))?;
    turn.reply().ok();
    Ok(())
}

/// CLIENT GETNAME.
pub(super) fn get_name(turn: &mut Turn<'_, '_>) -> Done {
    let name = turn.session.client.names.lock().name.clone();
    if name.is_empty() {
        turn.reply().nil()
    } else {
        turn.reply().bulk(name.as_bytes())
    }
    Ok(())
}

/// CLIENT SETINFO LIB-NAME|LIB-VER value.
pub(super) fn set_info(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let attribute = upper(args.at(2));
    let value = check_name(args.at(3)).map_err(|_| {
        CommandError::new(format!(
            "{} cannot contain spaces, newlines or special characters.",
            attribute.to_lowercase()
        ))
    })?;
    let mut names = turn.session.client.names.lock();
    match attribute.as_str() {
        "LIB-NAME" => names.lib_name = value,
        "LIB-VER" => names.lib_version = value,
        _ => {
            return Err(CommandError::new(format!(
                "Unrecognized option '{}'",
                attribute.to_lowercase().escape_debug()
            )));
        }
    }
    drop(names);
    turn.reply().ok();
    Ok(())
}

/// CLIENT LIST [TYPE type] [ID id ...].
pub(super) fn list(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let mut clients = turn.server.clients.all();
    match (args.get(2).map(upper).as_deref(), args.len()) {
        (None, _) => {}
        (Some("TYPE"), 4) => {
            let kind = ClientType::read(args.at(3))?;
            clients.retain(|client| client.kind() == kind);
        }
        (Some("ID"), 4..) => {
            let ids: Option<Vec<i64>> = args.skip(3).iter().map(string2ll).collect();
            let ids = ids.ok_or_else(|| CommandError::new("Invalid client ID"))?;
            // Each is shown once: a short command must not make a reply without end.
            let mut shown = HashSet::new();
            let known = |id| turn.server.clients.get(u64::try_from(id).ok()?);
            clients = ids.into_iter().filter(|id| shown.insert(*id)).filter_map(known).collect();
        }
        _ => return Err(CommandError::syntax("CLIENT LIST takes TYPE type or ID id ...")),
    }
    show_now(turn, CommandId::ClientList);
    let text: String = clients.iter().map(|client| client.line() + "\n").collect();
    turn.reply().verbatim(text.as_bytes());
    Ok(())
}

/// The connection's own line is to show what it does at this moment.
fn show_now(turn: &Turn<'_, '_>, command: CommandId) {
    turn.session.client.heard(std::time::Instant::now(), command as usize);
}

/// CLIENT INFO.
pub(super) fn info(turn: &mut Turn<'_, '_>) -> Done {
    show_now(turn, CommandId::ClientInfo);
    let line = turn.session.client.line() + "\n";
    turn.reply().verbatim(line.as_bytes());
    Ok(())
}

/// CLIENT PAUSE ms [WRITE|ALL].
pub(super) fn pause(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if args.len() > 4 {
        let word = String::from_utf8_lossy(args.at(1));
        return Err(CommandError::new(format!(
            "unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP."
        )));
    }
    let what = match args.get(3).map(upper).as_deref() {
        None | Some("ALL") => Paused::All,
        Some("WRITE") => Paused::Writes,
        Some(_) => return Err(CommandError::new("CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let ms = parse_timeout_ms(args.at(2))?;
    turn.server.pause.begin(what, Instant::now() + Duration::from_millis(ms));
    turn.reply().ok();
    Ok(())
}

/// CLIENT UNPAUSE.
pub(super) fn unpause(turn: &mut Turn<'_, '_>) -> Done {
    turn.server.pause.end();
    turn.server.clients.wake_postponed();
    turn.reply().ok();
    Ok(())
}

/// CLIENT REPLY ON|OFF|SKIP.
pub(super) fn reply(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    match upper(args.at(2)).as_str() {
        "ON" => {
            turn.session.replies = Replies::On;
            turn.reply().ok();
        }
        "OFF" => turn.session.replies = Replies::Off,
        "SKIP" if turn.session.replies == Replies::Off => {}
        "SKIP" => turn.session.replies = Replies::SkipNext,
        _ => return Err(CommandError::new("syntax error")),
    }
    Ok(())
}

/// CLIENT NO-EVICT and NO-TOUCH: nothing is evicted and nothing counts accesses, so both are as if it were on.
pub(super) fn accept_switch(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    match upper(args.at(2)).as_str() {
        "ON" | "OFF" => turn.reply().ok(),
        _ => return Err(CommandError::new("syntax error")),
    }
    Ok(())
}

/// CLIENT UNBLOCK id [TIMEOUT|ERROR].
pub(super) fn unblock(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    if args.len() > 4 {
        let word = String::from_utf8_lossy(args.at(1));
        return Err(CommandError::new(format!(
            "unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP."
        )));
    }
    let how = match args.get(3).map(upper).as_deref() {
        None | Some("TIMEOUT") => Unblock::Timeout,
        Some("ERROR") => Unblock::Error,
        Some(_) => return Err(CommandError::new("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let id =
        string2ll(args.at(2)).ok_or_else(|| CommandError::new("value is not an integer or out of range"))?;
    let unblocked = u64::try_from(id).is_ok_and(|id| turn.server.clients.unblock(id, how));
    turn.reply().integer(u8::from(unblocked));
    Ok(())
}
