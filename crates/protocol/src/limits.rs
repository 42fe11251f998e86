//! Every limit of what a client may say, named with its unit, and how they relate.
//!
//! The constants are the defaults; [`Limits`] holds those that the configuration may change.

/// Bytes of a queue's or group's name, a dedupe key, a worker's name or a root's signature.
pub const NAME_BYTES_MAX: usize = 255;

/// Bytes of one job's payload.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Bytes of all arguments of one command, or of all commands of one EXEC.
pub const ARGS_BYTES_MAX: usize = 32 << 20;

/// Jobs that one command may push, or name by receipt or id.
pub const COMMAND_JOBS_MAX: u32 = 10_000;

/// Jobs that one claim may ask for.
pub const CLAIM_JOBS_MAX: u32 = 10_000;

/// Bytes of payload that one claim hands out; it ends early, after at least one job.
pub const CLAIM_BYTES_MAX: usize = 64 << 20;

/// Bytes of a QNACK's message that are kept; the rest is cut.
pub const ERROR_BYTES_MAX: usize = 4 << 10;

/// Jobs that one QPEEK shows.
pub const PEEK_JOBS_MAX: u32 = 1_000;

/// Most that a COUNT of QSCAN or QREADY asks for.
pub const SCAN_COUNT_MAX: u32 = 10_000;

/// What QSCAN and QREADY look at when COUNT does not say, as in SCAN.
pub const SCAN_COUNT_DEFAULT: u32 = 10;

/// Bytes of what a worker says of its groups.
pub const WORKER_GROUPS_BYTES_MAX: usize = 1 << 10;

/// The largest number that a worker says of itself.
pub const WORKER_NUMBER_MAX: u64 = u32::MAX as u64;

/// Queues or globs that one QMCLAIM names after one keyword.
pub const SOURCES_MAX: u32 = 1_000;

/// Bytes of a setting's name or value: an unknown name is compared with all names under a queue's lock.
pub const SETTING_BYTES_MAX: usize = 64;

/// Settings that one QCONFIG SET or UNSET names.
pub const COMMAND_SETTINGS_MAX: usize = 100;

/// The longest duration, in milliseconds: 10 years of 365 days.
pub const DURATION_MS_MAX: u64 = 10 * 365 * 24 * 3_600 * 1_000;

/// The latest instant, in Unix milliseconds: the end of the year 9999.
pub const INSTANT_MS_MAX: u64 = 253_402_300_799_999;

/// The highest priority.
pub const PRIORITY_MAX: u8 = 9;

/// Digits of a root's timestamp.
pub const ROOT_TIMESTAMP_DIGITS_MAX: usize = 19;

/// Words of one command, its name included.
pub const ARGUMENTS_MAX: u32 = 1 << 20;

/// Bytes of a header line (`*3`, `$5`) or of an inline command, as in Redis.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// A bulk that says it is longer than this ends the connection: Redis's `proto-max-bulk-len`.
pub const BULK_BYTES_MAX: usize = 512 << 20;

/// Bytes on the wire of one command, headers included.
pub const QUERY_BYTES_MAX: usize = 64 << 20;

/// Words of a command from a client that has yet to authenticate, as in Redis.
pub const UNAUTHENTICATED_ARGUMENTS_MAX: u32 = 10;

/// Bytes of a bulk from a client that has yet to authenticate, as in Redis.
pub const UNAUTHENTICATED_BULK_BYTES_MAX: usize = 16 << 10;

/// Bytes of a client's word that an error quotes, as in Redis.
pub const QUOTE_BYTES_MAX: usize = 128;

/// Words of one job with every option of QMPUSH once, and its NEXT.
const JOB_ARGUMENTS_MAX: u32 = 24;

/// Bytes of the longest header that is no error: `$`, 10 digits, the CR LF after it and the one after the body.
const HEADER_BYTES_MAX: usize = 15;

const _: () =
    assert!(PAYLOAD_BYTES_MAX < ARGS_BYTES_MAX, "the largest payload needs room for its queue's name");
const _: () = assert!(PAYLOAD_BYTES_MAX <= BULK_BYTES_MAX, "a payload is one bulk");
const _: () = assert!(PAYLOAD_BYTES_MAX <= CLAIM_BYTES_MAX, "a claim hands out the largest payload");
const _: () = assert!(ERROR_BYTES_MAX <= PAYLOAD_BYTES_MAX, "a message is one bulk");
const _: () = assert!(COMMAND_JOBS_MAX * JOB_ARGUMENTS_MAX <= ARGUMENTS_MAX, "the largest QMPUSH fits");
const _: () = assert!(
    ARGS_BYTES_MAX + (ARGUMENTS_MAX as usize) * HEADER_BYTES_MAX <= QUERY_BYTES_MAX,
    "the largest command fits the query buffer with its headers"
);
const _: () = assert!(QUERY_BYTES_MAX <= u32::MAX as usize, "spans are 32-bit");
const _: () = assert!(PEEK_JOBS_MAX <= CLAIM_JOBS_MAX, "a look is not larger than a claim");
const _: () = assert!(INSTANT_MS_MAX + DURATION_MS_MAX < i64::MAX as u64, "an instant and a duration add up");

/// A limit as the documentation shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitRow {
    /// What errors and the configuration call it; empty for one that cannot be changed.
    pub name: &'static str,
    /// What it limits, with its unit.
    pub what: &'static str,
    /// The default, or the fixed value.
    pub value: u64,
}

const fn row(name: &'static str, what: &'static str, value: u64) -> LimitRow {
    LimitRow { name, what, value }
}

/// Every limit that a client can meet.
pub const TABLE: &[LimitRow] = &[
    row(
        "name-bytes-max",
        "bytes of a queue's, group's or worker's name, a dedupe key, a root signature",
        NAME_BYTES_MAX as u64,
    ),
    row("payload-bytes-max", "bytes of a payload, or of any other argument", PAYLOAD_BYTES_MAX as u64),
    row("args-bytes-max", "bytes of all arguments of one command, or of one EXEC", ARGS_BYTES_MAX as u64),
    row(
        "command-jobs-max",
        "jobs that one command pushes, or names by receipt or id",
        COMMAND_JOBS_MAX as u64,
    ),
    row("claim-jobs-max", "jobs that one claim asks for", CLAIM_JOBS_MAX as u64),
    row("claim-bytes-max", "bytes of payload of one claim, which ends early", CLAIM_BYTES_MAX as u64),
    row("", "words of one command", ARGUMENTS_MAX as u64),
    row("", "bytes of one header line or inline command", LINE_BYTES_MAX as u64),
    row("", "bytes that an argument may announce; more ends the connection", BULK_BYTES_MAX as u64),
    row("", "words of one command before AUTH", UNAUTHENTICATED_ARGUMENTS_MAX as u64),
    row("", "bytes of one argument before AUTH", UNAUTHENTICATED_BULK_BYTES_MAX as u64),
    row("", "bytes kept of QNACK's message", ERROR_BYTES_MAX as u64),
    row("", "jobs that one QPEEK shows", PEEK_JOBS_MAX as u64),
    row("", "COUNT of QSCAN and QREADY", SCAN_COUNT_MAX as u64),
    row("", "queues or globs after one keyword of QMCLAIM", SOURCES_MAX as u64),
    row("", "bytes of a setting's name or value", SETTING_BYTES_MAX as u64),
    row("", "settings that one QCONFIG names", COMMAND_SETTINGS_MAX as u64),
    row("", "milliseconds of any duration: 10 years", DURATION_MS_MAX),
    row("", "AT in Unix milliseconds: the end of the year 9999", INSTANT_MS_MAX),
];

/// The limits that the configuration may change; [`Limits::check`] says whether they go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// See [`NAME_BYTES_MAX`].
    pub name_bytes_max: usize,
    /// See [`PAYLOAD_BYTES_MAX`].
    pub payload_bytes_max: usize,
    /// See [`ARGS_BYTES_MAX`].
    pub args_bytes_max: usize,
    /// See [`COMMAND_JOBS_MAX`].
    pub command_jobs_max: u32,
    /// See [`CLAIM_JOBS_MAX`].
    pub claim_jobs_max: u32,
    /// See [`CLAIM_BYTES_MAX`].
    pub claim_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            name_bytes_max: NAME_BYTES_MAX,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            args_bytes_max: ARGS_BYTES_MAX,
            command_jobs_max: COMMAND_JOBS_MAX,
            claim_jobs_max: CLAIM_JOBS_MAX,
            claim_bytes_max: CLAIM_BYTES_MAX,
        }
    }
}

/// The longest that names may be configured to be: their length is 16 bits wherever it is stored.
pub const NAME_BYTES_CEILING: usize = u16::MAX as usize;

/// The most that the arguments of one command may be configured to be, so that spans stay 32-bit.
pub const ARGS_BYTES_CEILING: usize = 1 << 30;

impl Limits {
    /// Whether configured limits are in range and go together, as the constants do; otherwise what to change.
    pub fn check(&self) -> Result<(), String> {
        let jobs_ceiling = ARGUMENTS_MAX / JOB_ARGUMENTS_MAX;
        let within = [
            ("name-bytes-max", self.name_bytes_max, 1, NAME_BYTES_CEILING),
            ("payload-bytes-max", self.payload_bytes_max, ERROR_BYTES_MAX, BULK_BYTES_MAX),
            ("args-bytes-max", self.args_bytes_max, self.payload_bytes_max + 1, ARGS_BYTES_CEILING),
            ("command-jobs-max", self.command_jobs_max as usize, 1, jobs_ceiling as usize),
            ("claim-jobs-max", self.claim_jobs_max as usize, 1, u32::MAX as usize),
            ("claim-bytes-max", self.claim_bytes_max, self.payload_bytes_max, usize::MAX),
        ];
        for (name, value, min, max) in within {
            if value < min || value > max {
                return Err(format!("{name} is {value}, with the other limits it takes {min} to {max}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_do_not_go_together_are_refused() {
        let good = Limits::default();
        assert_eq!(good.check(), Ok(()));
        let refused = |limits: Limits| limits.check().unwrap_err();
        let error = refused(Limits { args_bytes_max: good.payload_bytes_max, ..good });
        assert_eq!(
            error,
            "args-bytes-max is 16777216, with the other limits it takes 16777217 to 1073741824"
        );
        let error = refused(Limits { claim_bytes_max: good.payload_bytes_max - 1, ..good });
        assert!(error.starts_with("claim-bytes-max is 16777215"), "{error}");
        for (name, limits) in [
            ("name-bytes-max", Limits { name_bytes_max: 0, ..good }),
            ("name-bytes-max", Limits { name_bytes_max: 1 << 16, ..good }),
            ("payload-bytes-max", Limits { payload_bytes_max: BULK_BYTES_MAX + 1, ..good }),
            ("command-jobs-max", Limits { command_jobs_max: 0, ..good }),
            ("command-jobs-max", Limits { command_jobs_max: 50_000, ..good }),
            ("claim-jobs-max", Limits { claim_jobs_max: 0, ..good }),
        ] {
            let error = refused(limits);
            assert!(error.starts_with(name), "{name}: {error}");
        }
    }
}
