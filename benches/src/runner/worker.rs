//! The smallest worker of a pool: it reads each job and says that it is done, as docs/runner.md has it.

use std::io::{self, BufRead, BufReader, Read, Write};

use anyhow::{Context, Result};
use serde_json::Value;

/// Answers until its input ends.
pub(crate) fn run() -> Result<()> {
    let (mut jobs, mut answers) =
        (BufReader::with_capacity(64 << 10, io::stdin().lock()), io::stdout().lock());
    let (mut line, mut payload) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if jobs.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let job: Value = serde_json::from_slice(&line).context("a line that is no job's")?;
        let bytes = job["bytes"].as_u64().context("a job without bytes")?;
        payload.clear();
        jobs.by_ref().take(bytes).read_to_end(&mut payload)?;
        let id = job["id"].as_str().context("a job without id")?;
        // At once and in one write, because the next job may not begin before.
        let answer = format!("{{\"id\":\"{id}\",\"status\":\"done\",\"bytes\":0}}\n");
        answers.write_all(answer.as_bytes())?;
        answers.flush()?;
    }
}
