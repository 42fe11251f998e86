//! Frames: one line of JSON, and as many bytes as it says.

use std::borrow::Cow;

use bytes::{Buf, BytesMut};
use serde::{Deserialize, Serialize};
use stanchion_client::Job;

use crate::limits::{ANSWER_BYTES_MAX, ANSWER_LINE_BYTES_MAX, ERROR_BYTES_MAX};
use crate::outcome::Outcome;

/// What stands in front of a job's payload.
#[derive(Debug, Serialize)]
struct JobLine<'a> {
    id: &'a str,
    queue: &'a str,
    group: &'a str,
    attempt: u64,
    priority: u64,
    bytes: usize,
}

/// What stands in front of an answer's text. An unknown key is refused: it may be a misspelt one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerLine<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    status: Status,
    #[serde(default)]
    bytes: usize,
    /// How long a released job waits.
    after_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Done,
    Failed,
    Dead,
    Released,
}

/// A worker's answer to one job.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: String,
    /// A failure without a text has none yet: what the worker wrote to stderr is its reason.
    pub(super) outcome: Outcome,
}

/// What the worker wrote is no frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken(pub(super) String);

/// A job as a frame. An error is one that no attempt can mend.
pub(super) fn of_job(job: &Job) -> Result<Vec<u8>, String> {
    let text = |bytes, name| {
        std::str::from_utf8(bytes)
            .map_err(|_| format!("the job's {name} is not UTF-8: no line of JSON can have it"))
    };
    let id = job.receipt.id();
    let line = JobLine {
        id: id.as_str(),
        queue: text(&job.queue, "queue")?,
        group: text(&job.group, "group")?,
        attempt: job.attempt,
        priority: job.priority,
        bytes: job.payload.len(),
    };
    let mut frame = Vec::with_capacity(128 + job.queue.len() + job.group.len() + job.payload.len());
    serde_json::to_writer(&mut frame, &line).map_err(|error| error.to_string())?;
    frame.push(b'\n');
    frame.extend_from_slice(&job.payload);
    Ok(frame)
}

/// Takes the first answer out of what was read, if it is whole.
pub(super) fn take_answer(read: &mut BytesMut) -> Result<Option<Answer>, Broken> {
    let within_limit = &read[..read.len().min(ANSWER_LINE_BYTES_MAX)];
    let Some(line_bytes) = memchr::memchr(b'\n', within_limit) else {
        if within_limit.len() == ANSWER_LINE_BYTES_MAX {
            return Err(broken(within_limit, &format!("a line of more than {ANSWER_LINE_BYTES_MAX} bytes")));
        }
        return Ok(None);
    };
    let line = &read[..line_bytes];
    let parsed: AnswerLine<'_> =
        serde_json::from_slice(line).map_err(|error| broken(line, &error.to_string()))?;
    if parsed.bytes > ANSWER_BYTES_MAX {
        return Err(broken(line, &format!("more than {ANSWER_BYTES_MAX} bytes follow")));
    }
    let whole = line_bytes + 1 + parsed.bytes;
    if read.len() < whole {
        return Ok(None);
    }
    let said = &read[line_bytes + 1..whole];
    let text = || String::from_utf8_lossy(&said[said.len().saturating_sub(ERROR_BYTES_MAX)..]).into_owned();
    let outcome = match parsed.status {
        Status::Done => Outcome::Done,
        Status::Failed => Outcome::Failed(text()),
        Status::Dead => Outcome::Hopeless(text()),
        Status::Released => Outcome::Release { after: parsed.after_ms.map(std::time::Duration::from_millis) },
    };
    let answer = Answer { id: parsed.id.into_owned(), outcome };
    read.advance(whole);
    Ok(Some(answer))
}

/// What is wrong, and the beginning of what was found.
fn broken(line: &[u8], why: &str) -> Broken {
    const SHOWN_BYTES: usize = 100;
    let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]);
    Broken(format!("the worker broke the framing: {why}, at {shown:?}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::job;

    #[test]
    fn a_job_is_a_line_and_its_payload() {
        let mut job = job("q");
        job.group = "a\n\"é".into();
        let frame = String::from_utf8(of_job(&job).unwrap()).unwrap();
        let line =
            r#"{"id":"0000100000000001","queue":"q","group":"a\n\"é","attempt":2,"priority":0,"bytes":7}"#;
        assert_eq!(frame, format!("{line}\npayload"));
        job.queue = vec![0xff];
        assert_eq!(of_job(&job).unwrap_err(), "the job's queue is not UTF-8: no line of JSON can have it");
    }

    #[test]
    fn answers_are_taken_when_they_are_whole() {
        let stream = b"{\"id\":\"1\",\"status\":\"done\"}\n\
            {\"id\":\"2\",\"status\":\"failed\",\"bytes\":4}\nboom\
            {\"id\":\"3\",\"status\":\"dead\",\"bytes\":0}\n\
            {\"id\":\"\\u0034\",\"status\":\"released\",\"after_ms\":1500}\n";
        let mut read = BytesMut::new();
        let mut answers = Vec::new();
        for byte in stream {
            read.extend_from_slice(&[*byte]);
            answers.extend(take_answer(&mut read).unwrap());
        }
        assert!(read.is_empty());
        let expected = [
            ("1", Outcome::Done),
            ("2", Outcome::Failed("boom".into())),
            ("3", Outcome::Hopeless(String::new())),
            ("4", Outcome::Release { after: Some(Duration::from_millis(1_500)) }),
        ];
        assert_eq!(answers, expected.map(|(id, outcome)| Answer { id: id.into(), outcome }));
    }

    #[test]
    fn what_is_no_frame_is_named() {
        let long = "x".repeat(ANSWER_LINE_BYTES_MAX);
        let cases = [
            ("PHP Warning: x\n", "at \"PHP Warning: x\""),
            ("{\"id\":\"1\"}\n", "missing field `status`"),
            ("{\"id\":\"1\",\"status\":\"ok\"}\n", "unknown variant `ok`"),
            ("{\"id\":\"1\",\"status\":\"done\",\"byte\":1}\n", "unknown field `byte`"),
            ("{\"id\":\"1\",\"status\":\"done\",\"bytes\":-1}\n", "invalid value"),
            ("{\"id\":\"1\",\"status\":\"done\",\"bytes\":99999999}\n", "bytes follow"),
            ("\n", "EOF while parsing"),
            (&long, "a line of more than 4096 bytes"),
        ];
        for (text, words) in cases {
            let Broken(error) = take_answer(&mut BytesMut::from(text)).unwrap_err();
            assert!(error.starts_with("the worker broke the framing: ") && error.contains(words), "{error}");
            assert!(error.len() < 400, "{error}");
        }
    }
}
