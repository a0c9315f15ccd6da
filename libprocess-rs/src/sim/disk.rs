//! The disk of a simulated node: operations take effect in order, when they complete. A node that
//! crashes before loses them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::channel::oneshot;

use super::files::Files;
use super::queue::{Entry, LifeId};
use super::state::Shared;
use crate::Time;
use crate::disk::{Disk, DiskError, DiskFuture, FileInfo};

/// A disk operation on its way: does its work and tells who waits for it.
pub(super) type DiskJob = Box<dyn FnOnce(Time, Extent) + Send>;

/// How much of an operation gets done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum Extent {
    #[default]
    All,
    /// The host fails meanwhile, so that of appended bytes this share is on disk. All other
    /// operations happen as a whole or not at all; then they do not.
    Share(f64),
}

/// The files of a host, which outlive its nodes.
#[derive(Clone, Default)]
pub(super) struct Store(Arc<Mutex<Files>>);

impl Store {
    /// No operation panics half-way, so poison is ignored.
    pub(super) fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One node's access to its host's files.
pub(super) struct SimDisk {
    pub(super) shared: Arc<Shared>,
    pub(super) life: LifeId,
    pub(super) store: Store,
}

impl SimDisk {
    fn submit<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &Path,
        work: impl FnOnce(&mut Files, &Path) -> std::io::Result<T> + Send + 'static,
    ) -> DiskFuture<T> {
        let (sender, receiver) = oneshot::channel();
        let (store, target, wanted) = (self.store.clone(), path.to_owned(), path.to_owned());
        let job: DiskJob = Box::new(move |now, extent| {
            let done = {
                let mut files = store.lock();
                files.now = now;
                files.extent = extent;
                work(&mut files, &target)
            };
            // The process may have lost interest; the operation has happened all the same.
            let _ = sender.send(done);
        });
        let life = self.life;
        self.shared.with(|state| {
            let at = state.disk_time(life);
            state.push(at, Entry::Disk { life, job });
        });
        Box::pin(async move {
            let gone = || Err(std::io::Error::other("the node is gone"));
            let done = receiver.await.unwrap_or_else(|_| gone());
            done.map_err(|source| DiskError { operation, path: wanted, source })
        })
    }
}

impl Disk for SimDisk {
    fn read(&self, path: &Path) -> DiskFuture<Bytes> {
        self.submit("read", path, |files, path| files.read(path))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> DiskFuture<Bytes> {
        self.submit("read", path, move |files, path| files.read_at(path, offset, length))
    }

    fn write(&self, path: &Path, bytes: Bytes) -> DiskFuture<()> {
        self.submit("write", path, move |files, path| files.write(path, &bytes))
    }

    fn append(&self, path: &Path, bytes: Bytes) -> DiskFuture<()> {
        self.submit("append to", path, move |files, path| files.append(path, &bytes))
    }

    fn truncate(&self, path: &Path, size: u64) -> DiskFuture<()> {
        self.submit("truncate", path, move |files, path| files.truncate(path, size))
    }

    fn create_dir(&self, path: &Path) -> DiskFuture<()> {
        self.submit("create directory", path, |files, path| files.create_dir(path))
    }

    fn remove(&self, path: &Path) -> DiskFuture<()> {
        self.submit("remove", path, |files, path| files.remove(path))
    }

    fn list(&self, path: &Path) -> DiskFuture<Vec<FileInfo>> {
        self.submit("list", path, |files, path| files.list(path))
    }

    fn stat(&self, path: &Path) -> DiskFuture<FileInfo> {
        self.submit("stat", path, |files, path| files.stat(path))
    }

    fn symlink(&self, target: &Path, link: &Path) -> DiskFuture<()> {
        let target = target.to_owned();
        self.submit("link", link, move |files, link| files.symlink(&target, link))
    }

    fn canonicalize(&self, path: &Path) -> DiskFuture<PathBuf> {
        self.submit("resolve", path, |files, path| files.canonicalize(path))
    }

    fn chown(&self, path: &Path, uid: u32, gid: u32) -> DiskFuture<()> {
        self.submit("chown", path, move |files, path| files.chown(path, uid, gid))
    }

    fn space(&self, path: &Path) -> DiskFuture<(u64, u64)> {
        self.submit("measure", path, |files, _| files.space())
    }
}
