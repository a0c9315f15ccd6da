//! Amounts of memory and disk as flags write them: `64MB`, base 1024.

use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, u64); 5] =
    [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1)];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// From whole megabytes.
    pub const fn megabytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// In megabytes, with fraction: the unit of `mem` and `disk` resources.
    pub fn as_megabytes(self) -> f64 {
        self.0 as f64 / (1 << 20) as f64
    }
}

/// A text is no amount of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no size: expected an integer and one of B, KB, MB, GB, TB")]
pub struct SizeError(pub String);

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let bad = || SizeError(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = text.split_at(split);
        let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        number.checked_mul(*bytes).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit));
        let (name, unit) = exact.unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_texts_are_read_and_printed_normalised() {
        for (text, printed) in [("64MB", "64MB"), ("4096B", "4KB"), ("0B", "0B"), ("1024GB", "1TB")]
        {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), printed);
        }
        for bad in ["", "64", "MB", "-1MB", "1.5GB", "64 MB", "99999999999TB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }
}
