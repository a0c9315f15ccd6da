//! Group commit: what was asked for while the disk was busy is made durable together.
//!
//! A batch is written in the order in which it was asked for, and synced once: all files side by side,
//! then renames in their order, then all directories side by side. Nobody is told before the whole
//! batch is durable, so that what was asked for first is durable when anything later is.
//!
//! An append that fails leaves nothing behind: what is appended next must not hang on a piece of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::channel::oneshot;

use super::syncers::Syncers;

/// Told when it is durable, or why it is not.
pub(super) type Reply = oneshot::Sender<io::Result<()>>;

/// What can wait for others.
pub(super) enum Change {
    /// At the end of a file.
    Append(Bytes),
    /// Instead of a file.
    Replace(Bytes),
    /// A link, instead of what has its name.
    Link(PathBuf),
}

struct Pending {
    reply: Reply,
    result: io::Result<()>,
    /// The file that holds what was written.
    file: Option<PathBuf>,
    rename: Option<(PathBuf, PathBuf)>,
    directory: Option<PathBuf>,
}

/// A file that was written.
struct Written {
    file: File,
    /// What was appended, if that is what was done to it.
    log: Option<Log>,
}

/// A file that is appended to.
struct Log {
    /// How long it was before the batch.
    before: u64,
    /// How long it is.
    length: u64,
    /// An append failed: those that were asked for behind it do, too.
    failed: Option<io::Error>,
}

/// Changes that are written and not durable yet.
#[derive(Default)]
pub(super) struct Batch {
    pending: Vec<Pending>,
    /// Open files, each once however much was appended to it.
    files: BTreeMap<PathBuf, Written>,
    /// Names that renames will have.
    renamed: BTreeSet<PathBuf>,
    /// Files that end in a piece of what could not be written, and how much of them is sound. Nothing
    /// is appended to them before the piece is cut off.
    torn: BTreeMap<PathBuf, u64>,
    syncers: Syncers,
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.tmp"))
}

impl Batch {
    /// How many changes wait.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Writes a change, to be made durable by [`Batch::commit`]. A change of what an earlier one of the
    /// batch renames makes that durable first.
    pub(super) fn add(&mut self, path: &Path, change: Change, reply: Reply) {
        let target = temporary(path);
        if self.renamed.contains(path) || self.files.contains_key(&target) {
            self.commit();
        }
        let mut pending =
            Pending { reply, result: Ok(()), file: None, rename: None, directory: None };
        let result = self.write(path, &change, &mut pending);
        pending.result = result;
        self.pending.push(pending);
    }

    fn write(&mut self, path: &Path, change: &Change, pending: &mut Pending) -> io::Result<()> {
        match change {
            Change::Append(bytes) => self.append(path, bytes, pending),
            Change::Replace(bytes) => {
                let target = temporary(path);
                let mut file = create(&target)?;
                file.write_all(bytes)?;
                self.files.insert(target.clone(), Written { file, log: None });
                pending.file = Some(target.clone());
                self.rename(target, path, pending);
                Ok(())
            }
            Change::Link(to) => {
                let target = temporary(path);
                fs::create_dir_all(parent(path))?;
                match fs::remove_file(&target) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                std::os::unix::fs::symlink(to, &target)?;
                self.rename(target, path, pending);
                Ok(())
            }
        }
    }

    fn append(&mut self, path: &Path, bytes: &[u8], pending: &mut Pending) -> io::Result<()> {
        pending.file = Some(path.to_owned());
        if !self.files.contains_key(path) {
            let written = self.open(path, pending)?;
            self.files.insert(path.to_owned(), written);
        }
        let Some(Written { file, log: Some(log) }) = self.files.get_mut(path) else {
            return Ok(());
        };
        if let Some(error) = &log.failed {
            return Err(copy(error));
        }
        let written = file.write_all(bytes);
        match &written {
            Ok(()) => log.length += bytes.len() as u64,
            Err(error) => {
                log.failed = Some(copy(error));
                if cut(file, log.length).is_err() {
                    self.torn.insert(path.to_owned(), log.length);
                }
            }
        }
        written
    }

    /// Opens a file that is appended to.
    fn open(&mut self, path: &Path, pending: &mut Pending) -> io::Result<Written> {
        let mut options = fs::OpenOptions::new();
        options.append(true);
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(parent(path))?;
                pending.directory = Some(parent(path).to_owned());
                self.torn.remove(path);
                options.create(true).open(path)?
            }
            opened => opened?,
        };
        if let Some(sound) = self.torn.get(path) {
            cut(&file, *sound).map_err(|error| {
                let why = format!("it ends in a piece that cannot be cut off: {error}");
                io::Error::new(error.kind(), why)
            })?;
            self.torn.remove(path);
        }
        let length = file.metadata()?.len();
        Ok(Written { file, log: Some(Log { before: length, length, failed: None }) })
    }

    fn rename(&mut self, from: PathBuf, to: &Path, pending: &mut Pending) {
        pending.directory = Some(parent(to).to_owned());
        pending.rename = Some((from, to.to_owned()));
        self.renamed.insert(to.to_owned());
    }

    /// Makes everything durable, and tells who waits. The batch is empty then.
    pub(super) fn commit(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        self.renamed.clear();
        let files: Vec<(PathBuf, Written)> = std::mem::take(&mut self.files).into_iter().collect();
        let files = Arc::new(files);
        let failed = self.syncers.sync(&files, |(_, written)| written.file.sync_data());
        for (path, Written { file, log }) in failed.iter().map(|(at, _)| &files[*at]) {
            // All that was appended to it is told to have failed.
            if let Some(log) = log
                && cut(file, log.before).is_err()
            {
                self.torn.insert(path.clone(), log.before);
            }
        }
        let failed: BTreeMap<&PathBuf, &io::Error> =
            failed.iter().map(|(at, error)| (&files[*at].0, error)).collect();
        for one in &mut pending {
            let broken = one.file.as_ref().and_then(|file| failed.get(file));
            if let (Ok(()), Some(error)) = (&one.result, broken) {
                one.result = Err(copy(error));
            }
            if let (Ok(()), Some((from, to))) = (&one.result, &one.rename) {
                one.result = fs::rename(from, to);
                if one.result.is_ok() {
                    self.torn.remove(to);
                }
            }
        }
        let wanted = pending.iter().filter(|one| one.result.is_ok());
        let directories: BTreeSet<PathBuf> =
            wanted.filter_map(|one| one.directory.clone()).collect();
        let directories: Arc<Vec<PathBuf>> = Arc::new(directories.into_iter().collect());
        let failed = self.syncers.sync(&directories, |path| File::open(path)?.sync_all());
        let failed: BTreeMap<&PathBuf, &io::Error> =
            failed.iter().map(|(at, error)| (&directories[*at], error)).collect();
        for one in pending {
            let broken = one.directory.as_ref().and_then(|path| failed.get(path));
            let result = one.result.and(broken.map_or(Ok(()), |error| Err(copy(error))));
            // Who waited may have stopped.
            let _ = one.reply.send(result);
        }
    }
}

/// Cuts off what is behind the first `length` bytes of a file.
fn cut(file: &File, length: u64) -> io::Result<()> {
    if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
}

fn create(path: &Path) -> io::Result<File> {
    match File::create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent(path))?;
            File::create(path)
        }
        created => created,
    }
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(receiver: &mut oneshot::Receiver<io::Result<()>>) -> Option<io::Result<()>> {
        receiver.try_recv().ok().flatten()
    }

    #[test]
    fn batch_is_told_when_all_of_it_is_durable_and_keeps_the_order() {
        let root = std::env::temp_dir().join(format!("commit-{}", std::process::id()));
        let (log, info, link) = (root.join("a/log"), root.join("b/info"), root.join("latest"));
        let mut batch = Batch::default();
        let mut waiting = Vec::new();
        let changes = [
            (&log, Change::Append("1".into())),
            (&info, Change::Replace("old".into())),
            (&log, Change::Append("2".into())),
            (&link, Change::Link(log.clone())),
        ];
        for (path, change) in changes {
            let (reply, receiver) = oneshot::channel();
            batch.add(path, change, reply);
            waiting.push(receiver);
        }
        assert!(waiting.iter_mut().all(|receiver| done(receiver).is_none()));
        assert!(!info.exists());
        // The same name again: what was before is durable first.
        let (reply, mut later) = oneshot::channel();
        batch.add(&info, Change::Append("+new".into()), reply);
        assert!(waiting.iter_mut().all(|receiver| matches!(done(receiver), Some(Ok(())))));
        assert!(done(&mut later).is_none());
        batch.commit();
        assert!(matches!(done(&mut later), Some(Ok(()))));
        assert_eq!(fs::read_to_string(&info).unwrap(), "old+new");
        assert_eq!(fs::read_to_string(&link).unwrap(), "12");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn batch_failure_concerns_those_only_whom_it_concerns() {
        let root = std::env::temp_dir().join(format!("commit-bad-{}", std::process::id()));
        fs::create_dir_all(root.join("directory")).unwrap();
        let mut batch = Batch::default();
        let mut add = |path: &Path, change| {
            let (reply, receiver) = oneshot::channel();
            batch.add(path, change, reply);
            receiver
        };
        let mut bad = add(&root.join("directory"), Change::Append("x".into()));
        let mut worse = add(&root.join("directory"), Change::Replace("x".into()));
        let mut good = add(&root.join("file"), Change::Append("x".into()));
        batch.commit();
        assert!(matches!(done(&mut bad), Some(Err(_))));
        assert!(matches!(done(&mut worse), Some(Err(_))));
        assert!(matches!(done(&mut good), Some(Ok(()))));
        fs::remove_dir_all(&root).unwrap();
    }
}
