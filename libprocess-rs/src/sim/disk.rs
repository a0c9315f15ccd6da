//! The disk of a simulated node: operations take effect in order, when they complete. A node that
//! crashes before loses them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::channel::oneshot;
use rand::Rng;

use super::files::Files;
use super::queue::{Entry, LifeId};
use super::state::Shared;
use crate::Time;
use crate::disk::{Disk, DiskError, DiskFuture, FileInfo};

/// A disk operation on its way.
pub(super) struct DiskJob {
    operation: &'static str,
    path: PathBuf,
    /// Does the work and tells who waits for it.
    work: Box<dyn FnOnce(Time, Extent) + Send>,
}

impl DiskJob {
    pub(super) fn run(self, now: Time, extent: Extent) {
        (self.work)(now, extent);
    }
}

/// What becomes of unfinished operations when their host fails, None where nothing does: those up to
/// some point are done. Of the changes behind it, which were under way together, the appends may be
/// there: some of a file's whole and then one in part.
pub(super) fn torn(jobs: Vec<DiskJob>, rng: &mut impl Rng) -> Vec<(DiskJob, Option<Extent>)> {
    let whole = rng.random_range(0..=jobs.len());
    let (mut cut, mut together) = (BTreeSet::new(), true);
    let fate = |(number, job): (usize, DiskJob)| {
        let extent = match job.operation {
            _ if number < whole => Some(Extent::All),
            APPEND if !together || cut.contains(&job.path) => None,
            APPEND if rng.random_bool(0.5) => Some(Extent::All),
            APPEND => Some(Extent::Share(rng.random_range(0.0..1.0))),
            other => {
                together &= other == WRITE || other == LINK;
                None
            }
        };
        if extent != Some(Extent::All) {
            cut.insert(job.path.clone());
        }
        (job, extent)
    };
    jobs.into_iter().enumerate().map(fate).collect()
}

const WRITE: &str = "write";
const LINK: &str = "link";
const APPEND: &str = "append to";

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
        let work = Box::new(move |now, extent| {
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
            let job = DiskJob { operation, path: wanted.clone(), work };
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
        self.submit(WRITE, path, move |files, path| files.write(path, &bytes))
    }

    fn append(&self, path: &Path, bytes: Bytes) -> DiskFuture<()> {
        self.submit(APPEND, path, move |files, path| files.append(path, &bytes))
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
        self.submit(LINK, link, move |files, link| files.symlink(&target, link))
    }

    fn canonicalize(&self, path: &Path) -> DiskFuture<PathBuf> {
        self.submit("resolve", path, |files, path| files.canonicalize(path))
    }

    fn chown(&self, path: &Path, uid: u32, gid: u32) -> DiskFuture<()> {
        self.submit("chown", path, move |files, path| files.chown(path, uid, gid))
    }

    fn chmod(&self, path: &Path, mode: u32) -> DiskFuture<()> {
        self.submit("chmod", path, move |files, path| files.chmod(path, mode))
    }

    fn space(&self, path: &Path) -> DiskFuture<(u64, u64)> {
        self.submit("measure", path, |files, _| files.space())
    }
}
