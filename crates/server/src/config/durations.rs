//! Durations as people write them: `250ms`, `30s`, `5m`, `1h`, `7d`; a bare number is milliseconds.

use std::time::Duration;

use stanchion_protocol::limits::DURATION_MS_MAX;

/// Units, longest name first where one ends in another.
const UNITS_MS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration of at most ten years; anything else is `None`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let unit_ms = match unit {
        "" => 1,
        unit => UNITS_MS.iter().find(|(name, _)| *name == unit)?.1,
    };
    let ms = digits.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    (ms <= DURATION_MS_MAX).then(|| Duration::from_millis(ms))
}

/// A duration in the largest unit that divides it.
pub fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis() as u64;
    let (name, unit_ms) = UNITS_MS
        .iter()
        .rev()
        .find(|(_, unit_ms)| ms > 0 && ms.is_multiple_of(*unit_ms))
        .unwrap_or(&UNITS_MS[0]);
    format!("{}{name}", ms / unit_ms)
}
