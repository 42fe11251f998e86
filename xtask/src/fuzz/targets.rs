//! The fuzz targets: one for each parser of bytes that others wrote, or that a disk gave back.

use std::cell::OnceCell;
use std::fs;
use std::sync::Arc;

use stanchion_protocol::decode::fuzz_decode;
use stanchion_protocol::id::{JobId, Receipt};
use stanchion_protocol::{Args, Decoded, Decoder, Limits, glob, parse, table};
use stanchion_server::{Overrides, fuzz_events, fuzz_users};
use stanchion_storage::{Durability, Log, LogConfig, limits};
use tempfile::TempDir;

/// Something that must not panic, whatever it is given.
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) run: fn(&[u8]),
}

/// All of them; each has a directory of this name under `xtask/fuzz`.
pub(super) const TARGETS: &[Target] = &[
    Target { name: "decode", run: fuzz_decode },
    Target { name: "events", run: fuzz_events },
    Target { name: "glob", run: match_glob },
    Target { name: "ids", run: read_ids },
    Target { name: "parse", run: parse_commands },
    Target { name: "recover", run: recover_segment },
    Target { name: "runner-config", run: read_runner_config },
    Target { name: "server-config", run: read_server_config },
    Target { name: "users", run: fuzz_users },
];

/// Everything that the bytes say as commands, up to where the server would hand them to the engine.
fn parse_commands(input: &[u8]) {
    let limits = Limits::default();
    let mut decoder = Decoder::new(&limits, true);
    let mut buffer = input.to_vec();
    while let Ok(Decoded::Command) = decoder.decode(&buffer) {
        parse_command(decoder.args(&buffer), &limits);
        buffer.drain(..decoder.consume());
    }
}

fn parse_command(args: Args<'_>, limits: &Limits) {
    let refused = match table::resolve(args) {
        Ok(spec) if parse::is_queue_command(spec) => parse::parse(spec, args, limits).err(),
        Ok(spec) if parse::is_worker_command(spec) => parse::worker(spec, args, limits).err(),
        _ => None,
    };
    if let Some(error) = refused {
        let text = error.to_string();
        assert!(!text.contains(['\r', '\n']), "an error of two lines: {}", text.escape_debug());
    }
}

/// A glob in the first line and a text behind it; stars don't multiply the work.
fn match_glob(input: &[u8]) {
    let (pattern, text) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &b""[..]),
    };
    glob::matches(pattern, text);
    glob::matches(&[&b"*"[..], pattern].concat(), text);
}

/// Ids and receipts: what is read is written as it was.
fn read_ids(input: &[u8]) {
    for word in input.split(|byte| *byte == b'\n') {
        if let Some(id) = JobId::parse(word) {
            assert_eq!(id.text(), word, "an id reads otherwise than it was written");
        }
        if let Some(receipt) = Receipt::parse(word) {
            assert_eq!(receipt.to_string().as_bytes(), word, "a receipt reads otherwise than it was written");
        }
    }
}

/// The runner's configuration; a refusal names a line of the file.
fn read_runner_config(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Err(error) = stanchion_runner::Config::parse("runner.toml", text)
    {
        assert!(error.to_string().contains("runner.toml"), "a refusal without the file's name: {error}");
    }
}

/// The server's configuration; a refusal is one line and names the file.
fn read_server_config(input: &[u8]) {
    thread_local! {
        static DIRECTORY: OnceCell<TempDir> = const { OnceCell::new() };
    }
    DIRECTORY.with(|directory| {
        let path = directory.get_or_init(memory_directory).path().join("stanchion.toml");
        fs::write(&path, input).expect("the directory can be written");
        let overrides = Overrides { config: Some(path), ..Overrides::default() };
        if let Err(error) = stanchion_server::Config::load_from(&overrides, []) {
            assert!(!error.to_string().contains(['\r', '\n']), "a refusal of two lines: {error}");
        }
    });
}

/// Recovery of a log whose only segment holds these bytes: it may refuse or cut, and what it replays has come in order.
fn recover_segment(input: &[u8]) {
    thread_local! {
        // One directory for all inputs: making one for each would be most of the work.
        static DIRECTORY: OnceCell<TempDir> = const { OnceCell::new() };
    }
    DIRECTORY.with(|directory| {
        let directory = directory.get_or_init(memory_directory);
        for entry in fs::read_dir(directory.path()).expect("the directory is there") {
            fs::remove_file(entry.expect("an entry").path()).expect("our own file");
        }
        fs::write(directory.path().join("00000000000000000001.seg"), input)
            .expect("the directory can be written");
        let mut config = LogConfig::new(directory.path());
        config.segment_bytes = limits::SEGMENT_BYTES_MIN;
        config.durability = Durability::Never;
        let mut last = None;
        let mut replay = |record: stanchion_storage::RecordView<'_>| {
            assert!(last.is_none_or(|last| record.lsn == last + 1), "records out of order");
            last = Some(record.lsn);
            Ok(())
        };
        if let Err(error) = Log::open(config, &mut replay, Arc::new(|_| {})) {
            assert!(!error.to_string().contains('\n'), "an error of two lines");
        }
    });
}

/// A directory in memory where there is one: recovery syncs, and this is not about the disk.
fn memory_directory() -> TempDir {
    const PREFIX: &str = "stanchion-fuzz-";
    let in_memory = TempDir::with_prefix_in(PREFIX, "/dev/shm");
    in_memory.or_else(|_| TempDir::with_prefix(PREFIX)).expect("a temporary directory")
}
