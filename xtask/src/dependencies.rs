//! Other people's code: licences, bans, sources and duplicate versions, as `deny.toml` says.
//!
//! The file is cargo-deny's own, so `cargo deny check` may be run on it too; the gate reads it by itself, because
//! building cargo-deny takes longer than everything else here. Advisories need its database and stay with it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::license::is_allowed;
use crate::metadata::{Metadata, Package};
use crate::process::say;

const RULES: &str = "deny.toml";

/// Checks every package of the lock file.
pub(crate) fn check() -> Result<()> {
    let text = std::fs::read_to_string(RULES).with_context(|| format!("cannot read {RULES}"))?;
    let rules = Rules::parse(&text.parse()?).with_context(|| format!("{RULES} says something unexpected"))?;
    let metadata = Metadata::load()?;
    let packages: Vec<&Package> = metadata.packages.values().collect();
    let problems = rules.problems(&packages);
    if !problems.is_empty() {
        bail!("dependencies break the rules of {RULES}:\n{}", problems.join("\n"));
    }
    say(&format!("{} packages keep to {RULES}", packages.len()));
    Ok(())
}

/// The parts of the file that this check reads.
#[derive(Debug)]
struct Rules {
    licenses: BTreeSet<String>,
    banned: BTreeSet<String>,
    /// Packages of which an older version is known to be here.
    duplicates: BTreeSet<(String, String)>,
    registries: BTreeSet<String>,
}

impl Rules {
    fn parse(file: &Table) -> Option<Rules> {
        let words = |value: &Value| -> Option<BTreeSet<String>> {
            value.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let crates = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|entry| Some(entry.get("crate")?.as_str()?.to_owned())).collect()
        };
        let split = |entry: String| {
            entry.split_once('@').map(|(name, version)| (name.to_owned(), version.to_owned()))
        };
        Some(Rules {
            licenses: words(file.get("licenses")?.get("allow")?)?,
            banned: crates(file.get("bans")?.get("deny")?)?.into_iter().collect(),
            duplicates: crates(file.get("bans")?.get("skip")?)?
                .into_iter()
                .map(split)
                .collect::<Option<_>>()?,
            registries: words(file.get("sources")?.get("allow-registry")?)?,
        })
    }

    fn problems(&self, packages: &[&Package]) -> Vec<String> {
        let allowed: BTreeSet<&str> = self.licenses.iter().map(String::as_str).collect();
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut problems = Vec::new();
        for package in packages {
            let name = format!("{} {}", package.name, package.version);
            match &package.license {
                Some(license) if is_allowed(license, &allowed) => {}
                Some(license) => {
                    problems.push(format!("{name} has the licence `{license}`, which is not allowed"))
                }
                None => problems.push(format!("{name} names no licence")),
            }
            if self.banned.contains(&package.name) {
                problems.push(format!("{name} is banned"));
            }
            if let Some(source) = &package.source
                && !self.registries.iter().any(|registry| source.ends_with(registry.as_str()))
            {
                problems.push(format!("{name} comes from {source}, which is no allowed registry"));
            }
            if !self.duplicates.contains(&(package.name.clone(), package.version.clone())) {
                versions.entry(&package.name).or_default().insert(&package.version);
            }
        }
        for (name, versions) in versions.into_iter().filter(|(_, versions)| versions.len() > 1) {
            let versions = versions.into_iter().collect::<Vec<_>>().join(", ");
            problems.push(format!(
                "{name} is here in several versions: {versions}; skip one with its reason, or unite them"
            ));
        }
        let known: BTreeSet<(&str, &str)> =
            packages.iter().map(|package| (package.name.as_str(), package.version.as_str())).collect();
        for (name, version) in &self.duplicates {
            if !known.contains(&(name.as_str(), version.as_str())) {
                problems.push(format!("{name} {version} is skipped as a duplicate and is not here any more"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const FILE: &str = r#"
        [licenses]
        allow = ["MIT"]
        [bans]
        deny = [{ crate = "openssl", reason = "rustls" }]
        skip = [{ crate = "syn@1.0.0", reason = "an old macro" }]
        [sources]
        allow-registry = ["https://github.com/rust-lang/crates.io-index"]
    "#;

    fn package(name: &str, version: &str, license: &str) -> Package {
        let source = Some("registry+https://github.com/rust-lang/crates.io-index".to_owned());
        Package::for_tests(name, version, license, source, PathBuf::new())
    }

    #[test]
    fn planted_problems_are_found_and_nothing_else() {
        let rules = Rules::parse(&FILE.parse().expect("TOML")).expect("rules");
        let mut foreign = package("foreign", "1.0.0", "MIT");
        foreign.source = Some("git+https://example.org/foreign".to_owned());
        let packages = [
            package("syn", "1.0.0", "MIT"),
            package("syn", "2.0.0", "MIT"),
            package("fine", "1.0.0", "MIT OR GPL-3.0"),
            package("openssl", "0.10.0", "MIT"),
            package("viral", "1.0.0", "GPL-3.0"),
            package("twice", "1.0.0", "MIT"),
            package("twice", "2.0.0", "MIT"),
            foreign,
        ];
        let problems = rules.problems(&packages.iter().collect::<Vec<_>>());
        assert_eq!(problems.len(), 4, "{problems:?}");
        for (problem, word) in problems.iter().zip(["openssl", "viral", "foreign", "twice"]) {
            assert!(problem.contains(word), "{problem}");
        }
        assert_eq!(
            rules.problems(&[&package("fine", "1.0.0", "MIT")]).len(),
            1,
            "the skipped version is gone"
        );
    }
}
