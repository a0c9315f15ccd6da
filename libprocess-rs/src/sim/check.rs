//! Which seeds to run, and the proof that a seed replays.

use super::{Diverged, World};

/// The seeds to run: `SEED` (one number, decimal or `0x…`), else 1 to `SIM_SEEDS`, else 1 to
/// `default`. What is no number counts as not set.
pub fn seeds(default: u64) -> Vec<u64> {
    let read = |name| std::env::var(name).ok().and_then(|text| number(&text));
    match read("SEED") {
        Some(seed) => vec![seed],
        None => (1..=read("SIM_SEEDS").unwrap_or(default)).collect(),
    }
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Runs a scenario twice on one seed and returns the hash of its trace.
///
/// # Errors
/// [`Diverged`] naming the first event in which the second run differs.
pub fn check_determinism(seed: u64, mut scenario: impl FnMut(&mut World)) -> Result<u64, Diverged> {
    let mut first = World::new(seed);
    first.shared.with(|state| state.trace.record());
    scenario(&mut first);
    let recorded = first.shared.with(|state| state.trace.recorded());
    drop(first);
    let mut second = World::new(seed);
    second.shared.with(|state| state.trace.expect(recorded));
    scenario(&mut second);
    match second.shared.with(|state| state.trace.divergence(seed)) {
        Some(diverged) => Err(diverged),
        None => Ok(second.trace_hash()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_text_is_decimal_or_hexadecimal() {
        for (text, expected) in [("12", Some(12)), (" 0xff ", Some(255)), ("x", None)] {
            assert_eq!(number(text), expected);
        }
    }
}
