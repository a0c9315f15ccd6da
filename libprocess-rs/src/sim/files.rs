//! The files of one simulated host, as plain data.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::disk::Extent;
use crate::Time;
use crate::disk::FileInfo;

/// Links followed before a path counts as a loop, as in the kernel.
const MAX_LINKS: usize = 40;
/// What [`Files::space`] tells: total bytes of the simulated file system.
const CAPACITY_BYTES: u64 = 1 << 40;

const DIRECTORY: u32 = 0o040_755;
const REGULAR: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

#[derive(Clone)]
enum Content {
    File(Vec<u8>),
    Directory,
    Link(PathBuf),
}

#[derive(Clone)]
struct Inode {
    content: Content,
    owner: (u32, u32),
    /// Its permissions, if they were ever changed.
    permissions: Option<u32>,
    mtime: Time,
}

/// Full path → file. Relative paths start at `/`. Parents of what exists exist as directories.
#[derive(Clone, Default)]
pub(super) struct Files {
    by_path: BTreeMap<PathBuf, Inode>,
    /// Every operation fails with this while it is set.
    pub(super) fault: Option<ErrorKind>,
    pub(super) now: Time,
    /// How much of the operation under way gets done.
    pub(super) extent: Extent,
}

fn error<T>(kind: ErrorKind) -> Result<T> {
    Err(Error::from(kind))
}

/// `path` without `.` and `..`, from `/`.
fn absolute(base: &Path, path: &Path) -> PathBuf {
    let mut out = base.to_owned();
    for part in path.components() {
        match part {
            Component::RootDir | Component::Prefix(_) => out = PathBuf::from("/"),
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            Component::Normal(name) => out.push(name),
        }
    }
    out
}

impl Files {
    fn check(&self) -> Result<()> {
        match (self.fault, self.extent) {
            (Some(kind), _) => error(kind),
            (None, Extent::All) => Ok(()),
            (None, Extent::Share(_)) => error(ErrorKind::Interrupted),
        }
    }

    /// Follows links in all parts but, unless `last`, the final one. The target need not exist.
    fn resolve(&self, path: &Path, last: bool) -> Result<PathBuf> {
        let mut todo: Vec<PathBuf> = Vec::new();
        let push = |todo: &mut Vec<PathBuf>, path: &Path| {
            todo.extend(path.components().rev().map(|part| PathBuf::from(part.as_os_str())));
        };
        push(&mut todo, path);
        let (mut done, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = todo.pop() {
            let next = absolute(&done, &part);
            match self.by_path.get(&next).map(|inode| &inode.content) {
                Some(Content::Link(target)) if last || !todo.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Error::other("too many levels of symbolic links"));
                    }
                    push(&mut todo, &target.clone());
                }
                Some(Content::File(_)) if !todo.is_empty() => {
                    return error(ErrorKind::NotADirectory);
                }
                _ => done = next,
            }
        }
        Ok(done)
    }

    fn put(&mut self, path: PathBuf, content: Content) {
        let before = self.by_path.get(&path);
        let owner = before.map_or((0, 0), |inode| inode.owner);
        let permissions = before.and_then(|inode| inode.permissions);
        let inode = Inode { content, owner, permissions, mtime: self.now };
        self.by_path.insert(path, inode);
    }

    fn make_dirs(&mut self, path: &Path) -> Result<()> {
        let mut missing = Vec::new();
        for part in path.ancestors().filter(|part| *part != Path::new("/")) {
            match self.by_path.get(part).map(|inode| &inode.content) {
                Some(Content::Directory) => break,
                Some(_) => return error(ErrorKind::NotADirectory),
                None => missing.push(part.to_owned()),
            }
        }
        for part in missing {
            self.put(part, Content::Directory);
        }
        Ok(())
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new("/")
            || matches!(
                self.by_path.get(path).map(|inode| &inode.content),
                Some(Content::Directory)
            )
    }

    fn bytes_mut(&mut self, path: &Path, create: bool) -> Result<&mut Vec<u8>> {
        self.check()?;
        let path = self.resolve(path, true)?;
        if self.is_dir(&path) {
            return error(ErrorKind::IsADirectory);
        }
        if !self.by_path.contains_key(&path) {
            if !create {
                return error(ErrorKind::NotFound);
            }
            self.make_dirs(path.parent().unwrap_or(Path::new("/")))?;
            self.put(path.clone(), Content::File(Vec::new()));
        }
        let now = self.now;
        match self.by_path.get_mut(&path) {
            Some(Inode { content: Content::File(bytes), mtime, .. }) => {
                *mtime = now;
                Ok(bytes)
            }
            _ => error(ErrorKind::NotFound),
        }
    }

    pub(super) fn read(&self, path: &Path) -> Result<Bytes> {
        self.check()?;
        let path = self.resolve(path, true)?;
        match self.by_path.get(&path).map(|inode| &inode.content) {
            Some(Content::File(bytes)) => Ok(Bytes::copy_from_slice(bytes)),
            _ if self.is_dir(&path) => error(ErrorKind::IsADirectory),
            _ => error(ErrorKind::NotFound),
        }
    }

    pub(super) fn read_at(&self, path: &Path, offset: u64, length: usize) -> Result<Bytes> {
        let all = self.read(path)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
        Ok(all.slice(start..start.saturating_add(length).min(all.len())))
    }

    pub(super) fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        *self.bytes_mut(path, true)? = bytes.to_vec();
        Ok(())
    }

    pub(super) fn append(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let done = match std::mem::take(&mut self.extent) {
            Extent::All => bytes.len(),
            Extent::Share(share) => (bytes.len() as f64 * share) as usize,
        };
        self.bytes_mut(path, true)?.extend_from_slice(&bytes[..done.min(bytes.len())]);
        Ok(())
    }

    pub(super) fn truncate(&mut self, path: &Path, size: u64) -> Result<()> {
        let size = usize::try_from(size).map_err(Error::other)?;
        self.bytes_mut(path, false)?.resize(size, 0);
        Ok(())
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> Result<()> {
        self.check()?;
        let path = self.resolve(path, true)?;
        self.make_dirs(&path)
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<()> {
        self.check()?;
        let path = self.resolve(path, false)?;
        self.by_path.retain(|key, _| !key.starts_with(&path));
        Ok(())
    }

    fn info(&self, shown: PathBuf, path: &Path) -> Option<FileInfo> {
        let inode = self.by_path.get(path)?;
        let (size, mode, nlink) = match &inode.content {
            Content::File(bytes) => (bytes.len() as u64, REGULAR, 1),
            Content::Directory => (4096, DIRECTORY, 2),
            Content::Link(target) => (target.as_os_str().len() as u64, LINK, 1),
        };
        let seconds = inode.mtime.as_nanos() / 1_000_000_000;
        Some(FileInfo {
            path: shown,
            size,
            mode: inode.permissions.map_or(mode, |permissions| mode & !0o7777 | permissions),
            nlink,
            uid: inode.owner.0,
            gid: inode.owner.1,
            mtime_secs: i64::try_from(seconds).unwrap_or(i64::MAX),
        })
    }

    pub(super) fn list(&self, path: &Path) -> Result<Vec<FileInfo>> {
        self.check()?;
        let resolved = self.resolve(path, true)?;
        if !self.is_dir(&resolved) {
            let exists = self.by_path.contains_key(&resolved);
            return error(if exists { ErrorKind::NotADirectory } else { ErrorKind::NotFound });
        }
        let children = self
            .by_path
            .range(resolved.clone()..)
            .take_while(|(key, _)| key.starts_with(&resolved))
            .filter(|(key, _)| key.parent() == Some(&resolved));
        let entries = children.filter_map(|(key, _)| {
            let shown = path.join(key.file_name()?);
            // A dangling link is shown as itself.
            let target = self.resolve(key, true).ok();
            target
                .and_then(|target| self.info(shown.clone(), &target))
                .or_else(|| self.info(shown, key))
        });
        Ok(entries.collect())
    }

    pub(super) fn stat(&self, path: &Path) -> Result<FileInfo> {
        self.check()?;
        let resolved = self.resolve(path, true)?;
        let found = self.info(path.to_owned(), &resolved);
        found.ok_or_else(|| Error::from(ErrorKind::NotFound))
    }

    pub(super) fn symlink(&mut self, target: &Path, link: &Path) -> Result<()> {
        self.check()?;
        let link = self.resolve(link, false)?;
        if self.is_dir(&link) {
            return error(ErrorKind::IsADirectory);
        }
        self.make_dirs(link.parent().unwrap_or(Path::new("/")))?;
        self.put(link, Content::Link(target.to_owned()));
        Ok(())
    }

    pub(super) fn canonicalize(&self, path: &Path) -> Result<PathBuf> {
        self.check()?;
        let resolved = self.resolve(path, true)?;
        if self.is_dir(&resolved) || self.by_path.contains_key(&resolved) {
            Ok(resolved)
        } else {
            error(ErrorKind::NotFound)
        }
    }

    pub(super) fn chown(&mut self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        self.check()?;
        let resolved = self.resolve(path, true)?;
        let root = resolved == Path::new("/");
        match self.by_path.get_mut(&resolved) {
            Some(inode) => inode.owner = (uid, gid),
            None if root => {}
            None => return error(ErrorKind::NotFound),
        }
        Ok(())
    }

    pub(super) fn chmod(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.check()?;
        let resolved = self.resolve(path, true)?;
        match self.by_path.get_mut(&resolved) {
            Some(inode) => inode.permissions = Some(mode & 0o7777),
            None => return error(ErrorKind::NotFound),
        }
        Ok(())
    }

    pub(super) fn space(&self) -> Result<(u64, u64)> {
        self.check()?;
        let used = self.by_path.values().map(|inode| match &inode.content {
            Content::File(bytes) => bytes.len() as u64,
            _ => 0,
        });
        Ok((CAPACITY_BYTES, CAPACITY_BYTES.saturating_sub(used.sum())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PathBuf {
        PathBuf::from(text)
    }

    #[test]
    fn files_written_through_a_link_are_found_at_its_target() {
        let mut files = Files::default();
        files.create_dir(&path("/runs/1")).unwrap();
        files.symlink(&path("1"), &path("/runs/latest")).unwrap();
        files.write(&path("/runs/latest/out"), b"hello").unwrap();
        files.append(&path("/runs/1/out"), b" world").unwrap();
        let all = files.read(&path("/runs/latest/out")).unwrap();
        assert_eq!(all.as_ref(), b"hello world");
        let real = files.canonicalize(&path("/runs/latest/../latest")).unwrap();
        assert_eq!(real, path("/runs/1"));
        let names: Vec<_> = files.list(&path("/runs")).unwrap();
        let dirs: Vec<_> = names.iter().map(|info| (info.path.clone(), info.is_dir())).collect();
        assert_eq!(dirs, [(path("/runs/1"), true), (path("/runs/latest"), true)]);
        files.remove(&path("/runs/latest")).unwrap();
        assert!(files.stat(&path("/runs/1/out")).is_ok());
    }

    #[test]
    fn files_errors_are_those_of_a_file_system() {
        let mut files = Files::default();
        files.write(&path("/d/f"), b"x").unwrap();
        files.symlink(&path("b"), &path("/a")).unwrap();
        files.symlink(&path("a"), &path("/b")).unwrap();
        let kinds = [
            (files.read(&path("/none")).map(drop), ErrorKind::NotFound),
            (files.read(&path("/d")).map(drop), ErrorKind::IsADirectory),
            (files.list(&path("/d/f")).map(drop), ErrorKind::NotADirectory),
            (files.write(&path("/d/f/g"), b""), ErrorKind::NotADirectory),
            (files.read(&path("/a")).map(drop), ErrorKind::Other),
            (files.remove(&path("/none")).and(error(ErrorKind::Other)), ErrorKind::Other),
        ];
        for (result, kind) in kinds {
            assert_eq!(result.map_err(|e| e.kind()), Err(kind));
        }
        files.fault = Some(ErrorKind::StorageFull);
        let full = files.append(&path("/d/f"), b"y").map_err(|e| e.kind());
        assert_eq!(full, Err(ErrorKind::StorageFull));
    }
}
