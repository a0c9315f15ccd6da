//! Storage as actors reach it: durable writes, and futures that come back as events.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::future::BoxFuture;

/// A disk operation under way.
pub type DiskFuture<T> = BoxFuture<'static, Result<T, DiskError>>;

/// A disk operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {path}: {source}")]
pub struct DiskError {
    /// What was tried, such as `read`.
    pub operation: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// Why not.
    pub source: std::io::Error,
}

impl DiskError {
    /// True when the file or directory does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::NotFound
    }
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Full path.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// Number of hard links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change, whole seconds since the epoch.
    pub mtime_secs: i64,
}

impl FileInfo {
    /// True for directories.
    pub fn is_dir(&self) -> bool {
        self.mode & 0o170_000 == 0o040_000
    }

    /// True for regular files, which alone can be read: a pipe may never have anything to read.
    pub fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

/// Files of one node. Symbolic links are followed, `remove` excepted. Operations happen in the order
/// in which they are asked for, and each finds what those before it did. Appends to different files
/// that are under way together may become durable in any order; all else is durable in order.
pub trait Disk: Send + Sync {
    /// The whole file, which must be a regular one.
    fn read(&self, path: &Path) -> DiskFuture<Bytes>;
    /// At most `length` bytes of a regular file from `offset`; empty at or past the end.
    fn read_at(&self, path: &Path, offset: u64, length: usize) -> DiskFuture<Bytes>;
    /// Replaces the file as a whole and makes it durable: temporary file in the same directory,
    /// fsync, rename, fsync of the directory. Creates missing directories.
    fn write(&self, path: &Path, bytes: Bytes) -> DiskFuture<()>;
    /// Appends and makes it durable; creates file and directories. One call's bytes stay together.
    fn append(&self, path: &Path, bytes: Bytes) -> DiskFuture<()>;
    /// Cuts the file to `size` bytes.
    fn truncate(&self, path: &Path, size: u64) -> DiskFuture<()>;
    /// Creates a directory and its parents.
    fn create_dir(&self, path: &Path) -> DiskFuture<()>;
    /// Removes a file, link, or directory with all it holds; a missing one is no error.
    fn remove(&self, path: &Path) -> DiskFuture<()>;
    /// The entries of a directory, sorted by path.
    fn list(&self, path: &Path) -> DiskFuture<Vec<FileInfo>>;
    /// What is known of a file, directory or link target.
    fn stat(&self, path: &Path) -> DiskFuture<FileInfo>;
    /// Makes `link` point to `target`, replacing a link that exists.
    fn symlink(&self, target: &Path, link: &Path) -> DiskFuture<()>;
    /// The path with all links followed.
    fn canonicalize(&self, path: &Path) -> DiskFuture<PathBuf>;
    /// Gives a file or directory to a user and group (numeric), not recursively.
    fn chown(&self, path: &Path, uid: u32, gid: u32) -> DiskFuture<()>;
    /// Sets the permissions of a file or directory, the lower twelve bits of `mode`.
    fn chmod(&self, path: &Path, mode: u32) -> DiskFuture<()>;
    /// Total and available bytes of the file system that holds `path`.
    fn space(&self, path: &Path) -> DiskFuture<(u64, u64)>;
}
