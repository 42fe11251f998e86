//! From the configuration of MediaWiki's jobrunner to one of this runner.
//!
//! That service read a JSON file with `//` comments, took its jobs from Redis and started one shell command per queue
//! for a while. Its groups become groups, its command a `drain` dispatcher. What has no counterpart here is said, in
//! the file and to the caller, never left out in silence: limits that are the server's now, the addresses of Redis,
//! statsd.

mod json;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::limits::{NAME_BYTES_MAX, SLOTS_MAX};
use words::Dispatch;

/// What jobrunner took when its file said nothing.
const REAL_SECONDS_DEFAULT: u64 = 3_600;
/// It raised shorter limits to this.
const REAL_SECONDS_MIN: u64 = 120;
const MEMORY_DEFAULT: &str = "300M";
/// It gave its low-priority types about a fifth of the time.
const LOW_PRIORITY_PART: u64 = 5;
/// How long it let a command go on taking jobs of one queue, in seconds.
const DRAIN_SECONDS: u64 = 30;

/// A configuration for this runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The file, with the notes as comments at its top.
    pub toml: String,
    /// What could not be carried over, and what to do about it.
    pub notes: Vec<String>,
}

/// Reads jobrunner's file. An error says where it is not one.
pub fn jobrunner(text: &str) -> Result<Migrated, String> {
    let value: Value =
        serde_json::from_str(&json::without_comments(text)).map_err(|error| format!("not JSON: {error}"))?;
    let Value::Object(top) = value else {
        return Err("not a configuration of jobrunner: it has no keys; name its JSON file".to_owned());
    };
    Migration { top: &top, notes: Vec::new() }.run()
}

struct Migration<'f> {
    top: &'f Map<String, Value>,
    notes: Vec<String>,
}

/// One group of the old file.
struct Group<'f> {
    name: &'f str,
    slots: u64,
    include: Vec<&'f str>,
    exclude: Vec<&'f str>,
    low_priority: Vec<&'f str>,
}

impl<'f> Migration<'f> {
    fn run(mut self) -> Result<Migrated, String> {
        let command = text(self.top, "", "dispatcher")?
            .ok_or("\"dispatcher\" is missing: there is no command to migrate")?;
        let groups = self.groups()?;
        if groups.is_empty() {
            return Err("no group has runners: there is nothing to migrate".to_owned());
        }
        self.note_unknown_keys();
        self.note_limits_of_the_server()?;
        self.note_addresses()?;

        // Groups whose commands have the same limits share a dispatcher.
        let mut dispatchers: BTreeMap<(u64, String), Vec<&str>> = BTreeMap::new();
        for group in &groups {
            dispatchers.entry((self.real_seconds(group)?, self.memory(group)?)).or_default().push(group.name);
        }
        let is_shared = dispatchers.len() == 1;
        let mut body = String::new();
        for group in &groups {
            let dispatcher = if is_shared {
                "jobrunner"
            } else {
                let key = (self.real_seconds(group)?, self.memory(group)?);
                dispatchers[&key][0]
            };
            body += &group.toml(dispatcher);
        }
        for ((seconds, memory), of) in &dispatchers {
            let name = if is_shared { "jobrunner" } else { of[0] };
            let dispatch = words::dispatch(command, DRAIN_SECONDS, memory)?;
            for note in &dispatch.notes {
                self.note(note.clone());
            }
            body += &dispatcher_toml(name, &dispatch, *seconds);
        }
        Ok(self.finish(&body))
    }

    fn finish(self, body: &str) -> Migrated {
        let mut toml = String::from("# Migrated from the configuration of MediaWiki's jobrunner.\n");
        if !self.notes.is_empty() {
            toml += "#\n# What could not be carried over:\n";
        }
        for note in &self.notes {
            toml += &format!("# - {note}\n");
        }
        toml += "\n[server]\nurl = \"redis://127.0.0.1:7379\"\n\n[runner]\nhttp = \"127.0.0.1:7381\"\n";
        toml += body;
        Migrated { toml, notes: self.notes }
    }

    /// Says something once.
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn groups(&mut self) -> Result<Vec<Group<'f>>, String> {
        let groups =
            object(self.top, "", "groups")?.ok_or("\"groups\" is missing: there is nothing to migrate")?;
        let mut found = Vec::new();
        for (name, value) in groups {
            let place = format!("groups.{name}");
            let Value::Object(group) = value else { return Err(format!("{place} is no object")) };
            let slots = number(group, &place, "runners")?.ok_or(format!("{place}.runners is missing"))?;
            if slots == 0 {
                self.note(format!("group \"{name}\" had no runners, so it is left out"));
                continue;
            }
            if slots > u64::from(SLOTS_MAX) {
                return Err(format!("{place}.runners is more than {SLOTS_MAX}"));
            }
            let include = names(group, &place, "include")?;
            let low_priority = names(group, &place, "low-priority")?;
            if include.is_empty() && low_priority.is_empty() {
                self.note(format!("group \"{name}\" served no type, so it is left out"));
                continue;
            }
            for key in group
                .keys()
                .filter(|key| !["runners", "include", "exclude", "low-priority"].contains(&key.as_str()))
            {
                self.note(format!("{place}.{key} is not known, so it is left out"));
            }
            let exclude = names(group, &place, "exclude")?;
            if !low_priority.is_empty() && !include.is_empty() {
                self.note(format!(
                    "{place}.low-priority: a command that takes its jobs by itself has no share of the slots; these types have a fifth of \
                     them to themselves, if there are two, and the others the rest"
                ));
            }
            found.push(Group { name, slots, include, exclude, low_priority });
        }
        Ok(found)
    }

    fn note_unknown_keys(&mut self) {
        for key in self.top.keys() {
            if !["groups", "limits", "redis", "statsd", "dispatcher"].contains(&key.as_str()) {
                self.note(format!("{key} is not known, so it is left out"));
            }
        }
        let limits = self.top.get("limits").and_then(Value::as_object);
        for key in limits.into_iter().flat_map(Map::keys) {
            if !["attempts", "claimTTL", "real", "memory"].contains(&key.as_str()) {
                self.note(format!("limits.{key} is not known, so it is left out"));
            }
        }
    }

    /// Attempts and claims were the old service's business; now they are the server's.
    fn note_limits_of_the_server(&mut self) -> Result<(), String> {
        for (kind, attempts) in self.limit("attempts")? {
            let attempts = attempts.as_u64().ok_or(format!("limits.attempts.{kind} is no number"))?;
            let queue = format!("[[queues]] with match = {}", quoted(kind));
            self.note(format!(
                "limits.attempts of \"{kind}\": the server counts attempts; write attempts = {attempts} into {queue} of its configuration, \
                 or run QCONFIG SET"
            ));
        }
        for (kind, seconds) in self.limit("claimTTL")? {
            let seconds = seconds.as_u64().ok_or(format!("limits.claimTTL.{kind} is no number"))?;
            let queue = format!("[[queues]] with match = {}", quoted(kind));
            self.note(format!(
                "limits.claimTTL of \"{kind}\": a command that takes its jobs by itself takes them with the queue's lease; write \
                 lease = \"{seconds}s\" into {queue} of the server's configuration"
            ));
        }
        Ok(())
    }

    fn note_addresses(&mut self) -> Result<(), String> {
        if let Some(redis) = object(self.top, "", "redis")? {
            let servers =
                names(redis, "redis", "queues")?.len() + names(redis, "redis", "aggregators")?.len();
            self.note(format!(
                "redis: the {servers} addresses of Redis; there is one server, with no aggregator and no jobchron: write its address into \
                 [server] url"
            ));
            if redis.contains_key("password") {
                self.note(
                    "redis.password is not copied: write the new server's as redis://:PASSWORD@HOST:PORT"
                        .to_owned(),
                );
            }
        }
        if self.top.contains_key("statsd") {
            self.note("statsd: counters are read, not sent; Prometheus gets them from [runner] http, under /metrics".to_owned());
        }
        Ok(())
    }

    /// How long a group's command may take: the longest limit of the types that it names, else the one for all.
    fn real_seconds(&self, group: &Group<'_>) -> Result<u64, String> {
        let mut longest = None;
        let limits = self.limit("real")?;
        for kind in group.kinds_with_own(&limits) {
            let seconds = limits[kind].as_u64().ok_or(format!("limits.real.{kind} is no number"))?;
            longest = longest.max(Some(seconds));
        }
        Ok(longest.unwrap_or(REAL_SECONDS_DEFAULT).max(REAL_SECONDS_MIN))
    }

    fn memory(&self, group: &Group<'_>) -> Result<String, String> {
        let limits = self.limit("memory")?;
        let Some(kind) = group.kinds_with_own(&limits).into_iter().next() else {
            return Ok(MEMORY_DEFAULT.to_owned());
        };
        match limits[kind] {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(format!("limits.memory.{kind} is neither text nor a number")),
        }
    }

    /// `limits.NAME`, by type.
    fn limit(&self, name: &str) -> Result<BTreeMap<&'f str, &'f Value>, String> {
        let Some(limits) = object(self.top, "", "limits")? else { return Ok(BTreeMap::new()) };
        let limit = object(limits, "limits", name)?;
        Ok(limit.into_iter().flatten().map(|(kind, value)| (kind.as_str(), value)).collect())
    }
}

impl<'f> Group<'f> {
    /// The types of this group that have a limit of their own; if none has, the one for all types.
    fn kinds_with_own<'l>(&self, limits: &BTreeMap<&'l str, &'l Value>) -> Vec<&'l str> {
        let own = |kind: &&&str| {
            **kind != "*" && (self.include.contains(*kind) || self.low_priority.contains(*kind))
        };
        let found: Vec<&str> = limits.keys().filter(own).copied().collect();
        if found.is_empty() { limits.keys().filter(|kind| **kind == "*").copied().collect() } else { found }
    }

    /// The group, or two: a command that takes its jobs by itself has no share of the slots, so types of a low
    /// priority get slots of their own.
    fn toml(&self, dispatcher: &str) -> String {
        let low = self.low_slots();
        if low == 0 || low == self.slots {
            let include = if self.include.is_empty() { &self.low_priority } else { &self.include };
            return group_toml(self.name, self.slots, include, &self.exclude, dispatcher);
        }
        let exclude: Vec<&str> = self.exclude.iter().chain(&self.low_priority).copied().collect();
        group_toml(self.name, self.slots - low, &self.include, &exclude, dispatcher)
            + &group_toml(&format!("{}-low", self.name), low, &self.low_priority, &self.exclude, dispatcher)
    }

    /// Slots for the types of a low priority; all of them when there are no others, or no second slot.
    fn low_slots(&self) -> u64 {
        match (self.low_priority.is_empty(), self.include.is_empty()) {
            (true, _) => 0,
            (_, true) => self.slots,
            _ if self.slots == 1 => 0,
            _ => self.slots.div_ceil(LOW_PRIORITY_PART),
        }
    }
}

fn group_toml(name: &str, slots: u64, include: &[&str], exclude: &[&str], dispatcher: &str) -> String {
    let mut text = format!("\n[groups.{}]\nslots = {slots}\ninclude = {}\n", key(name), list(include));
    if !exclude.is_empty() {
        text += &format!("exclude = {}\n", list(exclude));
    }
    text + &format!("dispatcher = {}\n", quoted(dispatcher))
}

fn dispatcher_toml(name: &str, dispatch: &Dispatch, seconds: u64) -> String {
    let words: Vec<&str> = dispatch.words.iter().map(String::as_str).collect();
    format!(
        "\n[dispatchers.{}]\nkind = \"drain\"\ncommand = {}\ntimeout = \"{seconds}s\"\nkill-after = \"5s\"\n",
        key(name),
        list(&words)
    )
}

/// A key of a TOML table.
fn key(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}

fn list(items: &[&str]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            c if c.is_control() => {
                let written = write!(quoted, "\\u{:04X}", u32::from(c));
                debug_assert!(written.is_ok(), "a String takes everything");
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn place(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

fn object<'f>(
    of: &'f Map<String, Value>,
    parent: &str,
    key: &str,
) -> Result<Option<&'f Map<String, Value>>, String> {
    match of.get(key) {
        None => Ok(None),
        Some(Value::Object(found)) => Ok(Some(found)),
        // PHP writes an empty map as a list.
        Some(Value::Array(items)) if items.is_empty() => Ok(None),
        Some(_) => Err(format!("{} is no object", place(parent, key))),
    }
}

fn text<'f>(of: &'f Map<String, Value>, parent: &str, key: &str) -> Result<Option<&'f str>, String> {
    match of.get(key) {
        None => Ok(None),
        Some(Value::String(found)) => Ok(Some(found)),
        Some(_) => Err(format!("{} is no string", place(parent, key))),
    }
}

fn number(of: &Map<String, Value>, parent: &str, key: &str) -> Result<Option<u64>, String> {
    of.get(key).map(|value| value.as_u64().ok_or(format!("{} is no number", place(parent, key)))).transpose()
}

/// A list of types or addresses.
fn names<'f>(of: &'f Map<String, Value>, parent: &str, key: &str) -> Result<Vec<&'f str>, String> {
    let wrong = || format!("{} is no list of names", place(parent, key));
    let Some(value) = of.get(key) else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(wrong)?;
    let name =
        |item: &'f Value| item.as_str().filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX);
    items.iter().map(|item| name(item).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests;
