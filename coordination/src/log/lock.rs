//! One process at a time uses a replica's directory.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("log {dir} is in use by another process")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// It cannot be made or locked.
    #[error("cannot lock log {dir}: {source}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A directory on the host's own disk that no other process may use until this is dropped or the OS
/// process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Makes the directory if it is missing, and locks it by a file `.lock` in it.
    ///
    /// # Errors
    /// [`LockError`]; in particular when another process has it.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        // Nothing is ever written to it.
        let file = File::options().create(true).append(true).open(dir.join(".lock")).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_taken_once_at_a_time() {
        let dir = std::env::temp_dir().join(format!("log-lock-{}", std::process::id()));
        let lock = DirLock::take(&dir).unwrap();
        assert!(matches!(DirLock::take(&dir), Err(LockError::InUse { .. })));
        drop(lock);
        DirLock::take(&dir).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
