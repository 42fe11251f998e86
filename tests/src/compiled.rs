//! Programs in C and Go, compiled against the libraries that Debian has.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::target_directory;

/// A C program that uses hiredis.
pub fn compiled_c(source: &Path) -> Command {
    let program = program_of(source);
    let flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-o"];
    compile(Command::new("gcc").args(flags).arg(&program).arg(source).arg("-lhiredis"));
    Command::new(program)
}

/// A Go program that uses a library that Debian installs as sources.
pub fn compiled_go(source: &Path) -> Command {
    let program = program_of(source);
    let mut go = Command::new("go");
    go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOFLAGS", "");
    go.env("GOCACHE", target_directory().join("go-cache"));
    compile(go.args(["build", "-o"]).arg(&program).arg(source));
    Command::new(program)
}

/// Where the program goes: no two tests compile the same source.
fn program_of(source: &Path) -> PathBuf {
    let directory = target_directory().join("clients");
    std::fs::create_dir_all(&directory).expect("cargo's directory can be written");
    let name = source.file_name().expect("the source is a file").to_string_lossy();
    directory.join(name.replace('.', "-"))
}

fn compile(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} does not start; `cargo xtask tools` installs what is missing: {error}")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} failed; `cargo xtask tools` installs what is missing:\n{said}"
    );
}
