//! Allocators by name: what the flag `allocator` chooses from.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess::{Node, SpawnError};

use crate::{Allocator, Callbacks, Config, HierarchicalAllocator};

/// Starts an allocator on a node.
pub type Factory =
    Arc<dyn Fn(&Node, Config, Callbacks) -> Result<Arc<dyn Allocator>, SpawnError> + Send + Sync>;

/// The name of the default allocator.
pub const DEFAULT: &str = "hierarchical";

/// The built-in allocator of that name: `hierarchical`, or `HierarchicalDRF` as it was called.
pub fn named(name: &str) -> Option<Factory> {
    matches!(name, DEFAULT | "HierarchicalDRF").then(|| {
        Arc::new(|node: &Node, config, to| HierarchicalAllocator::start_with(node, config, to))
            as Factory
    })
}

/// The built-in allocators and those that a program adds.
#[derive(Clone, Default)]
pub struct Catalogue {
    added: BTreeMap<String, Factory>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Catalogue {
    /// Adds an allocator, or replaces the one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, factory: Factory) -> Self {
        self.added.insert(name.to_owned(), factory);
        self
    }

    /// The allocator of that name.
    pub fn get(&self, name: &str) -> Option<Factory> {
        self.added.get(name).cloned().or_else(|| named(name))
    }

    /// All names, for usage texts.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.added.keys().map(String::as_str).collect();
        names.extend((!self.added.contains_key(DEFAULT)).then_some(DEFAULT));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_has_what_is_built_in_and_what_was_added() {
        let catalogue = Catalogue::default().with("mine", named(DEFAULT).unwrap());
        assert_eq!(catalogue.names(), ["mine", "hierarchical"]);
        assert!(catalogue.get("mine").is_some() && catalogue.get("HierarchicalDRF").is_some());
        assert!(catalogue.get("yours").is_none());
    }
}
