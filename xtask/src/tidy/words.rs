//! Words that must not stand in the sources: banned types, marks of unfinished work, and, in the
//! runtime, the words of what is built on it.

use super::sources::Source;

const INSTANT: &str = "std::time::Instant";

/// Nondeterministic or blocking things of the standard library and others (invariant I2).
const BANNED: [&str; 14] = [
    INSTANT,
    "SystemTime",
    "HashMap",
    "HashSet",
    "thread::sleep",
    "tokio::time::sleep(",
    "thread_rng",
    "rand::rng()",
    "rand::random",
    "#[ignore",
    "todo!(",
    "unimplemented!(",
    "FIXME",
    "TODO",
];

/// What the runtime must never know (invariant I1).
const STRANGERS: [&str; 7] =
    ["mesos", "framework", "frameworks", "slave", "slaves", "offer", "offers"];

/// Lines that break a rule. `// tidy: allow <reason>` on the line or the one above lets it pass.
pub(crate) fn check(files: &[Source]) -> Vec<String> {
    let judged = files.iter().filter(|file| file.krate() != "xtask");
    judged.flat_map(problems_of).collect()
}

fn problems_of(file: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut allowed, mut in_tests) = (false, file.is_test());
    let mut lines = file.text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        // `mod tests;` has its tests in a file of its own: what follows it is code.
        let is_elsewhere =
            lines.peek().is_some_and(|(_, next)| next.ends_with(';') && !next.contains('{'));
        in_tests |= line.starts_with("#[cfg(test)]") && !is_elsewhere;
        let allows = line.contains("// tidy: allow ");
        if !allowed && !allows {
            let told = banned(line, in_tests, file).or_else(|| stranger(line, file));
            if let Some(word) = told {
                problems.push(format!(
                    "{}:{}: '{word}' must not stand here",
                    file.path,
                    number + 1
                ));
            }
        }
        allowed = allows;
    }
    problems
}

fn banned(line: &str, in_tests: bool, file: &Source) -> Option<&'static str> {
    let always = ["#[ignore", "todo!(", "unimplemented!(", "FIXME", "TODO"];
    let tool = ["benches", "tests"].contains(&file.krate()) || file.path.ends_with("build.rs");
    BANNED
        .into_iter()
        .filter(|word| always.contains(word) || !(in_tests || tool))
        .find(|word| line.contains(word) || (*word == INSTANT && imports_instant(line)))
}

/// `use std::time::{Duration, Instant};` says it in another way.
fn imports_instant(line: &str) -> bool {
    let mut names = line.split(|c: char| !c.is_ascii_alphanumeric());
    line.trim_start().starts_with("use std::time::") && names.any(|name| name == "Instant")
}

fn stranger(line: &str, file: &Source) -> Option<&'static str> {
    if file.krate() != "libprocess-rs" {
        return None;
    }
    let lower = line.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    STRANGERS.into_iter().find(|stranger| words.contains(stranger))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> usize {
        check(&[Source { path: path.to_owned(), text: text.to_owned() }]).len()
    }

    #[test]
    fn words_banned_types_are_told_outside_tests() {
        let text = "use std::collections::HashMap;\n";
        assert_eq!(told("master/src/a.rs", text), 1);
        assert_eq!(told("master/tests/a.rs", text), 0);
        assert_eq!(told("master/src/a.rs", &format!("#[cfg(test)]\nmod t {{ {text} }}")), 0);
        assert_eq!(told("master/src/a.rs", &format!("// tidy: allow it is a cache\n{text}")), 0);
    }

    #[test]
    fn words_after_a_module_of_tests_in_another_file_are_told() {
        let text = "#[cfg(test)]\nmod tests;\nuse std::collections::HashMap;\n";
        assert_eq!(told("master/src/a.rs", text), 1);
    }

    #[test]
    fn words_of_a_grouped_import_are_told() {
        assert_eq!(told("master/src/a.rs", "use std::time::{Duration, Instant};\n"), 1);
        assert_eq!(told("master/src/a.rs", "use std::time::Duration;\n"), 0);
        assert_eq!(told("master/src/a.rs", "use tokio::time::{self, Instant};\n"), 0);
    }

    #[test]
    fn words_of_unfinished_work_are_told_everywhere() {
        assert_eq!(told("master/tests/a.rs", "#[ignore]\nfn t() { todo!() }"), 2);
    }

    #[test]
    fn words_of_strangers_are_told_in_the_runtime_only() {
        assert_eq!(told("libprocess-rs/src/a.rs", "// as the slave does"), 1);
        assert_eq!(told("libprocess-rs/src/a.rs", "// enslaved, offered"), 0);
        assert_eq!(told("master/src/a.rs", "// as the slave does"), 0);
    }
}
