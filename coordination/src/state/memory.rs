//! Storage that lasts as long as its last handle: for tests and for `--registry=in_memory`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::table::Table;
use super::{Change, Storage, StorageFuture, Variable};

/// Keeps variables in memory; clones share them.
#[derive(Clone, Default)]
pub struct InMemoryStorage {
    table: Arc<Mutex<Table>>,
}

impl InMemoryStorage {
    /// No panic can happen while the table is half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<T: Send + 'static>(value: T) -> StorageFuture<T> {
    Box::pin(async move { Ok(value) })
}

impl Storage for InMemoryStorage {
    fn fetch(&self, name: &str) -> StorageFuture<Variable> {
        ready(self.lock().fetch(name))
    }

    fn store(&self, change: Change) -> StorageFuture<Option<Variable>> {
        let stored = self.lock().store(&change);
        ready(stored.map(|_| change.done()))
    }

    fn expunge(&self, variable: &Variable) -> StorageFuture<bool> {
        ready(self.lock().expunge(variable).is_some())
    }

    fn names(&self) -> StorageFuture<BTreeSet<String>> {
        ready(self.lock().names())
    }
}
