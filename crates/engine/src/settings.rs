//! The settings of a queue: one table of names, kinds and defaults.
//!
//! The table drives reading (QCONFIG SET and the configuration file), showing (QCONFIG GET) and the log, which
//! keeps a setting as the words it was set with. A value comes from the queue itself, else from the file, else
//! from the table.

use std::fmt;

/// Longest duration that a setting takes: ten years.
const DURATION_MS_MAX: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;

/// Longest value of a setting, in bytes; the log keeps it as it was written.
const WORDS_BYTES_MAX: usize = stanchion_protocol::limits::SETTING_BYTES_MAX;

/// A rate: at most `count` claims per `per_ms`, as a bucket of `count` tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Tokens in a full bucket.
    pub count: u64,
    /// Time in which an empty bucket fills.
    pub per_ms: u64,
}

/// Order of claims within a priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Oldest ready-at first.
    Fifo,
    /// Newest ready-at first.
    Lifo,
}

/// When replies of a queue's commands wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// As the lane says.
    Lane,
    /// Before each reply.
    Always,
    /// Never.
    Never,
    /// At least every so many milliseconds.
    Interval(u64),
}

/// All settings of a queue, resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Length of a lease that names none, in ms.
    pub lease_ms: u64,
    /// Attempts before a job is dead; 0 is no limit.
    pub attempts: u32,
    /// Delay after the first failure, in ms.
    pub backoff_ms: u64,
    /// Each further failure waits so many thousandths times longer.
    pub backoff_factor_milli: u64,
    /// Longest back-off, in ms.
    pub backoff_ms_max: u64,
    /// A back-off varies by so many thousandths up and down.
    pub backoff_jitter_milli: u64,
    /// Dead jobs are kept so long, in ms.
    pub dead_retention_ms: u64,
    /// At most so many dead jobs are kept, the newest.
    pub dead_max: u64,
    /// A registered root is remembered so long, in ms.
    pub root_retention_ms: u64,
    /// A lease ends at most so long after its claim, in ms; 0 is no limit.
    pub run_ms_max: u64,
    /// Most jobs, dead ones aside; 0 is no limit.
    pub jobs_max: u64,
    /// Most bytes of payload, dead jobs aside; 0 is no limit.
    pub bytes_max: u64,
    /// Most jobs claimed at once; 0 is no limit.
    pub concurrency: u64,
    /// Most jobs of one group claimed at once; 0 is no limit.
    pub group_concurrency: u64,
    /// Most claims in a time; `None` is no limit.
    pub rate: Option<Rate>,
    /// Order of claims.
    pub order: Order,
    /// When replies wait for the disk.
    pub durability: Durability,
    /// Whether what happens to its jobs is noted.
    pub notify: bool,
}

/// A setting's name or value that can't be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// How a setting's value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// `250ms 30s 5m 1h 7d`, a bare number is ms; from the least value on.
    Duration(u64),
    Count,
    /// A decimal number between two bounds, kept in thousandths.
    Decimal(u64, u64),
    Rate,
    Order,
    Durability,
    /// `on` or `off`.
    Switch,
}

struct Setting {
    name: &'static str,
    kind: Kind,
    default: &'static str,
}

const fn setting(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default }
}

/// Every setting. The log keeps the names, so a name is never given another meaning.
static TABLE: [Setting; 18] = [
    setting("lease", Kind::Duration(1), "1h"),
    setting("attempts", Kind::Count, "3"),
    setting("backoff", Kind::Duration(0), "10s"),
    setting("backoff-factor", Kind::Decimal(1_000, 1_000_000), "4"),
    setting("backoff-max", Kind::Duration(0), "1h"),
    setting("backoff-jitter", Kind::Decimal(0, 1_000), "0.2"),
    setting("dead-retention", Kind::Duration(1), "7d"),
    setting("dead-max", Kind::Count, "100000"),
    setting("root-retention", Kind::Duration(1), "28d"),
    setting("run-max", Kind::Duration(0), "0"),
    setting("max-jobs", Kind::Count, "0"),
    setting("max-bytes", Kind::Count, "0"),
    setting("concurrency", Kind::Count, "0"),
    setting("group-concurrency", Kind::Count, "0"),
    setting("rate", Kind::Rate, "0"),
    setting("order", Kind::Order, "fifo"),
    setting("durability", Kind::Durability, "lane"),
    setting("notify", Kind::Switch, "off"),
];

/// A value as the table's kinds read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    Number(u64),
    Rate(Option<Rate>),
    Order(Order),
    Durability(Durability),
    Switch(bool),
}

/// Some settings: those of one queue, or of a table of the configuration file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SettingsPatch {
    /// The words of each setting in the table's order, when it is set.
    words: [Option<Box<str>>; TABLE.len()],
}

impl SettingsPatch {
    /// Sets one setting from its words, as QCONFIG SET and the configuration file write them.
    ///
    /// # Errors
    /// Names the word at fault, and the nearest setting for an unknown one.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingsError> {
        let index = find(name)?;
        if value.len() > WORDS_BYTES_MAX {
            return Err(SettingsError(format!(
                "the value of setting '{name}' is longer than {WORDS_BYTES_MAX} bytes"
            )));
        }
        read(&TABLE[index], value)?;
        self.words[index] = Some(value.to_ascii_lowercase().into());
        Ok(())
    }

    /// Forgets one setting; false when it was not set.
    ///
    /// # Errors
    /// Names an unknown setting.
    pub fn unset(&mut self, name: &str) -> Result<bool, SettingsError> {
        Ok(self.words[find(name)?].take().is_some())
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(Option::is_none)
    }

    /// What is set, as names and words.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        TABLE.iter().zip(&self.words).filter_map(|(setting, words)| Some((setting.name, words.as_deref()?)))
    }

    /// The words of one setting, when it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.words[find(name).ok()?].as_deref()
    }

    /// The names of all settings.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|setting| setting.name)
    }
}

impl fmt::Debug for SettingsPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Settings {
    /// The settings of a queue with its own and the file's values.
    pub fn resolve(queue: &SettingsPatch, file: &SettingsPatch) -> Settings {
        let value = |name: &str| {
            let index = find(name).expect("a name in this function is in the table");
            let words = queue.words[index].as_deref().or(file.words[index].as_deref());
            read(&TABLE[index], words.unwrap_or(TABLE[index].default)).expect("kept words were read before")
        };
        let number = |name| match value(name) {
            Value::Number(number) => number,
            other => unreachable!("{name} is a number, not {other:?}"),
        };
        Settings {
            lease_ms: number("lease"),
            attempts: u32::try_from(number("attempts")).unwrap_or(u32::MAX),
            backoff_ms: number("backoff"),
            backoff_factor_milli: number("backoff-factor"),
            backoff_ms_max: number("backoff-max"),
            backoff_jitter_milli: number("backoff-jitter"),
            dead_retention_ms: number("dead-retention"),
            dead_max: number("dead-max"),
            root_retention_ms: number("root-retention"),
            run_ms_max: number("run-max"),
            jobs_max: number("max-jobs"),
            bytes_max: number("max-bytes"),
            concurrency: number("concurrency"),
            group_concurrency: number("group-concurrency"),
            rate: match value("rate") {
                Value::Rate(rate) => rate,
                other => unreachable!("rate is not {other:?}"),
            },
            order: match value("order") {
                Value::Order(order) => order,
                other => unreachable!("order is not {other:?}"),
            },
            durability: match value("durability") {
                Value::Durability(durability) => durability,
                other => unreachable!("durability is not {other:?}"),
            },
            notify: match value("notify") {
                Value::Switch(on) => on,
                other => unreachable!("notify is not {other:?}"),
            },
        }
    }
}

/// The words and the source of every setting, or of one.
pub(crate) fn show(
    queue: &SettingsPatch,
    file: &SettingsPatch,
    name: Option<&str>,
) -> Result<Vec<(&'static str, String, crate::Source)>, SettingsError> {
    let one = name.map(find).transpose()?;
    let show = |index: usize| {
        let (words, source) = match (&queue.words[index], &file.words[index]) {
            (Some(words), _) => (&**words, crate::Source::Queue),
            (None, Some(words)) => (&**words, crate::Source::File),
            (None, None) => (TABLE[index].default, crate::Source::Default),
        };
        (TABLE[index].name, words.to_owned(), source)
    };
    Ok(match one {
        Some(index) => vec![show(index)],
        None => (0..TABLE.len()).map(show).collect(),
    })
}

/// The table's own names of these settings.
pub(crate) fn names_of(names: &[&str]) -> Result<Vec<&'static str>, SettingsError> {
    names.iter().map(|name| find(name).map(|index| TABLE[index].name)).collect()
}

fn find(name: &str) -> Result<usize, SettingsError> {
    let found = TABLE.iter().position(|setting| setting.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let lower = name.to_ascii_lowercase();
        let near = TABLE
            .iter()
            .min_by_key(|setting| strsim::levenshtein(setting.name, &lower))
            .expect("the table is not empty");
        SettingsError(format!("unknown setting '{}', the nearest is '{}'", name.escape_default(), near.name))
    })
}

fn read(setting: &Setting, words: &str) -> Result<Value, SettingsError> {
    let lower = words.to_ascii_lowercase();
    let fault = |wants: &str| {
        SettingsError(format!(
            "invalid value '{}' for setting '{}': {wants}",
            words.escape_default(),
            setting.name
        ))
    };
    match setting.kind {
        Kind::Duration(least) => {
            duration(&lower).filter(|&ms| ms >= least).map(Value::Number).ok_or_else(|| {
                fault("a duration such as 250ms, 30s, 5m, 1h or 7d, at most ten years, is wanted")
            })
        }
        Kind::Count => count(&lower).map(Value::Number).ok_or_else(|| fault("a whole number is wanted")),
        Kind::Decimal(least, most) => {
            decimal(&lower).filter(|milli| (least..=most).contains(milli)).map(Value::Number).ok_or_else(
                || fault(&format!("a number from {} to {} is wanted", least as f64 / 1e3, most as f64 / 1e3)),
            )
        }
        Kind::Rate => rate(&lower)
            .map(Value::Rate)
            .ok_or_else(|| fault("a count and a duration such as 50/1s, or 0 for none, is wanted")),
        Kind::Order => match lower.as_str() {
            "fifo" => Ok(Value::Order(Order::Fifo)),
            "lifo" => Ok(Value::Order(Order::Lifo)),
            _ => Err(fault("fifo or lifo is wanted")),
        },
        Kind::Durability => match lower.as_str() {
            "lane" => Ok(Value::Durability(Durability::Lane)),
            "always" => Ok(Value::Durability(Durability::Always)),
            "never" => Ok(Value::Durability(Durability::Never)),
            _ => duration(&lower)
                .filter(|&ms| ms > 0)
                .map(|ms| Value::Durability(Durability::Interval(ms)))
                .ok_or_else(|| fault("always, never, an interval such as 1s, or lane is wanted")),
        },
        Kind::Switch => match lower.as_str() {
            "on" => Ok(Value::Switch(true)),
            "off" => Ok(Value::Switch(false)),
            _ => Err(fault("on or off is wanted")),
        },
    }
}

/// `250ms 30s 5m 1h 7d`; a bare number is milliseconds.
fn duration(words: &str) -> Option<u64> {
    let digits = words.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match &words[digits.len()..] {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    count(digits)?.checked_mul(unit_ms).filter(|&ms| ms <= DURATION_MS_MAX)
}

fn count(words: &str) -> Option<u64> {
    (!words.is_empty() && words.bytes().all(|byte| byte.is_ascii_digit())).then(|| words.parse().ok())?
}

/// A decimal number in thousandths; more than three decimals are refused rather than rounded.
fn decimal(words: &str) -> Option<u64> {
    let (whole, part) = words.split_once('.').unwrap_or((words, "0"));
    if part.len() > 3 {
        return None;
    }
    count(whole)?.checked_mul(1_000)?.checked_add(count(&format!("{part:0<3}"))?)
}

fn rate(words: &str) -> Option<Option<Rate>> {
    if words == "0" {
        return Some(None);
    }
    let (tokens, per) = words.split_once('/')?;
    let rate = Rate { count: count(tokens)?, per_ms: duration(per)? };
    // Tokens are timed in microseconds, so more than one in each can't be told apart.
    (rate.count > 0 && rate.per_ms > 0 && rate.count <= rate.per_ms * 1_000).then_some(Some(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_can_be_set() {
        let mut patch = SettingsPatch::default();
        for setting in &TABLE {
            patch.set(setting.name, setting.default).unwrap();
        }
        let none = SettingsPatch::default();
        assert_eq!(Settings::resolve(&patch, &none), Settings::resolve(&none, &none));
    }

    #[test]
    fn the_queue_overrides_the_file() {
        let (mut queue, mut file) = (SettingsPatch::default(), SettingsPatch::default());
        file.set("lease", "5s").unwrap();
        file.set("rate", "50/1s").unwrap();
        queue.set("LEASE", "250").unwrap();
        let settings = Settings::resolve(&queue, &file);
        assert_eq!((settings.lease_ms, settings.rate), (250, Some(Rate { count: 50, per_ms: 1_000 })));
        assert!(queue.unset("lease").unwrap());
        assert_eq!(Settings::resolve(&queue, &file).lease_ms, 5_000);
    }

    #[test]
    fn faults_name_the_word() {
        let cases = [
            ("leese", "1h", "unknown setting 'leese', the nearest is 'lease'"),
            ("lease", "0", "invalid value '0' for setting 'lease'"),
            ("lease", "1y", "invalid value '1y'"),
            ("lease", "20000d", "at most ten years"),
            ("attempts", "-1", "a whole number is wanted"),
            ("backoff-factor", "0.5", "a number from 1 to 1000 is wanted"),
            ("backoff-jitter", "1.1", "a number from 0 to 1 is wanted"),
            ("backoff-jitter", "0.1234", "a number from 0 to 1 is wanted"),
            ("rate", "50", "such as 50/1s"),
            ("rate", "2000/1ms", "such as 50/1s"),
            ("order", "random", "fifo or lifo"),
            ("durability", "0", "always, never"),
            ("notify", "yes", "on or off"),
        ];
        for (name, value, expected) in cases {
            let error = SettingsPatch::default().set(name, value).unwrap_err().to_string();
            assert!(error.contains(expected), "{name} {value}: {error}");
        }
    }
}
