//! The runner's configuration file, parsed strictly: what the file says and this version does not do is refused
//! with its line and what to write instead, because a setting that is silently ignored stops work silently.
//!
//! Parsing touches nothing: no file is opened, no server asked and no program looked up.

mod dispatchers;
pub mod lines;
pub mod problem;
mod schedules;
mod section;
mod server;
#[cfg(test)]
mod tests;
mod values;

use std::net::SocketAddr;
use std::time::Duration;

use toml::de::DeTable;

use dispatchers::NamedDispatcher;
pub use dispatchers::{Dispatcher, Drain, Exec, Http, Pool, ProcessLimits, Stdin};
pub use lines::Lines;
pub use problem::{ConfigError, Problem};
pub use schedules::{Missed, Schedule};
use section::{KeySpec, Section};
pub use server::Server;
pub use values::duration;
pub(crate) use values::show;

use crate::beat::host_name;
use crate::limits;

/// A whole configuration, every value checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// Where everything stands.
    pub lines: Lines,
    /// `[runner]`.
    pub settings: Settings,
    /// `[groups.NAME]`, by name.
    pub groups: Vec<Group>,
    /// Where the first `memory-max` stands.
    pub memory_max_line: Option<usize>,
    /// `[schedules.NAME]`, by name.
    pub schedules: Vec<Schedule>,
    /// What is allowed but looks like a mistake; `check` prints it.
    pub warnings: Vec<Problem>,
}

/// `[runner]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who claims, as the server and the logs name it.
    pub name: String,
    /// Length of a lease; extended at a third of it while the job runs.
    pub lease: Duration,
    /// When stopping, jobs may run on for this long.
    pub drain: Duration,
    /// Of the code that does the jobs.
    pub version: Option<String>,
    /// Where /health and /metrics are, if anywhere.
    pub http: Option<SocketAddr>,
}

/// `[groups.NAME]`: a set of slots, and the queues that they serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// NAME.
    pub name: String,
    /// How many jobs run at once.
    pub slots: u32,
    /// Globs over queue names.
    pub include: Vec<String>,
    /// Queues that are left out.
    pub exclude: Vec<String>,
    /// Queues that get a share only.
    pub low_priority: Option<LowPriority>,
    /// The name of its dispatcher.
    pub dispatcher_name: String,
    /// How their jobs are done.
    pub dispatcher: Dispatcher,
}

impl Group {
    /// The share of low-priority queues, if there are any.
    pub(crate) fn low_share(&self) -> Option<f64> {
        self.low_priority.as_ref().map(|low| low.share)
    }
}

/// `low-priority` and `low-priority-share`.
#[derive(Debug, Clone, PartialEq)]
pub struct LowPriority {
    /// Globs over queue names.
    pub queues: Vec<String>,
    /// Of the group's slots, above 0 and up to 1.
    pub share: f64,
}

const TOP_KEYS: &[KeySpec] = &[
    KeySpec::here("server"),
    KeySpec::here("runner"),
    KeySpec::here("groups"),
    KeySpec::here("dispatchers"),
    KeySpec::here("schedules"),
];
const RUNNER_KEYS: &[KeySpec] = &[
    KeySpec::here("name"),
    KeySpec::here("lease"),
    KeySpec::here("drain"),
    KeySpec::here("version"),
    KeySpec::here("http"),
];
const GROUP_KEYS: &[KeySpec] = &[
    KeySpec::here("slots"),
    KeySpec::here("include"),
    KeySpec::here("exclude"),
    KeySpec::here("low-priority"),
    KeySpec::here("low-priority-share"),
    KeySpec::here("dispatcher"),
];
impl Config {
    /// Reads the text of a configuration file; `file` is its name in messages. All problems are found, not only the first.
    pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
        let mut problems = problem::Problems::new(text);
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                problems.add(
                    at,
                    format!("not TOML: {}", error.message().replace('\n', ", ")),
                    "see https://toml.io",
                );
                return Err(problems.into_error(file));
            }
        };
        let lines = Lines::of(&table, &problems);
        let config = whole(Section::top(&table, text.len()), lines, &mut problems);
        problems.finish(file, config)
    }
}

fn whole(mut top: Section<'_>, lines: Lines, problems: &mut problem::Problems) -> Option<Config> {
    top.refuse_unknown(TOP_KEYS, problems);
    let server = server::read(&top, problems);
    let settings = settings(top.section("runner", problems), problems);
    let dispatchers = dispatchers::all(&mut top, problems);
    let limited = top.sections("dispatchers", problems).into_iter().map(|(_, section)| section);
    let limits_at =
        limited.filter(|section| section.has("memory-max")).map(|section| section.value_at("memory-max"));
    let memory_max_line = limits_at.min().map(|at| problems.line(at));
    let groups = groups(&mut top, &dispatchers, problems);
    for (name, at, _) in &dispatchers {
        if !groups.iter().any(|(_, dispatcher)| dispatcher.as_deref() == Some(name)) && problems.is_clean() {
            problems.warn(
                *at,
                format!("no group uses the dispatcher \"{name}\""),
                "name it in a group, or remove it",
            );
        }
    }
    let groups = groups.into_iter().filter_map(|(group, _)| group).collect();
    let schedules = schedules::all(&mut top, problems);
    Some(Config {
        lines,
        server: server?,
        settings: settings?,
        groups,
        memory_max_line,
        schedules,
        warnings: problems.take_warnings(),
    })
}

fn settings(section: Option<Section<'_>>, problems: &mut problem::Problems) -> Option<Settings> {
    let Some(section) = section else {
        return Some(Settings {
            name: host_name(),
            lease: limits::LEASE_DEFAULT,
            drain: limits::DRAIN_DEFAULT,
            version: None,
            http: None,
        });
    };
    section.refuse_unknown(RUNNER_KEYS, problems);
    let name = match section.text("name", problems) {
        Some(name) => Some(values::name(&section, "name", name, problems)?),
        None => Some(host_name()),
    };
    let lease =
        section.duration("lease", limits::LEASE_MIN..=limits::DURATION_MAX, limits::LEASE_DEFAULT, problems);
    let drain =
        section.duration("drain", Duration::ZERO..=limits::DURATION_MAX, limits::DRAIN_DEFAULT, problems);
    let version = match section.text("version", problems) {
        Some(version) => values::name(&section, "version", version, problems).map(Some),
        None => (!section.has("version")).then_some(None),
    };
    let http = values::http(&section, problems);
    Some(Settings { name: name?, lease: lease?, drain: drain?, version: version?, http: http? })
}

/// Each group, if it has no problem, and the name of its dispatcher, if it says one.
type NamedGroup = (Option<Group>, Option<String>);

fn groups(
    top: &mut Section<'_>,
    dispatchers: &[NamedDispatcher],
    problems: &mut problem::Problems,
) -> Vec<NamedGroup> {
    let sections = top.sections("groups", problems);
    if sections.is_empty() {
        problems.add_missing(
            top,
            "a section [groups.NAME]",
            "write [groups.basic] with slots, include and dispatcher",
        );
    }
    sections.into_iter().map(|(name, section)| group(name, section, dispatchers, problems)).collect()
}

fn group(
    name: String,
    mut section: Section<'_>,
    dispatchers: &[NamedDispatcher],
    problems: &mut problem::Problems,
) -> NamedGroup {
    section.refuse_unknown(GROUP_KEYS, problems);
    let slots = values::slots(&mut section, problems);
    let include = values::globs(&mut section, "include", problems);
    if include.is_none() && !section.has("include") {
        problems.add_missing(&section, "the key \"include\"", "write include = [\"*\"] for every queue");
    }
    let exclude = if section.has("exclude") {
        values::globs(&mut section, "exclude", problems)
    } else {
        Some(Vec::new())
    };
    let low_priority = values::low_priority(&mut section, problems);
    if let (Some(include), Some(exclude), Some(low)) = (&include, &exclude, &low_priority) {
        refuse_nothing_left(&section, include, exclude, low.as_ref(), problems);
    }
    let known: Vec<&str> = dispatchers.iter().map(|(name, ..)| name.as_str()).collect();
    let wanted =
        section.required_text("dispatcher", "dispatcher = \"NAME\" of a [dispatchers.NAME]", problems);
    let found = wanted.and_then(|wanted| {
        let found = dispatchers.iter().find(|(name, ..)| name == wanted);
        if found.is_none() {
            let what = format!("there is no dispatcher \"{wanted}\"");
            problems.add(section.value_at("dispatcher"), what, section::nearest_or_list(wanted, &known));
        }
        found
    });
    let dispatcher = found.and_then(|(_, _, dispatcher)| dispatcher.clone());
    if matches!(dispatcher, Some(Dispatcher::Drain(_))) && section.has("low-priority") {
        let instead = "remove it, or make a group of its own for these queues";
        problems.add(
            section.value_at("low-priority"),
            "a drain command takes jobs by itself: it has no share",
            instead,
        );
    }
    let group = (|| {
        Some(Group {
            name,
            slots: slots?,
            include: include?,
            exclude: exclude?,
            low_priority: low_priority?,
            dispatcher_name: wanted?.to_owned(),
            dispatcher: dispatcher?,
        })
    })();
    (group, wanted.map(str::to_owned))
}

/// A group whose every queue is left out would never do anything.
fn refuse_nothing_left(
    section: &Section<'_>,
    include: &[String],
    exclude: &[String],
    low_priority: Option<&LowPriority>,
    problems: &mut problem::Problems,
) {
    // A glob is also a name that it matches itself.
    let is_out = |queue: &String| {
        exclude.iter().any(|glob| stanchion_protocol::glob::matches(glob.as_bytes(), queue.as_bytes()))
    };
    let low = low_priority.iter().flat_map(|low| &low.queues);
    if include.iter().chain(low).all(is_out) {
        let what = "\"exclude\" leaves nothing of what \"include\" names";
        problems.add(section.value_at("exclude"), what, "leave out fewer queues, or remove the group");
    }
}
