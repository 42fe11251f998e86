//! What no compiler checks: that files say why they exist, hold one noun, and leave nothing half done.

use std::fs;

use anyhow::{Result, bail};

use crate::process::{output, say};

/// Lines after which a file holds two nouns.
const LINES_MAX: usize = 600;

/// Text that must not stand in the project, and why. Each is written in two pieces, so that this file may pass.
const LEFTOVERS: &[(&str, &str)] = &[
    (concat!("todo", "!("), "a stub"),
    (concat!("unimplemented", "!("), "a stub"),
    (concat!("#[ig", "nore"), "a test that does not run"),
    (concat!("FIX", "ME"), "work left half done"),
    (concat!("XX", "X "), "work left half done"),
    (concat!("<<<<", "<<< "), "a conflict that nobody resolved"),
    (concat!(">>>>", ">>> "), "a conflict that nobody resolved"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
];

/// Checks every file that is or would be committed.
pub(crate) fn check() -> Result<()> {
    let listed = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    let mut problems = Vec::new();
    let mut count = 0;
    for path in listed.lines() {
        // A file that is deleted and not yet committed is listed too; one in another encoding is data.
        let Ok(text) = fs::read_to_string(path) else { continue };
        count += 1;
        problems.extend(file_problems(path, &text).into_iter().map(|problem| format!("{path}: {problem}")));
    }
    if !problems.is_empty() {
        bail!("files are not tidy:\n{}", problems.join("\n"));
    }
    say(&format!("{count} files are tidy"));
    Ok(())
}

/// What is wrong with one file.
fn file_problems(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let is_data =
        [".lock", ".jsonl", ".hex", ".json"].iter().any(|end| path.ends_with(end)) || path.contains("/fuzz/");
    if is_data {
        return problems;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        problems.push("the last line has no end".to_owned());
    }
    for (index, line) in text.lines().enumerate() {
        let place = index + 1;
        if line.ends_with([' ', '\t']) && !path.ends_with(".md") && !is_expectation(line) {
            problems.push(format!("line {place} ends in a blank"));
        }
        for (leftover, what) in LEFTOVERS {
            if line.contains(leftover) {
                problems.push(format!("line {place} holds {leftover}, {what}"));
            }
        }
    }
    if path.ends_with(".rs") {
        problems.extend(source_problems(path, text));
    }
    problems
}

fn source_problems(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push("the file does not begin by saying why it exists (`//! …`)".to_owned());
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{lines} lines, more than {LINES_MAX}; is it two nouns?"));
    }
    let is_test = path.starts_with("tests/") || path.ends_with("tests.rs") || path.contains("/tests/");
    // Time within a simulation passes when nobody has anything to do: to sleep there is to wait for an event.
    if is_test && !path.starts_with("tests/simulation/") {
        for (index, _) in text.lines().enumerate().filter(|(_, line)| line.contains(concat!("sl", "eep("))) {
            problems.push(format!("line {} sleeps; a test waits for an event", index + 1));
        }
    }
    problems
}

/// Redis ends one of its errors in a blank, and so does a script that expects it.
fn is_expectation(line: &str) -> bool {
    line.contains("with args beginning with:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_problems_are_found() {
        let long = format!("//! Why.\n{}", "x\n".repeat(LINES_MAX));
        let table = [
            ("a.rs", "fn main() {}\n", "why it exists"),
            ("a.rs", concat!("//! Why.\nfn a() { to", "do!() }\n"), "a stub"),
            ("a.rs", "//! Why.\nfn a() {} \n", "blank"),
            ("a.rs", "//! Why.", "no end"),
            ("a.rs", &long, "two nouns"),
            ("a.md", concat!("see /ho", "me/me/x\n"), "one machine"),
            ("tests/a.rs", "//! Why.\nsl\u{65}ep(second);\n", "sleeps"),
            ("crates/a/src/b/tests.rs", "//! Why.\nsl\u{65}ep(second);\n", "sleeps"),
        ];
        for (path, text, problem) in table {
            let problems = file_problems(path, text);
            assert!(problems.len() == 1 && problems[0].contains(problem), "{path}: {problems:?}");
        }
        assert_eq!(file_problems("a.rs", "//! Why.\nfn a() {}\n"), Vec::<String>::new());
    }
}
