//! Rules of the house that no compiler checks.

mod budgets;
mod floors;
mod pages;
mod sources;
mod words;

use std::path::Path;

use crate::shell::Outcome;

/// Every rule broken, one line each.
pub(crate) fn check(root: &Path) -> Outcome<Vec<String>> {
    let files = sources::read(root)?;
    let mut problems = floors::check(&sources::manifests(root)?);
    problems.extend(words::check(&files));
    problems.extend(budgets::check(&files, &budgets::read(root)?));
    problems.extend(pages::check(&files));
    Ok(problems)
}

/// Lowers the ratchet of file sizes to today's.
pub(crate) fn bless(root: &Path) -> Outcome {
    budgets::lower(root, &sources::read(root)?)
}
