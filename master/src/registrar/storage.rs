//! What the registrar keeps its variable in: fetch, and store by compare-and-swap.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;

/// A version of a variable; drawn anew at each change.
pub type Version = [u8; 16];

/// A variable as it was fetched. One that was never stored has no version and an empty value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variable {
    /// Which value this is; None while there is none.
    pub version: Option<Version>,
    /// Its value.
    pub value: Bytes,
}

/// The wish to replace a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The version it must have for the change to happen; None: it must not be there.
    pub expected: Option<Version>,
    /// Its version afterwards.
    pub version: Version,
    /// Its value afterwards.
    pub value: Bytes,
}

/// Storage failed: its cause, as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("storage: {0}")]
pub struct StorageError(pub String);

/// What storage answers, once it is durable.
pub type StorageFuture<T> = BoxFuture<'static, Result<T, StorageError>>;

/// Storage of variables by name. Operations take effect in the order in which they were asked for.
pub trait Storage: Send + Sync {
    /// The variable of that name, whether it was ever stored or not.
    fn fetch(&self, name: &str) -> StorageFuture<Variable>;

    /// Changes a variable if it still has the version that the change expects: the variable as it
    /// is then, or None when somebody else was faster.
    fn store(&self, name: &str, change: Change) -> StorageFuture<Option<Variable>>;
}

/// Storage that ends with the OS process (flag `--registry=in_memory`). Clones share it, so that a
/// test may let a second master find what the first one stored.
#[derive(Debug, Clone, Default)]
pub struct InMemory(Arc<Mutex<BTreeMap<String, Variable>>>);

impl Storage for InMemory {
    fn fetch(&self, name: &str) -> StorageFuture<Variable> {
        // The map is never half-changed, so poison does not matter.
        let variables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = variables.get(name).cloned().unwrap_or_default();
        Box::pin(async move { Ok(found) })
    }

    fn store(&self, name: &str, change: Change) -> StorageFuture<Option<Variable>> {
        let mut variables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let present = variables.entry(name.to_owned()).or_default();
        let stored = (present.version == change.expected).then(|| {
            *present = Variable { version: Some(change.version), value: change.value };
            present.clone()
        });
        Box::pin(async move { Ok(stored) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn storage_of_a_version_that_is_gone_changes_nothing() {
        let storage = InMemory::default();
        let change = |expected, version: u8| Change {
            expected,
            version: [version; 16],
            value: Bytes::from(vec![version]),
        };
        let store = |change| storage.store("registry", change).now_or_never().unwrap().unwrap();
        assert!(store(change(None, 1)).is_some());
        assert!(store(change(None, 2)).is_none());
        assert!(store(change(Some([1; 16]), 3)).is_some());
        let found = storage.fetch("registry").now_or_never().unwrap().unwrap();
        assert_eq!(found.value, Bytes::from_static(&[3]));
    }
}
