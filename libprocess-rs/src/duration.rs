//! Durations as requests and variables spell them.

use std::time::Duration;

/// Units with their seconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("ms", 1e-3),
    ("secs", 1.0),
    ("mins", 60.0),
    ("hrs", 3600.0),
    ("days", 86_400.0),
    ("weeks", 604_800.0),
];

/// `500ms`, `5secs`, `1.5mins`, ...; None without a unit, below zero, or beyond what is counted.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let seconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_without_a_known_unit_or_number_is_refused() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5mins"), Some(Duration::from_secs(90)));
        for text in ["", "5", "secs", "5 parsecs", "-1secs", "1e300weeks", "infsecs", "NaNsecs"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
