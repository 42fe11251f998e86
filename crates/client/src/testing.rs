//! What several tests of this crate need.

use redis::{Arg, Cmd};

/// A command as one would type it.
pub(crate) fn words(command: &Cmd) -> String {
    let words = command.args_iter().map(|arg| match arg {
        Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => panic!("a command of this crate has a cursor"),
    });
    words.collect::<Vec<_>>().join(" ")
}
