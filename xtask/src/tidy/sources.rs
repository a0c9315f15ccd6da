//! The workspace's own source files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Failure, Outcome};

/// One Rust file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Path from the workspace's root, with slashes.
    pub path: String,
    pub text: String,
}

impl Source {
    /// The crate's folder.
    pub(crate) fn krate(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// True for files that hold nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
    }
}

/// The crates, lowest floor first.
pub(crate) const CRATES: [&str; 13] = [
    "libprocess-rs",
    "protos",
    "coordination",
    "allocator",
    "isolators",
    "master",
    "slave",
    "drivers",
    "cli",
    "examples",
    "benches",
    "tests",
    "xtask",
];

/// All Rust files of the workspace, sorted.
pub(crate) fn read(root: &Path) -> Outcome<Vec<Source>> {
    let mut paths = Vec::new();
    for krate in CRATES {
        collect(&root.join(krate), &mut paths)?;
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        sources.push(Source { path, text });
    }
    Ok(sources)
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Each crate's folder with its manifest.
pub(crate) fn manifests(root: &Path) -> Outcome<Vec<(String, String)>> {
    let read = |krate: &str| {
        let path = root.join(krate).join("Cargo.toml");
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        Ok((krate.to_owned(), text))
    };
    CRATES.into_iter().map(read).collect()
}
