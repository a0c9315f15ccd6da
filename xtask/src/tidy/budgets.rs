//! Lines of a file: 400 at most. What is larger stands in the ratchet and may only shrink.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::sources::Source;
use crate::shell::{Failure, Outcome};

const BUDGET: usize = 400;
const LIMIT: usize = 800;

/// Lines allowed to files over budget.
pub(crate) type Ratchet = BTreeMap<String, usize>;

fn file(root: &Path) -> PathBuf {
    root.join("xtask/tidy-ratchet.txt")
}

/// Reads the ratchet: a line `size path` for each file.
pub(crate) fn read(root: &Path) -> Outcome<Ratchet> {
    let text = fs::read_to_string(file(root)).unwrap_or_default();
    let entry = |line: &str| {
        let (size, path) = line.split_once(' ')?;
        Some((path.to_owned(), size.parse().ok()?))
    };
    let bad = |line: &str| Failure(format!("xtask/tidy-ratchet.txt: '{line}' is not 'size path'"));
    text.lines().map(|line| entry(line).ok_or_else(|| bad(line))).collect()
}

/// Lowers entries to today's sizes; adds none and raises none.
pub(crate) fn lower(root: &Path, files: &[Source]) -> Outcome {
    let ratchet = read(root)?;
    if ratchet.is_empty() {
        return Ok(());
    }
    let lowered = lowered(files, &ratchet);
    let text: String = lowered.iter().map(|(path, size)| format!("{size} {path}\n")).collect();
    Ok(fs::write(file(root), text)?)
}

fn lowered(files: &[Source], ratchet: &Ratchet) -> Ratchet {
    let entry = |file: &Source| {
        let size = lines(file).min(*ratchet.get(&file.path)?);
        (lines(file) > BUDGET).then(|| (file.path.clone(), size))
    };
    files.iter().filter_map(entry).collect()
}

fn lines(file: &Source) -> usize {
    file.text.lines().count()
}

/// Files that are too long, and entries of the ratchet that are not needed any more.
pub(crate) fn check(files: &[Source], ratchet: &Ratchet) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        let (size, path) = (lines(file), &file.path);
        let allowed = ratchet.get(path).copied().unwrap_or(BUDGET).min(LIMIT);
        if size > allowed {
            problems.push(format!("{path}: {size} lines, {allowed} are allowed: split it"));
        } else if ratchet.contains_key(path) && size < allowed {
            problems.push(format!("{path}: shrank to {size} lines: run cargo xtask tidy --bless"));
        }
    }
    for path in ratchet.keys().filter(|path| files.iter().all(|file| file.path != **path)) {
        problems.push(format!("xtask/tidy-ratchet.txt: {path} is gone"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(lines: usize) -> Source {
        Source { path: "a/src/a.rs".to_owned(), text: "x\n".repeat(lines) }
    }

    #[test]
    fn budgets_ratchet_only_turns_downwards() {
        let ratchet = |size| Ratchet::from([("a/src/a.rs".to_owned(), size)]);
        assert!(check(&[source(400)], &Ratchet::new()).is_empty());
        assert_eq!(check(&[source(401)], &Ratchet::new()).len(), 1);
        assert!(check(&[source(500)], &ratchet(500)).is_empty());
        assert_eq!(check(&[source(501)], &ratchet(500)).len(), 1);
        assert_eq!(check(&[source(450)], &ratchet(500)).len(), 1);
        assert_eq!(check(&[source(801)], &ratchet(900)).len(), 1);
        assert_eq!(check(&[], &ratchet(500)).len(), 1);
    }

    #[test]
    fn budgets_lowered_ratchet_has_no_new_and_no_larger_entries() {
        let ratchet = |size| Ratchet::from([("a/src/a.rs".to_owned(), size)]);
        assert_eq!(lowered(&[source(450)], &ratchet(500)), ratchet(450));
        assert_eq!(lowered(&[source(600)], &ratchet(500)), ratchet(500));
        assert_eq!(lowered(&[source(390)], &ratchet(500)), Ratchet::new());
        assert_eq!(lowered(&[source(600)], &Ratchet::new()), Ratchet::new());
    }
}
