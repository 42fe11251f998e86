//! `[dispatchers.NAME]`: how a job is done, by kind.

use std::time::Duration;

use toml::de::DeValue;

use super::problem::Problems;
use super::section::{KeySpec, Section, kind_of};
use crate::limits;
use crate::template::{Field, Template};

/// `[dispatchers.NAME]`: how a job is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dispatcher {
    /// `kind = "exec"`: a process per job.
    Exec(Exec),
}

/// A process per job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The program; looked up in PATH unless it has a slash.
    pub program: String,
    /// Its arguments, each with its placeholders.
    pub arguments: Vec<Template>,
    /// What it reads.
    pub stdin: Stdin,
    /// SIGTERM after this long.
    pub timeout: Duration,
    /// SIGKILL this long after SIGTERM.
    pub kill_after: Duration,
}

/// What a job's process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// The job's payload, then end of file.
    Payload,
    /// Nothing.
    None,
}

/// The kinds of dispatchers that this version has.
const KINDS: &[&str] = &["exec"];
/// Kinds that the design has and this version does not.
const KINDS_LATER: &[&str] = &["http", "pool", "drain"];

const EXEC_KEYS: &[KeySpec] = &[
    KeySpec::here("kind"),
    KeySpec::here("command"),
    KeySpec::here("stdin"),
    KeySpec::here("timeout"),
    KeySpec::here("kill-after"),
    KeySpec::later("memory-max"),
];

/// Name, position and, when it has no problem, the dispatcher itself.
pub(super) type NamedDispatcher = (String, usize, Option<Dispatcher>);

pub(super) fn all(top: &mut Section<'_>, problems: &mut Problems) -> Vec<NamedDispatcher> {
    let sections = top.sections("dispatchers", problems);
    if sections.is_empty() {
        problems.add_missing(
            top,
            "a section [dispatchers.NAME]",
            "write [dispatchers.work] with kind and command",
        );
    }
    sections
        .into_iter()
        .map(|(name, section)| {
            let at = section.at();
            (name, at, dispatcher(section, problems))
        })
        .collect()
}

fn dispatcher(mut section: Section<'_>, problems: &mut Problems) -> Option<Dispatcher> {
    let kind = section.required_text("kind", "kind = \"exec\"", problems)?;
    if kind != "exec" {
        let at = section.value_at("kind");
        let have = format!("write kind = \"exec\"; the kinds there are: {}", KINDS.join(", "));
        if KINDS_LATER.contains(&kind) {
            problems.add(at, format!("the kind \"{kind}\" is not in this version"), have);
        } else {
            problems.add(at, format!("unknown kind \"{kind}\""), have);
        }
        return None;
    }
    section.refuse_unknown(EXEC_KEYS, problems);
    let command = command(&mut section, problems);
    let stdin = match section.text("stdin", problems) {
        None | Some("payload") => Some(Stdin::Payload),
        Some("none") => Some(Stdin::None),
        Some(other) => {
            let what = format!("\"{other}\" is nothing that a job can read");
            problems.add(section.value_at("stdin"), what, "write \"payload\" or \"none\"");
            None
        }
    };
    let span = limits::TIMEOUT_MIN..=limits::DURATION_MAX;
    let timeout = section.duration("timeout", span, limits::TIMEOUT_DEFAULT, problems);
    let span = Duration::ZERO..=limits::DURATION_MAX;
    let kill_after = section.duration("kill-after", span, limits::KILL_AFTER_DEFAULT, problems);
    let (program, arguments) = command?;
    Some(Dispatcher::Exec(Exec {
        program,
        arguments,
        stdin: stdin?,
        timeout: timeout?,
        kill_after: kill_after?,
    }))
}

/// `command`: the program, and its arguments as templates.
fn command(section: &mut Section<'_>, problems: &mut Problems) -> Option<(String, Vec<Template>)> {
    let example = "write command = [\"PROGRAM\", \"ARGUMENT\", …]; no shell reads it";
    let Some(value) = section.value("command") else {
        problems.add_missing(section, "the key \"command\"", example);
        return None;
    };
    let DeValue::Array(items) = value.get_ref() else {
        let what = format!("\"command\" is {}, not a list of strings", kind_of(value.get_ref()));
        problems.add(value.span().start, what, example);
        return None;
    };
    let mut words = Vec::new();
    for item in items {
        let Some(word) = item.get_ref().as_str().filter(|word| !word.contains('\0')) else {
            problems.add(item.span().start, "\"command\" holds something that is no argument", example);
            return None;
        };
        match Template::parse(word) {
            Ok(template) => words.push((item.span().start, word, template)),
            Err(error) => {
                problems.add(item.span().start, format!("in \"{word}\": {}", error.what), error.instead);
                return None;
            }
        }
    }
    let mut words = words.into_iter();
    let Some((at, program, template)) = words.next().filter(|(_, program, _)| !program.is_empty()) else {
        problems.add(value.span().start, "\"command\" names no program", example);
        return None;
    };
    if template.has_fields() {
        let what = format!("the program \"{program}\" depends on the job");
        problems.add(at, what, "name one program, and put placeholders into its arguments");
        return None;
    }
    let mut arguments = Vec::new();
    for (at, word, template) in words {
        if template.is_bare(Field::Group) || template.is_bare(Field::Queue) {
            let what = format!(
                "the whole argument \"{word}\" can be \"-x\", which a program may take for an option"
            );
            problems.warn(at, what, format!("write \"--name={word}\", or \"--\" in front of it"));
        }
        arguments.push(template);
    }
    Some((template.literal(), arguments))
}
