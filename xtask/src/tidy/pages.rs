//! Each crate's front page: purpose, non-goals, map.

use super::sources::Source;

const HEADINGS: [&str; 3] = ["//! # Purpose", "//! # Non-goals", "//! # Map"];

/// Crates whose first file lacks a part of its front page.
pub(crate) fn check(files: &[Source]) -> Vec<String> {
    let front = |file: &&Source| {
        let rest = file.path.strip_prefix(file.krate()).unwrap_or_default();
        rest == "/src/lib.rs" || (file.krate() == "xtask" && rest == "/src/main.rs")
    };
    let mut problems = Vec::new();
    for file in files.iter().filter(front) {
        for heading in HEADINGS {
            if !file.text.lines().any(|line| line == heading) {
                problems.push(format!("{}: the front page lacks '{heading}'", file.path));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_without_a_heading_are_told() {
        let page = |text: &str| {
            check(&[Source { path: "a/src/lib.rs".to_owned(), text: text.to_owned() }]).len()
        };
        assert_eq!(page("//! Does a.\n"), 3);
        assert_eq!(page("//! Does a.\n//! # Purpose\n//! # Non-goals\n//! # Map\n"), 0);
    }
}
