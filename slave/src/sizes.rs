//! Amounts of bytes as flags write them: `512B`, `10MB`, `2GB`.

/// The units, by powers of 1024.
const UNITS: [(&str, u32); 5] = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10), ("B", 0)];

/// Reads an amount: a whole number and its unit.
///
/// # Errors
/// Text saying what was expected.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let read = |(unit, shift): &(&str, u32)| {
        let number = text.strip_suffix(unit)?.parse::<u64>().ok()?;
        number.checked_mul(1 << shift)
    };
    let expected = || "expected a whole number and one of B, KB, MB, GB, TB".to_owned();
    UNITS.iter().find_map(read).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_are_read_with_their_unit_only() {
        assert_eq!(parse("2GB"), Ok(2 << 30));
        assert_eq!(parse("10MB"), Ok(10 << 20));
        assert_eq!(parse("7B"), Ok(7));
        for bad in ["", "7", "MB", "1.5MB", "-1B", "99999999999TB", "7mb"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
