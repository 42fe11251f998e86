//! One crate, one ignorance: what each crate must not know, proved from its dependencies and its source.
//!
//! The table is the "must not know" column of `docs/ARCHITECTURE.md`. A crate is checked twice: cargo says what it
//! is built from, and its source, tests left out, must not say the banned names.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::metadata::Metadata;
use crate::process::say;

/// What one crate must not know.
struct Boundary {
    package: &'static str,
    /// Packages that it must not be built from, at any depth.
    packages: &'static [&'static str],
    /// Paths and words that its source must not say.
    names: &'static [&'static str],
}

const BOUNDARIES: &[Boundary] = &[
    Boundary {
        package: "stanchion-protocol",
        packages: &["tokio", "stanchion-engine", "stanchion-storage", "stanchion-server", "stanchion-client"],
        names: &["std::io", "std::fs", "std::net", "std::thread", "std::time", "async", "await", "tokio"],
    },
    Boundary {
        package: "stanchion-engine",
        packages: &[
            "tokio",
            "getrandom",
            "rustix",
            "stanchion-storage",
            "stanchion-server",
            "stanchion-client",
        ],
        names: &[
            "std::io",
            "std::fs",
            "std::net",
            "std::thread",
            "std::time",
            "std::sync::mpsc",
            "std::sync::atomic",
            "Mutex",
            "RwLock",
            "std::env",
            "std::process",
            "Instant",
            "SystemTime",
            "RandomState",
            "async",
            "await",
            "tokio",
            "stanchion_protocol::decode",
            "stanchion_protocol::reply",
            "stanchion_protocol::Reply",
            "stanchion_protocol::Decoder",
        ],
    },
    Boundary {
        package: "stanchion-storage",
        packages: &[
            "tokio",
            "stanchion-protocol",
            "stanchion-engine",
            "stanchion-server",
            "stanchion-client",
        ],
        names: &["async", "await", "tokio", "std::net", "JobId", "Receipt"],
    },
    Boundary {
        package: "stanchion-bench",
        packages: &[
            "tokio",
            "stanchion-protocol",
            "stanchion-engine",
            "stanchion-storage",
            "stanchion-server",
            "stanchion-client",
        ],
        names: &[],
    },
    Boundary {
        package: "stanchion-client",
        packages: &["stanchion-server", "stanchion-engine", "stanchion-storage"],
        names: &[],
    },
    Boundary {
        package: "stanchion-status",
        packages: &[
            "stanchion-protocol",
            "stanchion-engine",
            "stanchion-storage",
            "stanchion-server",
            "stanchion-client",
            "stanchion-runner",
        ],
        names: &[],
    },
    Boundary {
        package: "stanchion-runner",
        packages: &["stanchion-server", "stanchion-engine", "stanchion-storage"],
        names: &[],
    },
];

/// Engine and storage meet here and nowhere else.
const MEETING_PLACE: &str = "stanchion-server";

/// Checks every boundary.
pub(crate) fn check() -> Result<()> {
    let metadata = Metadata::load()?;
    let mut problems = Vec::new();
    for boundary in BOUNDARIES {
        let package = metadata.member(boundary.package).with_context(|| {
            format!("there is no package {}; mend the table of boundaries", boundary.package)
        })?;
        let built_from = metadata.all(package);
        for banned in boundary.packages.iter().filter(|banned| built_from.contains(**banned)) {
            problems.push(format!("{} is built from {banned}, which it must not know", boundary.package));
        }
        for file in sources(&package.directory.join("src"))? {
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            for (line, name) in named(&text, boundary.names) {
                let place = file.strip_prefix(crate::metadata::workspace()).unwrap_or(&file).display();
                problems.push(format!("{place}:{line}: {} must not know {name}", boundary.package));
            }
        }
    }
    for member in metadata.members() {
        let direct = metadata.direct(member);
        if direct.contains("stanchion-engine")
            && direct.contains("stanchion-storage")
            && member.name != MEETING_PLACE
        {
            problems.push(format!(
                "{} brings engine and storage together, as only {MEETING_PLACE} may",
                member.name
            ));
        }
        if direct.contains("stanchion-cli") {
            problems.push(format!("{} depends on the binaries' crate, on which nothing may", member.name));
        }
    }
    if !problems.is_empty() {
        bail!("crates know what they must not:\n{}", problems.join("\n"));
    }
    say(&format!("{} crates keep to what they may know", BOUNDARIES.len()));
    Ok(())
}

/// The source files of a crate, those of its tests left out.
fn sources(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        let is_tests = path.file_stem().is_some_and(|name| name == "tests" || name == "testing");
        if is_tests {
            continue;
        }
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Where a source says one of these names, comments, strings and the tests at its end left out.
fn named<'n>(source: &str, names: &[&'n str]) -> Vec<(usize, &'n str)> {
    let mut found = Vec::new();
    let mut lines = source.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut code = code_of(line).to_owned();
        if code.trim() == "#[cfg(test)]" {
            // What follows is for tests: a module in a file of its own, or one up to the end of this file.
            match lines.next() {
                Some((_, next)) if next.trim_end().ends_with(';') => continue,
                _ => break,
            }
        }
        // A group of imports is read as one line, spread out, so that `std::{fs, io}` says std::fs.
        while code.trim_start().starts_with("use ") && !code.contains(';') {
            let Some((_, more)) = lines.next() else { break };
            code.push_str(&code_of(more));
        }
        let code = spread(&code);
        found.extend(names.iter().filter(|name| says(&code, name)).map(|name| (index + 1, *name)));
    }
    found
}

/// A line without its comment and without the insides of its strings.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut in_string = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => drop(chars.next()),
            '"' => in_string = !in_string,
            '/' if !in_string && chars.peek() == Some(&'/') => break,
            c if !in_string => code.push(c),
            _ => {}
        }
    }
    code
}

/// `use a::{b, c::d}` as `a::b a::c::d`, one level deep, which is as deep as rustfmt leaves us to write them.
fn spread(code: &str) -> String {
    let Some((path, rest)) = code.split_once("::{") else { return code.to_owned() };
    let path = path.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let parts = rest.split(['{', '}', ',', ';']).map(str::trim).filter(|part| !part.is_empty());
    let spread: Vec<String> = parts.map(|part| format!("{path}::{part}")).collect();
    format!("{code} {}", spread.join(" "))
}

/// Whether code says a name as whole words.
fn says(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_names_are_found() {
        let table = [
            ("use std::fs;\n", "std::fs"),
            ("let now = std::time::Instant::now();\n", "Instant"),
            ("use std::{fmt, fs};\n", "std::fs"),
            ("use std::{\n    collections::HashMap,\n    io::Read,\n};\n", "std::io"),
            ("    pub async fn read() {}\n", "async"),
            ("let text = \"//\"; std::thread::yield_now();\n", "std::thread"),
        ];
        for (source, name) in table {
            assert_eq!(named(source, &[name]), [(1, name)], "{source}");
        }
    }

    #[test]
    fn comments_strings_tests_and_longer_words_are_not_code() {
        let source = "//! no tokio here\nlet text = \"tokio \\\" tokio\"; // tokio\nlet tokio_like = 1;\n\
            #[cfg(test)]\nmod tests {\n    use tokio::main;\n}\n";
        assert_eq!(named(source, &["tokio"]), []);
        let source = "#[cfg(test)]\nmod tests;\nuse tokio::main;\n";
        assert_eq!(named(source, &["tokio"]), [(3, "tokio")]);
    }
}
