//! Documents that are written by the code that they describe, and so can't go stale unnoticed.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::process::say;

/// A generated document.
struct Document {
    path: &'static str,
    generate: fn() -> String,
}

const DOCUMENTS: &[Document] = &[
    Document { path: "docs/configuration.md", generate: stanchion_server::config::configuration_md },
    Document { path: "docs/metrics.md", generate: stanchion_server::metrics_md },
    Document { path: "docs/PROTOCOL.md", generate: stanchion_protocol::docs::protocol_md },
    Document { path: "docs/differences.md", generate: stanchion_tests::oracle::differences_md },
];

/// The document whose every promise names the tests that show it, as `path::function`.
const PROMISES: &str = "docs/durability.md";

/// Writes them all.
pub(crate) fn write() -> Result<()> {
    for document in DOCUMENTS {
        fs::write(document.path, (document.generate)())
            .with_context(|| format!("cannot write {}", document.path))?;
        say(&format!("wrote {}", document.path));
    }
    Ok(())
}

/// Fails when one of them is not what the code says now.
pub(crate) fn check() -> Result<()> {
    for document in DOCUMENTS {
        let written = fs::read_to_string(document.path).unwrap_or_default();
        if written != (document.generate)() {
            bail!("{} is not what the code says; run `cargo xtask docs` and commit it", document.path);
        }
    }
    let text = fs::read_to_string(PROMISES).with_context(|| format!("cannot read {PROMISES}"))?;
    let problems = promise_problems(&text, |path| fs::read_to_string(path).ok());
    if !problems.is_empty() {
        bail!("{PROMISES} promises what no test shows:\n{}", problems.join("\n"));
    }
    Ok(())
}

/// Tests that a document names and that are not there, and rows of its tables that name none.
fn promise_problems(text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut rows = 0;
    for (index, line) in text.lines().enumerate() {
        let place = index + 1;
        // Code stands between backquotes: every second piece.
        let tests = line.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::"));
        let mut count = 0;
        for (path, function) in tests {
            count += 1;
            match read(path) {
                None => problems.push(format!("line {place}: there is no file {path}")),
                Some(source) if !source.contains(&format!("fn {function}(")) => {
                    problems.push(format!("line {place}: {path} has no test {function}"));
                }
                Some(_) => {}
            }
        }
        let is_head = text.lines().nth(place).is_some_and(|next| next.starts_with("|---"));
        if line.starts_with("| ") && !is_head {
            rows += 1;
            if count == 0 {
                problems.push(format!("line {place}: no test is named"));
            }
        }
    }
    if rows == 0 {
        problems.push("there is no table".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_without_its_test_is_found() {
        let read = |path: &str| (path == "a.rs").then(|| "#[test]\nfn kept() {}\n".to_owned());
        let problems = |row: &str| promise_problems(&format!("| p | k |\n|---|---|\n{row}\n"), read);
        assert_eq!(problems("| `always` | kept: `a.rs::kept` |"), Vec::<String>::new());
        for (row, problem) in [
            ("| `always` | kept: `a.rs::lost` |", "line 3: a.rs has no test lost"),
            ("| `always` | kept: `a.rs::kept`, `b.rs::kept` |", "line 3: there is no file b.rs"),
            ("| `always` | kept |", "line 3: no test is named"),
            ("none", "there is no table"),
        ] {
            assert_eq!(problems(row), [problem], "{row}");
        }
    }
}
