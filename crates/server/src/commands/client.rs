//! CLIENT: connections about themselves and each other.

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::{Args, CommandError};

use super::{Done, upper};
use crate::clients::Unblock;
use crate::limits::CLIENT_NAME_BYTES_MAX;
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
        "LIB-NAME" => names.library = value,
        "LIB-VER" => names.version = value,
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
        (Some("TYPE"), 4) => match upper(args.at(3)).as_str() {
            "NORMAL" => {}
            "MASTER" | "REPLICA" | "PUBSUB" => clients.clear(),
            _ => {
                return Err(CommandError::new(format!(
                    "Unknown client type '{}'",
                    upper(args.at(3)).to_lowercase()
                )));
            }
        },
        (Some("ID"), 4..) => {
            let ids: Option<Vec<u64>> = args
                .skip(3)
                .iter()
                .map(|word| string2ll(word).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0))
                .collect();
            let ids = ids.ok_or_else(|| CommandError::new("Invalid client ID"))?;
            clients.retain(|client| ids.contains(&client.id));
        }
        _ => return Err(CommandError::syntax("CLIENT LIST takes TYPE type or ID id ...")),
    }
    let text: String = clients.iter().map(|client| client.line() + "\n").collect();
    turn.reply().verbatim(text.as_bytes());
    Ok(())
}

/// CLIENT INFO.
pub(super) fn info(turn: &mut Turn<'_, '_>) -> Done {
    let line = turn.session.client.line() + "\n";
    turn.reply().verbatim(line.as_bytes());
    Ok(())
}

/// CLIENT UNBLOCK id [TIMEOUT|ERROR].
pub(super) fn unblock(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let id =
        string2ll(args.at(2)).ok_or_else(|| CommandError::new("value is not an integer or out of range"))?;
    let how = match args.get(3).map(upper).as_deref() {
        None | Some("TIMEOUT") => Unblock::Timeout,
        Some("ERROR") => Unblock::Error,
        Some(_) => return Err(CommandError::new("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let unblocked = u64::try_from(id).is_ok_and(|id| turn.server.clients.unblock(id, how));
    turn.reply().integer(u8::from(unblocked));
    Ok(())
}
