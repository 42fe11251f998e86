//! What cargo knows of the workspace: its packages, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// All packages, ours and others'.
pub(crate) struct Metadata {
    pub(crate) packages: BTreeMap<String, Package>,
    pub(crate) target: PathBuf,
    members: BTreeSet<String>,
}

/// One package of one version.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) directory: PathBuf,
    /// Ids of the packages that it is built from, those of its tests and build scripts left out.
    dependencies: BTreeSet<String>,
}

/// The workspace's root.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace")
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Metadata> {
        let text = process::output(env!("CARGO"), &["metadata", "--format-version", "1", "--locked"])?;
        Metadata::parse(&serde_json::from_str(&text)?).context("cargo metadata says something unexpected")
    }

    fn parse(json: &Value) -> Option<Metadata> {
        let mut packages = BTreeMap::new();
        for package in json["packages"].as_array()? {
            let text = |field: &str| package[field].as_str().map(str::to_owned);
            let parsed = Package {
                name: text("name")?,
                version: text("version")?,
                license: text("license"),
                source: text("source"),
                directory: Path::new(package["manifest_path"].as_str()?).parent()?.to_owned(),
                dependencies: BTreeSet::new(),
            };
            packages.insert(text("id")?, parsed);
        }
        for node in json["resolve"]["nodes"].as_array()? {
            for dependency in node["deps"].as_array()? {
                // A kind of null is a normal dependency.
                if dependency["dep_kinds"].as_array()?.iter().any(|kind| kind["kind"].is_null()) {
                    let id = dependency["pkg"].as_str()?.to_owned();
                    packages.get_mut(node["id"].as_str()?)?.dependencies.insert(id);
                }
            }
        }
        let members = json["workspace_members"]
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        Some(Metadata { packages, members, target: json["target_directory"].as_str()?.into() })
    }

    /// Our own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().map(|id| &self.packages[id])
    }

    /// One of our own packages.
    pub(crate) fn member(&self, name: &str) -> Option<&Package> {
        self.members().find(|package| package.name == name)
    }

    /// Names of the packages that a package is built from directly.
    pub(crate) fn direct(&self, package: &Package) -> BTreeSet<&str> {
        package.dependencies.iter().map(|id| self.packages[id].name.as_str()).collect()
    }

    /// Names of the packages that a package is built from, at any depth.
    pub(crate) fn all(&self, package: &Package) -> BTreeSet<&str> {
        let mut open: Vec<&String> = package.dependencies.iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&self.packages[id].dependencies);
            }
        }
        seen.into_iter().map(|id| self.packages[id].name.as_str()).collect()
    }
}

#[cfg(test)]
impl Package {
    pub(crate) fn for_tests(
        name: &str,
        version: &str,
        license: &str,
        source: Option<String>,
        directory: PathBuf,
    ) -> Package {
        let (name, version, license) = (name.to_owned(), version.to_owned(), Some(license.to_owned()));
        Package { name, version, license, source, directory, dependencies: BTreeSet::new() }
    }
}
