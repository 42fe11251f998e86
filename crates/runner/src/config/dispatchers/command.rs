//! `command`: a program and its arguments, in which placeholders stand for the job.

use toml::de::DeValue;

use crate::config::problem::Problems;
use crate::config::section::{Section, kind_of};
use crate::template::{Field, Template};

/// The program, and its arguments as templates.
pub(super) fn with_fields(
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<(String, Vec<Template>)> {
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

/// A command whose arguments may not hold some of the placeholders.
pub(super) fn without(
    is_refused: impl Fn(Field) -> bool,
    instead: &str,
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<(String, Vec<Template>)> {
    let (program, arguments) = with_fields(section, problems)?;
    for (field, name, _) in Field::ALL {
        if is_refused(field) && arguments.iter().any(|argument| argument.has(field)) {
            let what = format!("{{{name}}} stands for nothing here");
            problems.add(section.value_at("command"), what, instead);
            return None;
        }
    }
    Some((program, arguments))
}
