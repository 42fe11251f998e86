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
    Document { path: "docs/PROTOCOL.md", generate: stanchion_protocol::docs::protocol_md },
    Document { path: "docs/differences.md", generate: stanchion_tests::oracle::differences_md },
];

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
    Ok(())
}
