//! Placeholders in a command: `{queue} {group} {id} {attempt} {priority}`, whole arguments or parts of one.
//!
//! A template is parsed once, when the file is read; filling it in makes exactly one argument whatever the
//! field holds, because no shell is involved. `{{` and `}}` are braces.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use stanchion_client::Job;

/// A field of a job that a command can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Its queue.
    Queue,
    /// Its group; empty for none.
    Group,
    /// Its id.
    Id,
    /// Which attempt this is, from 1.
    Attempt,
    /// 0 to 9.
    Priority,
}

impl Field {
    /// All fields, with their names in commands and in the environment.
    pub const ALL: [(Field, &'static str, &'static str); 5] = [
        (Field::Queue, "queue", "JOB_QUEUE"),
        (Field::Group, "group", "JOB_GROUP"),
        (Field::Id, "id", "JOB_ID"),
        (Field::Attempt, "attempt", "JOB_ATTEMPT"),
        (Field::Priority, "priority", "JOB_PRIORITY"),
    ];

    /// Its bytes in this job.
    #[must_use]
    pub fn bytes(self, job: &Job) -> Vec<u8> {
        match self {
            Field::Queue => job.queue.clone(),
            Field::Group => job.group.clone(),
            Field::Id => job.receipt.id().as_str().as_bytes().to_vec(),
            Field::Attempt => job.attempt.to_string().into_bytes(),
            Field::Priority => job.priority.to_string().into_bytes(),
        }
    }
}

/// One argument of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// Why an argument is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl Template {
    /// Reads an argument.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = after.split_once('}').filter(|_| brace == "{") else {
                return Err(TemplateError {
                    what: format!("a single \"{brace}\""),
                    instead: format!("write \"{brace}{brace}\" for the character itself"),
                });
            };
            let Some((field, ..)) = Field::ALL.iter().find(|(_, known, _)| *known == name) else {
                let known: Vec<String> =
                    Field::ALL.iter().map(|(_, name, _)| format!("{{{name}}}")).collect();
                return Err(TemplateError {
                    what: format!("unknown placeholder {{{name}}}"),
                    instead: format!("there are: {}", known.join(" ")),
                });
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Field(*field));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template { parts })
    }

    /// The argument for this job.
    #[must_use]
    pub fn fill(&self, job: &Job) -> OsString {
        self.fill_with(|field| field.bytes(job))
    }

    /// The argument for what these fields belong to.
    pub(crate) fn fill_with(&self, bytes_of: impl Fn(Field) -> Vec<u8>) -> OsString {
        let mut bytes = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                Part::Field(field) => bytes.extend_from_slice(&bytes_of(*field)),
            }
        }
        OsString::from_vec(bytes)
    }

    /// The text for this job as part of a URL: fields are percent-encoded, so that none can end a path's part or
    /// begin a query.
    #[must_use]
    pub fn fill_url(&self, job: &Job) -> String {
        let mut url = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => url.push_str(text),
                Part::Field(field) => {
                    field.bytes(job).into_iter().for_each(|byte| push_encoded(&mut url, byte))
                }
            }
        }
        url
    }

    /// Whether it depends on the job.
    #[must_use]
    pub fn has_fields(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(_)))
    }

    /// Whether this field is in it.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.parts.contains(&Part::Field(field))
    }

    /// Whether it is this field and nothing else.
    #[must_use]
    pub fn is_bare(&self, field: Field) -> bool {
        self.parts == [Part::Field(field)]
    }

    /// Its text without the fields.
    #[must_use]
    pub fn literal(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Field(_) => None,
        });
        texts.collect()
    }
}

/// RFC 3986: what is not unreserved is written as `%` and two digits.
fn push_encoded(url: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        url.push(char::from(byte));
    } else {
        let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
        url.extend(['%', digit(byte >> 4), digit(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job;

    fn filled(text: &str) -> String {
        Template::parse(text).unwrap().fill(&job("q")).into_string().unwrap()
    }

    #[test]
    fn fields_are_whole_arguments_or_parts() {
        assert_eq!(filled("{queue}"), "q");
        assert_eq!(filled("--wiki={group}/{id}"), "--wiki=enwiki/0000100000000001");
        assert_eq!(filled("{attempt}{priority}"), "20");
        assert_eq!(filled("plain"), "plain");
        assert_eq!(filled(""), "");
    }

    #[test]
    fn doubled_braces_are_braces() {
        assert_eq!(filled("{{\"id\":\"{id}\"}}"), "{\"id\":\"0000100000000001\"}");
        assert_eq!(filled("{{group}}"), "{group}");
    }

    #[test]
    fn a_field_stays_one_argument_whatever_it_holds() {
        let mut job = job("q");
        job.group = b"a b; rm -rf / \"$(x)\" \xff".to_vec();
        let argument = Template::parse("--wiki={group}").unwrap().fill(&job);
        assert_eq!(argument.into_vec(), b"--wiki=a b; rm -rf / \"$(x)\" \xff");
    }

    #[test]
    fn a_field_that_looks_like_a_placeholder_is_not_filled_again() {
        let mut job = job("q");
        job.group = b"{id}".to_vec();
        assert_eq!(Template::parse("{group}").unwrap().fill(&job), "{id}");
    }

    #[test]
    fn in_a_url_a_field_stays_one_part() {
        let mut job = job("a/b?c=d&e#f %\r\n");
        job.group = "\u{e9}".into();
        let url = Template::parse("http://h/{queue}?wiki={group}&id={id}").unwrap().fill_url(&job);
        assert_eq!(url, "http://h/a%2Fb%3Fc%3Dd%26e%23f%20%25%0D%0A?wiki=%C3%A9&id=0000100000000001");
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let cases = [
            ("{wiki}", "unknown placeholder {wiki}", "there are: {queue} {group} {id} {attempt} {priority}"),
            ("{", "a single \"{\"", "write \"{{\""),
            ("a}b", "a single \"}\"", "write \"}}\""),
            ("{id", "a single \"{\"", "write \"{{\""),
            ("{ID}", "unknown placeholder {ID}", "{id}"),
        ];
        for (text, what, instead) in cases {
            let error = Template::parse(text).unwrap_err();
            assert_eq!(error.what, what, "{text}");
            assert!(error.instead.contains(instead), "{text}: {}", error.instead);
        }
    }
}
