//! What `cargo test` says it did, summed over its test binaries.

/// Numbers of tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Succeeded.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Not run, because they ask not to be.
    pub ignored: u64,
    /// Not run, because the command line did not name them.
    pub filtered_out: u64,
}

impl Summary {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`; others are nothing.
    pub(crate) fn see(&mut self, line: &str) {
        // A test may leave its output unfinished before the summary.
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
        for part in counts.split(';') {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                "filtered out" => self.filtered_out += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn summary_of_two_binaries_is_their_sum() {
        let mut summary = Summary::default();
        for line in [
            "running 4 tests",
            "test a ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "test result: FAILED. 7 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            summary.see(line);
        }
        let expected = Summary { passed: 10, failed: 1, ignored: 3, filtered_out: 2 };
        assert_eq!(summary, expected);
    }

    #[test]
    fn summary_of_other_lines_is_empty() {
        let mut summary = Summary::default();
        summary.see("3 passed; 4 failed");
        summary.see("test result: nonsense");
        assert_eq!(summary, Summary::default());
    }
}
