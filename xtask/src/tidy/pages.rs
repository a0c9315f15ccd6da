//! Each crate's front page: purpose, non-goals, map.

use super::sources::Source;

const HEADINGS: [&str; 3] = ["//! # Purpose", "//! # Non-goals", "//! # Map"];

/// A page that says something in each of its parts has as many.
const LINES: usize = 8;

/// Crates whose first file lacks a part of its front page.
pub(crate) fn check(files: &[Source]) -> Vec<String> {
    let front = |file: &&Source| {
        let rest = file.path.strip_prefix(file.krate()).unwrap_or_default();
        rest == "/src/lib.rs" || (file.krate() == "xtask" && rest == "/src/main.rs")
    };
    let mut problems = Vec::new();
    for file in files.iter().filter(front) {
        let page: Vec<&str> =
            file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        if page.len() < LINES {
            problems.push(format!("{}: the front page is shorter than {LINES} lines", file.path));
        }
        for heading in HEADINGS {
            if !page.contains(&heading) {
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
        assert_eq!(page("//! Does a.\n"), 4);
        let parts = "//!\n//! # Purpose\n//! A.\n//! # Non-goals\n//! B.\n//! # Map\n//! - a\n";
        assert_eq!(page(&format!("//! Does a.\n{parts}")), 0);
        assert_eq!(page(&format!("//! Does a.\nmod a;\n{parts}")), 4);
    }
}
