//! Virtual paths and the real ones that they stand for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// What was attached, by normalised virtual path.
#[derive(Debug, Default)]
pub(super) struct Attached {
    roots: BTreeMap<String, PathBuf>,
}

fn normalise(name: &str) -> String {
    name.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

impl Attached {
    pub(super) fn attach(&mut self, name: &str, real: PathBuf) {
        self.roots.insert(normalise(name), real);
    }

    pub(super) fn detach(&mut self, name: &str) {
        self.roots.remove(&normalise(name));
    }

    /// The root with the longest virtual path that leads to `name`, and what is left of it. Nothing
    /// for names that go up.
    pub(super) fn resolve(&self, name: &str) -> Option<(PathBuf, String)> {
        let name = normalise(name);
        if name.split('/').any(|part| part == "..") {
            return None;
        }
        let mut prefix = name.as_str();
        loop {
            if let Some(root) = self.roots.get(prefix) {
                let rest = name[prefix.len()..].trim_start_matches('/');
                return Some((root.clone(), rest.to_owned()));
            }
            prefix = &prefix[..prefix.rfind('/')?];
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
    fn attached_longest_prefix_wins_and_nothing_goes_up() {
        let mut attached = Attached::default();
        attached.attach("/a", PathBuf::from("/real/a"));
        attached.attach("/a/b/", PathBuf::from("/real/b"));
        let found = |name: &str| attached.resolve(name).map(|(root, rest)| root.join(rest));
        assert_eq!(found("/a/x"), Some(PathBuf::from("/real/a/x")));
        assert_eq!(found("a//b/c/d"), Some(PathBuf::from("/real/b/c/d")));
        assert_eq!(found("/a/../a/x"), None);
        assert_eq!(found("/ab"), None);
        assert_eq!(found(""), None);
    }
}
