//! jobrunner's `dispatcher`, a line for a shell, as the words of a `command` that no shell reads.
//!
//! A line of plain words and quotes becomes those words. One that needs a shell, for a pipe or a variable, is given
//! to one, with queue and group as its arguments, so that no name can break out of them.

/// A `command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dispatch {
    pub(super) words: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// A part of a line: text, or a place where jobrunner put something in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Queue,
    Group,
}

/// What only a shell understands, outside of quotes.
const FOR_A_SHELL: &str = "|&;<>()$`*?#~!\n";

/// Reads jobrunner's line; `seconds` and `memory` are what it put in for `%(maxtime)` and `%(maxmem)`.
pub(super) fn dispatch(line: &str, seconds: u64, memory: &str) -> Result<Dispatch, String> {
    let (parts, is_encoded) = parts(line, seconds, memory)?;
    let mut notes = Vec::new();
    if is_encoded {
        notes.push(
            "dispatcher: %(…)u put names in URL-encoded, {queue} and {group} do not; names of letters, digits, - and _ are the same"
                .to_owned(),
        );
    }
    if line.contains("%(maxtime)") {
        notes.push(format!("dispatcher: %(maxtime) was 30 or 60 s by priority; it is {seconds} now"));
    }
    let words = match words(&parts)? {
        Some(words) => words,
        None => {
            notes.push(
                "dispatcher: it needs a shell, so one is started for it; simpler words save that".to_owned(),
            );
            shell(&parts)
        }
    };
    Ok(Dispatch { words, notes })
}

/// The line in parts, and whether one of them was URL-encoded.
fn parts(line: &str, seconds: u64, memory: &str) -> Result<(Vec<Part>, bool), String> {
    let (mut found, mut is_encoded) = (Vec::new(), false);
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("%(") {
        text += before;
        let (name, after) = after.split_once(')').ok_or("dispatcher: a %( without its )")?;
        let kind = after.chars().next().filter(|kind| ['u', 'x'].contains(kind));
        let kind = kind.ok_or(format!("dispatcher: %({name}) needs u or x behind it"))?;
        let put_in = match name {
            "maxtime" => {
                text += &seconds.to_string();
                None
            }
            "maxmem" => {
                text += memory;
                None
            }
            "db" => Some(Part::Group),
            "type" => Some(Part::Queue),
            other => return Err(format!("dispatcher: there was no %({other})")),
        };
        if let Some(part) = put_in {
            is_encoded |= kind == 'u';
            found.push(Part::Text(std::mem::take(&mut text)));
            found.push(part);
        }
        rest = &after[1..];
    }
    text += rest;
    found.push(Part::Text(text));
    Ok((found, is_encoded))
}

/// The words of a line that needs no shell.
fn words(parts: &[Part]) -> Result<Option<Vec<String>>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for part in parts {
        let text = match part {
            Part::Queue | Part::Group => {
                word.get_or_insert_default().push_str(if *part == Part::Queue {
                    "{queue}"
                } else {
                    "{group}"
                });
                continue;
            }
            Part::Text(text) => text,
        };
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match (quote, character) {
                (None, '\'' | '"') => {
                    quote = Some(character);
                    word.get_or_insert_default();
                }
                (Some(open), _) if open == character => quote = None,
                (None | Some('"'), '\\') => {
                    let next = characters.next().ok_or("dispatcher: it ends with a \\")?;
                    push(word.get_or_insert_default(), next);
                }
                (Some('"'), '$' | '`') => return Ok(None),
                (None, ' ' | '\t') => words.extend(word.take()),
                (None, _) if FOR_A_SHELL.contains(character) => return Ok(None),
                _ => push(word.get_or_insert_default(), character),
            }
        }
    }
    if quote.is_some() {
        return Err("dispatcher: a quote is not closed".to_owned());
    }
    words.extend(word);
    match words.first() {
        None => Err("dispatcher: it has no words".to_owned()),
        // NAME=value in front of a command is the shell's.
        Some(first) if first.contains('=') || first.contains('{') => Ok(None),
        Some(_) => Ok(Some(words)),
    }
}

/// A shell with the line as its program, in which `$1` is the queue and `$2` the group.
fn shell(parts: &[Part]) -> Vec<String> {
    let mut script = String::new();
    let mut quote = None;
    for part in parts {
        let argument = match part {
            Part::Text(text) => {
                let mut is_escaped = false;
                for character in text.chars() {
                    match (quote, character) {
                        _ if is_escaped => is_escaped = false,
                        (None | Some('"'), '\\') => is_escaped = true,
                        (None, '\'' | '"') => quote = Some(character),
                        (Some(open), _) if open == character => quote = None,
                        _ => {}
                    }
                    push(&mut script, character);
                }
                continue;
            }
            Part::Queue => "${{1}}",
            Part::Group => "${{2}}",
        };
        match quote {
            None => script += &format!("\"{argument}\""),
            Some('\'') => script += &format!("'\"{argument}\"'"),
            Some(_) => script += argument,
        }
    }
    ["/bin/sh", "-c", script.as_str(), "sh", "{queue}", "{group}"].map(str::to_owned).to_vec()
}

/// Braces are doubled, because single ones are placeholders.
fn push(word: &mut String, character: char) {
    word.push(character);
    if ['{', '}'].contains(&character) {
        word.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(line: &str) -> Vec<String> {
        dispatch(line, 30, "300M").unwrap().words
    }

    #[test]
    fn plain_words_need_no_shell() {
        let cases: &[(&str, &[&str])] = &[
            (
                "php /srv/runJobs.php --wiki=%(db)x --type=%(type)x --maxtime=%(maxtime)x --memory-limit=%(maxmem)x",
                &[
                    "php",
                    "/srv/runJobs.php",
                    "--wiki={group}",
                    "--type={queue}",
                    "--maxtime=30",
                    "--memory-limit=300M",
                ],
            ),
            (
                "curl -s -XPOST 'http://127.0.0.1/rpc/RunJobs.php?wiki=%(db)u&type=%(type)u'",
                &["curl", "-s", "-XPOST", "http://127.0.0.1/rpc/RunJobs.php?wiki={group}&type={queue}"],
            ),
            (r#"nice  -n "1 9" a\ b '' {x}"#, &["nice", "-n", "1 9", "a b", "", "{{x}}"]),
        ];
        for (line, expected) in cases {
            assert_eq!(words_of(line), *expected, "{line}");
        }
    }

    #[test]
    fn what_needs_a_shell_gets_one_and_no_name_breaks_out() {
        let cases = [
            ("run %(type)x %(db)x | tee log", r#"run "${{1}}" "${{2}}" | tee log"#),
            ("A=b run --wiki='x %(db)u'", r#"A=b run --wiki='x '"${{2}}"''"#),
            (r#"run "$HOME %(db)u""#, r#"run "$HOME ${{2}}""#),
        ];
        for (line, script) in cases {
            assert_eq!(words_of(line), ["/bin/sh", "-c", script, "sh", "{queue}", "{group}"], "{line}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for (line, what) in [
            ("", "no words"),
            ("run 'x", "not closed"),
            ("run %(db", "without its )"),
            ("run %(db)", "needs u or x"),
            ("run %(wiki)u", "there was no %(wiki)"),
            ("run \\", "ends with a"),
        ] {
            let error = dispatch(line, 30, "300M").unwrap_err();
            assert!(error.contains(what), "{line}: {error}");
        }
    }
}
