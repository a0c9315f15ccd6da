//! State that outlives processes: variables by name, changed by compare-and-swap.

mod file;
mod jobs;
mod log;
mod memory;
mod table;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use libprocess::disk::DiskError;
use uuid::Uuid;

use crate::journal::Corrupt;
use crate::log::LogError;

pub use file::FileStorage;
pub use log::LogStorage;
pub use memory::InMemoryStorage;

/// A variable as it was fetched. One that was never stored has no version and an empty value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Which value this is: drawn anew at each change; None while there is none.
    pub version: Option<Uuid>,
    /// Its value.
    pub value: Bytes,
}

impl Variable {
    /// A variable that was never stored.
    pub fn absent(name: &str) -> Self {
        Self { name: name.to_owned(), version: None, value: Bytes::new() }
    }

    /// The wish to replace this very value; `uuid` is fresh (`Ctx::uuid`).
    pub fn change(&self, value: impl Into<Bytes>, uuid: Uuid) -> Change {
        let (name, expected) = (self.name.clone(), self.version);
        Change { name, expected, uuid, value: value.into() }
    }
}

/// A compare-and-swap of one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The variable's name.
    pub name: String,
    /// The version it must have for the change to happen; None: it must not be there.
    pub expected: Option<Uuid>,
    /// Its version afterwards.
    pub uuid: Uuid,
    /// Its value afterwards.
    pub value: Bytes,
}

impl Change {
    /// The variable once the change has happened.
    pub fn done(&self) -> Variable {
        let (name, value) = (self.name.clone(), self.value.clone());
        Variable { name, version: Some(self.uuid), value }
    }
}

/// Storage failed. Of a change that failed it is not known whether it will be found later.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The disk failed.
    #[error("{0}")]
    Disk(Arc<DiskError>),
    /// What is on disk is damaged; it is left as it is.
    #[error("{path}: {cause}")]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where and how.
        cause: Corrupt,
    },
    /// The log failed.
    #[error("{0}")]
    Log(LogError),
    /// Another writer of the log took over, or too few replicas answered.
    #[error("lost the right to write; '{name}' may or may not be changed")]
    Demoted {
        /// The variable that was to be changed.
        name: String,
    },
    /// What is stored is no variable's change.
    #[error("{place}: unknown record: {reason}")]
    Record {
        /// File or log position.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The value is larger than storage takes.
    #[error("value of '{name}' is too large: {size} bytes")]
    TooLarge {
        /// The variable.
        name: String,
        /// Bytes of the value.
        size: usize,
    },
    /// The process that stores is gone.
    #[error("storage has ended")]
    Ended,
}

impl From<DiskError> for StorageError {
    fn from(error: DiskError) -> Self {
        Self::Disk(Arc::new(error))
    }
}

impl From<LogError> for StorageError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// What storage answers, once it is known.
pub type StorageFuture<T> = BoxFuture<'static, Result<T, StorageError>>;

/// Storage of variables. Operations take effect one by one in the order in which they were asked
/// for; none is answered before it, and all before it, are durable. Futures are simulable: give
/// them to `Ctx::defer`.
pub trait Storage: Send + Sync {
    /// The variable of that name, whether it was ever stored or not.
    fn fetch(&self, name: &str) -> StorageFuture<Variable>;

    /// Changes a variable if it still has the version that the change expects: the variable as it
    /// is then, or None when somebody else was faster.
    fn store(&self, change: Change) -> StorageFuture<Option<Variable>>;

    /// Removes a variable if it still has this version; false when it has not.
    fn expunge(&self, variable: &Variable) -> StorageFuture<bool>;

    /// The names of all variables.
    fn names(&self) -> StorageFuture<BTreeSet<String>>;
}
