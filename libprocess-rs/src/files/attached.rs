//! Virtual paths and the real ones that they stand for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// What was attached, by normalised virtual path.
#[derive(Debug, Default)]
pub(super) struct Attached {
    roots: BTreeMap<String, PathBuf>,
}

/// A virtual path in its one spelling, by which paths are compared: without slashes at its ends,
/// doubled ones, and parts that stay where they are.
pub fn normalise(name: &str) -> String {
    name.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

/// Why a virtual path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// It goes up.
    GoesUp,
    /// It is below no root.
    Unknown,
}

impl Attached {
    pub(super) fn attach(&mut self, name: &str, real: PathBuf) {
        self.roots.insert(normalise(name), real);
    }

    pub(super) fn detach(&mut self, name: &str) {
        self.roots.remove(&normalise(name));
    }

    /// Detaches everything below a virtual path, not the path itself.
    pub(super) fn detach_below(&mut self, name: &str) {
        let above = format!("{}/", normalise(name));
        self.roots.retain(|path, _| !path.starts_with(&above));
    }

    /// The root with the longest virtual path that leads to `name`, and what is left of it. Nothing
    /// for names that go up.
    pub(super) fn resolve(&self, name: &str) -> Result<(PathBuf, String), Unresolved> {
        let name = normalise(name);
        if name.split('/').any(|part| part == "..") {
            return Err(Unresolved::GoesUp);
        }
        let mut prefix = name.as_str();
        loop {
            if let Some(root) = self.roots.get(prefix) {
                let rest = name[prefix.len()..].trim_start_matches('/');
                return Ok((root.clone(), rest.to_owned()));
            }
            prefix = &prefix[..prefix.rfind('/').ok_or(Unresolved::Unknown)?];
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let pairs = self
            .roots
            .iter()
            .map(|(name, real)| (format!("/{name}"), Value::from(real.display().to_string())));
        Value::Object(pairs.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attached_below_a_path_goes_and_the_path_stays() {
        let mut attached = Attached::default();
        for name in ["/a", "/a/b", "/a/b/c", "/ab"] {
            attached.attach(name, PathBuf::from(format!("/real{name}")));
        }
        attached.detach_below("/a/");
        let left: Vec<&String> = attached.roots.keys().collect();
        assert_eq!(left, ["a", "ab"]);
    }

    #[test]
    fn attached_longest_prefix_wins_and_nothing_goes_up() {
        let mut attached = Attached::default();
        attached.attach("/a", PathBuf::from("/real/a"));
        attached.attach("/a/b/", PathBuf::from("/real/b"));
        let found = |name: &str| attached.resolve(name).map(|(root, rest)| root.join(rest));
        assert_eq!(found("/a/x"), Ok(PathBuf::from("/real/a/x")));
        assert_eq!(found("a//b/c/d"), Ok(PathBuf::from("/real/b/c/d")));
        assert_eq!(found("/./a/./b/./c"), Ok(PathBuf::from("/real/b/c")));
        assert_eq!(found("/a/../a/x"), Err(Unresolved::GoesUp));
        assert_eq!(found("/ab"), Err(Unresolved::Unknown));
        assert_eq!(found(""), Err(Unresolved::Unknown));
    }
}
