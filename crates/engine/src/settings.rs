//! The settings of a queue: one table of names, kinds and defaults.

/// A rate: at most `count` claims per `per_ms`, as a bucket of `count` tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Tokens in a full bucket.
    pub count: u32,
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
    /// `durability`
    pub durability: Durability,
    // the rest is added with the engine
}

/// Some settings: those of a `[[queues]]` table of the configuration file, or of QCONFIG SET.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SettingsPatch {
    values: Vec<(u8, u64)>,
}

/// A setting's name or value that can't be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

impl SettingsPatch {
    /// Sets one setting from its words, as QCONFIG SET and the configuration file write them.
    ///
    /// # Errors
    /// Names the word at fault, and the nearest setting for an unknown one.
    pub fn set(&mut self, _name: &str, _value: &str) -> Result<(), SettingsError> {
        unimplemented!()
    }

    /// The names of all settings.
    pub fn names() -> impl Iterator<Item = &'static str> {
        std::iter::empty()
    }
}
