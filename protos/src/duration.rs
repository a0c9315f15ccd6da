//! Durations as flags and environment variables write them: `10secs`, `1.5mins`.

use std::time::Duration;

/// Units from large to small, with their length in nanoseconds.
const UNITS: [(&str, u128); 8] = [
    ("weeks", 604_800_000_000_000),
    ("days", 86_400_000_000_000),
    ("hrs", 3_600_000_000_000),
    ("mins", 60_000_000_000),
    ("secs", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no duration: expected a number and one of ns, us, ms, secs, mins, hrs, days, weeks"
)]
pub struct DurationError(pub String);

/// Reads a non-negative duration.
///
/// # Errors
/// [`DurationError`] for anything but a number directly followed by a unit.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let bad = || DurationError(text.to_owned());
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(split);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    if let Ok(whole) = number.parse::<u64>() {
        let total = u128::from(whole).checked_mul(*nanos).ok_or_else(bad)?;
        return u64::try_from(total).map(Duration::from_nanos).map_err(|_| bad());
    }
    let number: f64 = number.parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(number * (*nanos as f64) / 1e9).map_err(|_| bad())
}

/// The text of a duration in the largest unit that leaves no fraction: 60 s is `1mins`.
pub fn print(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0ns".to_owned();
    }
    let exact = UNITS.iter().find(|(_, unit)| nanos.is_multiple_of(*unit));
    exact.map_or_else(|| format!("{nanos}ns"), |(name, unit)| format!("{}{name}", nanos / unit))
}

/// Seconds as doubles travel in messages (`refuse_seconds`, `failover_timeout`): negative, NaN and
/// what a 64-bit nanosecond count cannot hold is None.
pub fn from_secs_f64(seconds: f64) -> Option<Duration> {
    let limit = i64::MAX as f64 / 1e9;
    if seconds.is_nan() || seconds < 0.0 || seconds > limit {
        return None;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_texts_are_read() {
        let cases = [
            ("10secs", 10_000_000_000),
            ("1.5mins", 90_000_000_000),
            ("0ns", 0),
            ("250ms", 250_000_000),
            ("2weeks", 1_209_600_000_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse(text).unwrap(), Duration::from_nanos(nanos), "{text}");
        }
        for bad in ["", "10", "secs", "-1secs", "10 secs", "1e400days", "10sec", "nansecs"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn duration_printed_form_is_normalised() {
        for (text, printed) in [("60secs", "1mins"), ("0secs", "0ns"), ("90secs", "90secs")] {
            assert_eq!(print(parse(text).unwrap()), printed);
        }
    }
}
