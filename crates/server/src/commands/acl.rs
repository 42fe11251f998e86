//! ACL: users and what they may do, in the replies of Redis 7.

use std::sync::Arc;
use std::time::SystemTime;

use stanchion_protocol::decode::string2ll;
use stanchion_protocol::error::Quoted;
use stanchion_protocol::{Args, CommandError, table};

use super::Done;
use crate::acl::{CATEGORIES, DEFAULT, Entry, User, category};
use crate::limits::{ACL_LOG_ENTRIES_DEFAULT, GENPASS_BITS_DEFAULT, GENPASS_BITS_MAX};
use crate::turn::Turn;

/// ACL WHOAMI.
pub(super) fn who_am_i(turn: &mut Turn<'_, '_>) -> Done {
    let user = Arc::clone(turn.session.access.user());
    turn.reply().bulk(user.name());
    Ok(())
}

/// ACL USERS.
pub(super) fn names(turn: &mut Turn<'_, '_>) -> Done {
    let users = turn.server.acl.users();
    let mut reply = turn.reply();
    reply.array(users.len());
    users.iter().for_each(|user| reply.bulk(user.name()));
    Ok(())
}

/// ACL LIST.
pub(super) fn list(turn: &mut Turn<'_, '_>) -> Done {
    let users = turn.server.acl.users();
    let mut reply = turn.reply();
    reply.array(users.len());
    users.iter().for_each(|user| reply.bulk(&user.line()));
    Ok(())
}

/// ACL GETUSER name.
pub(super) fn get_user(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let user = turn.server.acl.find(args.at(2));
    let mut reply = turn.reply();
    let Some(user) = user else {
        reply.nil();
        return Ok(());
    };
    reply.map(6);
    let flags = user.flags();
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    let hashes = user.hashes();
    reply.bulk(b"passwords");
    reply.array(hashes.len());
    hashes.iter().for_each(|hash| reply.bulk(hash.as_bytes()));
    let mut permissions = |values: [Vec<u8>; 3]| {
        for (name, value) in ["commands", "keys", "channels"].into_iter().zip(values) {
            reply.bulk(name.as_bytes());
            reply.bulk(&value);
        }
    };
    permissions(user.permissions());
    let more = user.more_permissions();
    reply.bulk(b"selectors");
    reply.array(more.len());
    for values in more {
        reply.map(values.len());
        for (name, value) in ["commands", "keys", "channels"].into_iter().zip(values) {
            reply.bulk(name.as_bytes());
            reply.bulk(&value);
        }
    }
    Ok(())
}

/// ACL SETUSER name [rule ...].
pub(super) fn set_user(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let (name, by) = (args.at(2), Arc::clone(turn.session.access.user()));
    let user = turn.server.acl.set_user(name, args.skip(3).iter());
    let user = user.map_err(|error| CommandError::new(error.to_string()))?;
    tracing::info!(user = %Quoted(name), by = %Quoted(by.name()), "user changed");
    wake_clients_of(turn, &[user]);
    turn.refresh_access();
    turn.reply().ok();
    Ok(())
}

/// ACL DELUSER name ...: the connections of those users end.
pub(super) fn delete_users(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let (names, by) = (args.skip(2), Arc::clone(turn.session.access.user()));
    if names.iter().any(|name| name == DEFAULT) {
        return Err(CommandError::new("The 'default' user cannot be removed"));
    }
    let deleted = turn.server.acl.delete(names.iter());
    for user in &deleted {
        tracing::info!(user = %Quoted(user.name()), by = %Quoted(by.name()), "user deleted");
    }
    wake_clients_of(turn, &deleted);
    turn.refresh_access();
    turn.reply().integer(deleted.len());
    Ok(())
}

/// Refuses LOAD and SAVE where there is nothing to load from.
fn check_file(turn: &Turn<'_, '_>) -> Done {
    if turn.server.acl.has_file() {
        return Ok(());
    }
    Err(CommandError::new(
        "This Redis instance is not configured to use an ACL file. You may want to specify users in the configuration file, or an ACL file with the option aclfile",
    ))
}

/// ACL LOAD.
pub(super) fn load(turn: &mut Turn<'_, '_>) -> Done {
    check_file(turn)?;
    // No lock of a shard is kept while a disk is waited for.
    turn.end_hold();
    turn.server.acl.load().map_err(|error| {
        CommandError::new(format!(
            "{error}. WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
        ))
    })?;
    tracing::info!("users loaded from the ACL file");
    turn.server.clients.wake_all();
    turn.refresh_access();
    turn.reply().ok();
    Ok(())
}

/// ACL SAVE.
pub(super) fn save(turn: &mut Turn<'_, '_>) -> Done {
    check_file(turn)?;
    turn.end_hold();
    turn.server.acl.save().map_err(|error| {
        tracing::error!(%error, "the ACL file could not be written");
        CommandError::new(
            "There was an error trying to save the ACLs. Please check the server logs for more information",
        )
    })?;
    turn.reply().ok();
    Ok(())
}

/// Wakes the connections of changed users, for what they wait for may not be for them any more.
fn wake_clients_of(turn: &Turn<'_, '_>, users: &[Arc<User>]) {
    if users.is_empty() {
        return;
    }
    for client in turn.server.clients.all() {
        if users.iter().any(|user| client.is_user(user)) {
            client.wake.notify_one();
        }
    }
}

/// ACL CAT [category].
pub(super) fn categories(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let names: Vec<String> = match (args.get(2), args.len()) {
        (None, _) => CATEGORIES.iter().map(|(name, _)| (*name).to_owned()).collect(),
        (Some(name), 3) => {
            let (_, category) = category(name)
                .ok_or_else(|| CommandError::new(format!("Unknown category {}", Quoted(name))))?;
            let within = Entry::all().filter(|entry| entry.is_answered() && entry.is_in(category));
            within.map(Entry::name).collect()
        }
        _ => return Err(wrong_number(args)),
    };
    let mut reply = turn.reply();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(())
}

/// Redis's words for a subcommand with too many words, where its table allows any number.
fn wrong_number(args: Args<'_>) -> CommandError {
    let subcommand = String::from_utf8_lossy(args.at(1));
    CommandError::new(format!(
        "unknown subcommand or wrong number of arguments for '{subcommand}'. Try ACL HELP."
    ))
}

/// ACL DRYRUN user command [argument ...].
pub(super) fn dry_run(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let (name, request) = (args.at(2), args.skip(3));
    let user = turn.server.acl.find(name);
    let user = user.ok_or_else(|| CommandError::new(format!("User {} not found", Quoted(name))))?;
    let unknown = || CommandError::new(format!("Command {} not found", Quoted(request.at(0))));
    let mut spec = table::find(request.at(0)).ok_or_else(unknown)?;
    if let Some(word) = request.get(1)
        && spec.is_container()
    {
        spec = table::subcommand(spec, word).ok_or_else(unknown)?;
    }
    if !spec.arity_fits(request.len()) {
        return Err(table::wrong_arity(&Entry::of(spec, request).name()));
    }
    match user.check(spec, request) {
        Ok(()) => turn.reply().ok(),
        Err(denied) => turn.reply().bulk(&denied.dry_run(spec, request)),
    }
    Ok(())
}

/// `ACL GENPASS [bits]`.
pub(super) fn generate_password(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let bits = match args.len() {
        2 => GENPASS_BITS_DEFAULT,
        3 => {
            let bits = string2ll(args.at(2))
                .ok_or_else(|| CommandError::new("value is not an integer or out of range"))?;
            usize::try_from(bits).ok().filter(|bits| (1..=GENPASS_BITS_MAX).contains(bits)).ok_or_else(|| {
                CommandError::new(format!(
                    "ACL GENPASS argument must be the number of bits for the output password, a positive number up to {GENPASS_BITS_MAX}"
                ))
            })?
        }
        _ => return Err(wrong_number(args)),
    };
    let digits = bits.div_ceil(4);
    let mut random = [0; GENPASS_BITS_MAX / 8];
    getrandom::fill(&mut random)
        .map_err(|error| CommandError::new(format!("the system has no random bits: {error}")))?;
    let mut password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    password.truncate(digits);
    turn.reply().bulk(password.as_bytes());
    Ok(())
}

/// ACL LOG [count | RESET].
pub(super) fn log(turn: &mut Turn<'_, '_>, args: Args<'_>) -> Done {
    let count = match (args.get(2), args.len()) {
        (None, _) => ACL_LOG_ENTRIES_DEFAULT,
        (Some(word), 3) if word.eq_ignore_ascii_case(b"reset") => {
            turn.server.acl.log.reset();
            turn.reply().ok();
            return Ok(());
        }
        (Some(word), 3) => {
            let count = string2ll(word)
                .ok_or_else(|| CommandError::new("value is not an integer or out of range"))?;
            usize::try_from(count).unwrap_or(0)
        }
        _ => return Err(wrong_number(args)),
    };
    let entries = turn.server.acl.log.newest(count);
    let now = SystemTime::now();
    let unix_ms =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut reply = turn.reply();
    reply.array(entries.len());
    for entry in entries {
        reply.map(10);
        reply.bulk(b"count");
        reply.integer(entry.count);
        for (name, value) in [
            ("reason", entry.reason.word().as_bytes()),
            ("context", entry.context.word().as_bytes()),
            ("object", &entry.object),
            ("username", &entry.user),
        ] {
            reply.bulk(name.as_bytes());
            reply.bulk(value);
        }
        reply.bulk(b"age-seconds");
        let age_ms = now.duration_since(entry.last).unwrap_or_default().as_millis();
        reply.double(age_ms as f64 / 1_000.0);
        reply.bulk(b"client-info");
        reply.bulk(entry.client.as_bytes());
        for (name, value) in [
            ("entry-id", u128::from(entry.id)),
            ("timestamp-created", unix_ms(entry.first)),
            ("timestamp-last-updated", unix_ms(entry.last)),
        ] {
            reply.bulk(name.as_bytes());
            reply.integer(value);
        }
    }
    Ok(())
}
