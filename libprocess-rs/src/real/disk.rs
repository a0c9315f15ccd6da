//! The real disk: one thread for each node that does operations in the order they were asked for,
//! so that what an actor wrote first is durable first. Writes that wait for the thread are made
//! durable together, see `commit`.

mod commit;
mod syncers;

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use futures::channel::oneshot;

use crate::disk::{Disk, DiskError, DiskFuture, FileInfo};

use commit::{Batch, Change, Reply};

enum Job {
    /// To be made durable, with others if there are some.
    Change(PathBuf, Change, Reply),
    /// What no change before it can matter to.
    Beside(Box<dyn FnOnce() + Send>),
    /// Anything else; all changes before are durable by then.
    After(Box<dyn FnOnce() + Send>),
}

/// Most changes that are made durable at once.
const MAX_BATCH: usize = 1024;

fn work(jobs: &Receiver<Job>) {
    let mut batch = Batch::default();
    while let Ok(job) = jobs.recv() {
        take(job, &mut batch);
        while batch.len() < MAX_BATCH
            && let Ok(job) = jobs.try_recv()
        {
            take(job, &mut batch);
        }
        batch.commit();
    }
}

fn take(job: Job, batch: &mut Batch) {
    match job {
        Job::Change(path, change, reply) => batch.add(&path, change, reply),
        Job::Beside(job) => job(),
        Job::After(job) => {
            batch.commit();
            job();
        }
    }
}

/// Handle to the thread; it ends when the last handle is dropped.
pub(crate) struct RealDisk {
    jobs: Sender<Job>,
}

impl RealDisk {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new().name("disk".to_owned()).spawn(move || work(&queue))?;
        Ok(Self { jobs })
    }

    fn submit<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &Path,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> DiskFuture<T> {
        self.ask(operation, path, work, Job::After)
    }

    fn beside<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &Path,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> DiskFuture<T> {
        self.ask(operation, path, work, Job::Beside)
    }

    fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &Path,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
        kind: fn(Box<dyn FnOnce() + Send>) -> Job,
    ) -> DiskFuture<T> {
        let (sender, receiver) = oneshot::channel();
        let target = path.to_owned();
        let job = Box::new(move || {
            let _ = sender.send(work(&target));
        });
        // A thread that is gone shows as a cancelled receiver.
        let _ = self.jobs.send(kind(job));
        answer(operation, path, receiver)
    }

    fn change(&self, operation: &'static str, path: &Path, change: Change) -> DiskFuture<()> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.jobs.send(Job::Change(path.to_owned(), change, sender));
        answer(operation, path, receiver)
    }
}

fn answer<T: Send + 'static>(
    operation: &'static str,
    path: &Path,
    receiver: oneshot::Receiver<std::io::Result<T>>,
) -> DiskFuture<T> {
    let path = path.to_owned();
    Box::pin(async move {
        let gone = || Err(std::io::Error::other("the disk thread is gone"));
        let done = receiver.await.unwrap_or_else(|_| gone());
        done.map_err(|source| DiskError { operation, path, source })
    })
}

fn remove(path: &Path) -> std::io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(info) if info.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn info(path: PathBuf, meta: &fs::Metadata) -> FileInfo {
    FileInfo {
        path,
        size: meta.size(),
        mode: meta.mode(),
        nlink: meta.nlink(),
        uid: meta.uid(),
        gid: meta.gid(),
        mtime_secs: meta.mtime(),
    }
}

fn list(path: &Path) -> std::io::Result<Vec<FileInfo>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A file that vanishes meanwhile is no entry; a dangling link is shown as itself.
        let meta = fs::metadata(entry.path()).or_else(|_| entry.metadata());
        if let Ok(meta) = meta {
            entries.push(info(entry.path(), &meta));
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Opens a regular file. Anything else is refused, and opening it never waits: whoever may put a
/// pipe where we read could otherwise stop this thread.
fn open(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::File::options();
    let file = options.read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("not a regular file")),
    }
}

fn read(path: &Path) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn read_at(path: &Path, offset: u64, length: usize) -> std::io::Result<Bytes> {
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn space(path: &Path) -> std::io::Result<(u64, u64)> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    let unit = stat.fragment_size();
    Ok((stat.blocks() * unit, stat.blocks_available() * unit))
}

impl Disk for RealDisk {
    fn read(&self, path: &Path) -> DiskFuture<Bytes> {
        self.submit("read", path, read)
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> DiskFuture<Bytes> {
        self.submit("read", path, move |path| read_at(path, offset, length))
    }

    fn write(&self, path: &Path, bytes: Bytes) -> DiskFuture<()> {
        self.change("write", path, Change::Replace(bytes))
    }

    fn append(&self, path: &Path, bytes: Bytes) -> DiskFuture<()> {
        self.change("append to", path, Change::Append(bytes))
    }

    fn truncate(&self, path: &Path, size: u64) -> DiskFuture<()> {
        self.submit("truncate", path, move |path| {
            let file = fs::OpenOptions::new().write(true).open(path)?;
            file.set_len(size)?;
            file.sync_all()
        })
    }

    fn create_dir(&self, path: &Path) -> DiskFuture<()> {
        self.beside("create directory", path, |path| fs::create_dir_all(path))
    }

    fn remove(&self, path: &Path) -> DiskFuture<()> {
        self.submit("remove", path, remove)
    }

    fn list(&self, path: &Path) -> DiskFuture<Vec<FileInfo>> {
        self.submit("list", path, list)
    }

    fn stat(&self, path: &Path) -> DiskFuture<FileInfo> {
        self.submit("stat", path, |path| Ok(info(path.to_owned(), &fs::metadata(path)?)))
    }

    fn symlink(&self, target: &Path, link: &Path) -> DiskFuture<()> {
        self.change("link", link, Change::Link(target.to_owned()))
    }

    fn canonicalize(&self, path: &Path) -> DiskFuture<PathBuf> {
        self.submit("resolve", path, |path| fs::canonicalize(path))
    }

    fn chown(&self, path: &Path, uid: u32, gid: u32) -> DiskFuture<()> {
        self.beside("chown", path, move |path| std::os::unix::fs::chown(path, Some(uid), Some(gid)))
    }

    fn chmod(&self, path: &Path, mode: u32) -> DiskFuture<()> {
        self.beside("chmod", path, move |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
        })
    }

    fn space(&self, path: &Path) -> DiskFuture<(u64, u64)> {
        self.beside("measure", path, space)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    #[test]
    fn disk_writes_and_appends_are_read_back_in_order() {
        let root = std::env::temp_dir().join(format!("disk-{}", std::process::id()));
        let disk = RealDisk::start().unwrap();
        let file = root.join("a/b/log");
        let pending = [disk.append(&file, "one".into()), disk.append(&file, "two".into())];
        for done in pending {
            block_on(done).unwrap();
        }
        assert_eq!(block_on(disk.read(&file)).unwrap().as_ref(), b"onetwo");
        block_on(disk.write(&file, "three".into())).unwrap();
        assert_eq!(block_on(disk.read_at(&file, 2, 10)).unwrap().as_ref(), b"ree");
        block_on(disk.chmod(&file, 0o640)).unwrap();
        assert_eq!(block_on(disk.stat(&file)).unwrap().mode & 0o7777, 0o640);
        block_on(disk.symlink(&file, &root.join("latest"))).unwrap();
        assert_eq!(block_on(disk.list(&root)).unwrap().len(), 2);
        block_on(disk.remove(&root)).unwrap();
        assert!(block_on(disk.stat(&root)).unwrap_err().is_not_found());
        block_on(disk.remove(&root)).unwrap();
    }
}
