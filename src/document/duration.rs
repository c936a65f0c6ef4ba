//! Durations as Prometheus writes them: `30s`, `5m`, `1h30m`, `7d`.

use std::time::Duration;

/// The units, largest first, in milliseconds. A year has 365 days, a week 7.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
/// The longest duration, in milliseconds: Prometheus counts nanoseconds in 63 bits, about 292 years.
const MAX_MILLISECONDS: u64 = i64::MAX as u64 / 1_000_000;

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationFault {
    #[error("is empty")]
    Empty,
    #[error("is no duration")]
    Grammar,
    #[error("is longer than 292 years")]
    TooLong,
}

/// Reads `30s`, `1h30m`, `500ms`, `1y2w`; units `y w d h m s ms`, each at most once, from large to small; `0` needs no
/// unit. This is the grammar of `model.ParseDuration` in prometheus/common.
pub fn parse_duration(text: &str) -> Result<Duration, DurationFault> {
    match text {
        "" => return Err(DurationFault::Empty),
        "0" => return Ok(Duration::ZERO),
        _ => {}
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut milliseconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(DurationFault::Grammar);
        }
        // The iterator goes on where the last unit was found: each once, and only downwards.
        let (_, size) = units.find(|(name, _)| *name == unit).ok_or(DurationFault::Grammar)?;
        let number: u64 = number.parse().map_err(|_| DurationFault::TooLong)?;
        let part = number.checked_mul(*size).ok_or(DurationFault::TooLong)?;
        milliseconds = milliseconds.checked_add(part).ok_or(DurationFault::TooLong)?;
        rest = tail;
    }
    if milliseconds > MAX_MILLISECONDS {
        return Err(DurationFault::TooLong);
    }
    Ok(Duration::from_millis(milliseconds))
}

/// Writes a duration in the units that people use here: `0s`, `1h30m`, `7d`, never in weeks or years. What is below a
/// millisecond is dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, size) in UNITS {
        if left < size || matches!(name, "y" | "w") {
            continue;
        }
        text.push_str(&format!("{}{name}", left / size));
        left %= size;
    }
    text
}
