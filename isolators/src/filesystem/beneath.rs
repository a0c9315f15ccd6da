//! What lies below a directory whose users are not trusted. On the way to it no link is followed, so
//! that nothing outside is reached, whatever they rename or link meanwhile.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use protos::ids::ContainerId;

use crate::setup::parent;

/// What is below a directory cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum BeneathError {
    /// There is a link on the way, or a step upwards.
    #[error("'{0}' leads out of the sandbox")]
    LeadsOut(PathBuf),
    /// The kernel refuses.
    #[error("cannot {operation} '{path}': {source}")]
    Failed {
        /// What was tried, such as `open`.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl BeneathError {
    /// True when there is nothing of that name: it is missing, or something else is on the way.
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Self::LeadsOut(_) => true,
            Self::Failed { source, .. } => {
                matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            }
        }
    }
}

type Result<T> = std::result::Result<T, BeneathError>;

/// Tells what failed, and on what.
pub(super) fn failed<E: Into<io::Error>>(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> BeneathError {
    let path = path.to_owned();
    move |error| BeneathError::Failed { operation, path, source: error.into() }
}

/// An open directory.
#[derive(Debug)]
pub struct Beneath {
    directory: OwnedFd,
    path: PathBuf,
}

impl Beneath {
    /// Opens the directory `inner` below a trusted one, to which links may lead.
    ///
    /// # Errors
    /// [`BeneathError`] when it is not there.
    pub fn open(trusted: &Path, inner: &Path) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(trusted, flags, Mode::empty()).map_err(failed("open", trusted))?;
        let trusted = Self { directory, path: trusted.to_owned() };
        Ok(Self { directory: trusted.find(inner)?, path: trusted.path.join(inner) })
    }

    /// Opens a container's sandbox. Only slaves make what leads to it, unless it is a nested one's:
    /// that is at `containers/<id>` in its parent's.
    ///
    /// # Errors
    /// [`BeneathError`] when it is not there.
    pub fn sandbox(id: &ContainerId, sandbox: &Path) -> Result<Self> {
        let levels = std::iter::successors(parent(id), parent).count();
        let outermost = sandbox.ancestors().nth(2 * levels).unwrap_or(sandbox);
        Self::open(outermost, sandbox.strip_prefix(outermost).unwrap_or(Path::new("")))
    }

    /// Where it is, without links.
    ///
    /// # Errors
    /// [`BeneathError`] when the kernel does not tell.
    pub fn real(&self) -> Result<PathBuf> {
        std::fs::read_link(shown(&self.directory)).map_err(failed("tell the place of", &self.path))
    }

    /// What is there: anything but a link.
    ///
    /// # Errors
    /// [`BeneathError`] when it is missing, or there is a link.
    pub fn find(&self, path: &Path) -> Result<OwnedFd> {
        self.walk(path, false)
    }

    /// The directory that is there, which is made if need be.
    ///
    /// # Errors
    /// [`BeneathError`] when there is something else, or a link on the way.
    pub fn make(&self, path: &Path) -> Result<OwnedFd> {
        let found = self.walk(path, true)?;
        let whole = self.path.join(path);
        match kind(&found).map_err(failed("look at", &whole))? {
            SFlag::S_IFDIR => Ok(found),
            _ => Err(failed("create", &whole)(Errno::ENOTDIR)),
        }
    }

    /// One step after the other: a descriptor stays with its directory, wherever that is moved.
    fn walk(&self, path: &Path, makes: bool) -> Result<OwnedFd> {
        let whole = self.path.join(path);
        let mut at = self.directory.try_clone().map_err(failed("open", &whole))?;
        for part in path.components() {
            let Component::Normal(name) = part else { return Err(BeneathError::LeadsOut(whole)) };
            at = match enter(&at, name) {
                Err(Errno::ENOENT) if makes => mkdirat(&at, name, Mode::from_bits_truncate(0o755))
                    .or_else(|errno| if errno == Errno::EEXIST { Ok(()) } else { Err(errno) })
                    .and_then(|()| enter(&at, name))
                    .map_err(failed("create", &whole))?,
                entered => entered.map_err(failed("open", &whole))?,
            };
            if kind(&at).map_err(failed("look at", &whole))? == SFlag::S_IFLNK {
                return Err(BeneathError::LeadsOut(whole));
            }
        }
        Ok(at)
    }

    /// Makes a link; one that is there is replaced. The directories on the way are made.
    ///
    /// # Errors
    /// [`BeneathError`] when there is something else, or a link on the way.
    pub fn link(&self, path: &Path, target: &Path) -> Result<()> {
        let (parent, name) = self.split(path)?;
        let directory = self.make(parent)?;
        let link = || symlinkat(target, &directory, name);
        let linked = match link() {
            Err(Errno::EEXIST) => match readlinkat(&directory, name) {
                Ok(present) if Path::new(&present) == target => Ok(()),
                Ok(_) => {
                    unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir).and_then(|()| link())
                }
                // Files of the container are not ours to remove.
                Err(_) => Err(Errno::EEXIST),
            },
            linked => linked,
        };
        linked.map_err(failed("link", &self.path.join(path)))
    }

    /// Removes a link that leads to `target`. Answers false when there is none (any more); what is
    /// there instead stays.
    ///
    /// # Errors
    /// [`BeneathError`] when the kernel refuses.
    pub fn unlink(&self, path: &Path, target: &Path) -> Result<bool> {
        let (parent, name) = self.split(path)?;
        let directory = match self.find(parent) {
            Err(error) if error.is_elsewhere() => return Ok(false),
            found => found?,
        };
        if !readlinkat(&directory, name).is_ok_and(|present| Path::new(&present) == target) {
            return Ok(false);
        }
        // Never a directory; the name may by now be that of another file of the container.
        unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir)
            .map_err(failed("remove", &self.path.join(path)))?;
        Ok(true)
    }

    fn split<'a>(&self, path: &'a Path) -> Result<(&'a Path, &'a OsStr)> {
        path.parent()
            .zip(path.file_name())
            .ok_or_else(|| BeneathError::LeadsOut(self.path.join(path)))
    }
}

/// A path that leads to what is open, for calls that take no descriptor.
pub fn shown(opened: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()))
}

fn enter(at: &OwnedFd, name: &OsStr) -> nix::Result<OwnedFd> {
    openat(at, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

fn kind(opened: &OwnedFd) -> nix::Result<SFlag> {
    fstat(opened).map(|info| SFlag::from_bits_truncate(info.st_mode) & SFlag::S_IFMT)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A sandbox beside a directory that must stay as it is.
    fn place() -> (tempfile::TempDir, PathBuf, Beneath) {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        fs::create_dir_all(outside.join("etc")).unwrap();
        fs::create_dir(place.path().join("sandbox")).unwrap();
        let sandbox =
            Beneath::sandbox(&ContainerId::new("c"), &place.path().join("sandbox")).unwrap();
        (place, outside, sandbox)
    }

    #[test]
    fn beneath_directories_are_made_below_and_nowhere_else() {
        let (place, outside, sandbox) = place();
        sandbox.make(Path::new("a/b")).unwrap();
        let made = sandbox.make(Path::new("a/b/c")).unwrap();
        let real = place.path().canonicalize().unwrap();
        assert_eq!(fs::read_link(shown(&made)).unwrap(), real.join("sandbox/a/b/c"));
        symlink(&outside, place.path().join("sandbox/trap")).unwrap();
        symlink("a", place.path().join("sandbox/inner")).unwrap();
        for path in ["trap/new", "trap", "inner/b", "../outside/new", "/tmp"] {
            let refused = sandbox.make(Path::new(path)).unwrap_err();
            assert!(refused.to_string().contains("leads out"), "{path}: {refused}");
        }
        assert!(!outside.join("new").exists());
        fs::write(place.path().join("sandbox/file"), "x").unwrap();
        assert!(sandbox.make(Path::new("file")).is_err());
        assert!(sandbox.find(Path::new("file/x")).unwrap_err().is_elsewhere());
        assert!(sandbox.find(Path::new("none")).unwrap_err().is_elsewhere());
    }

    #[test]
    fn beneath_links_are_replaced_and_files_are_not() {
        let (place, outside, sandbox) = place();
        let link = place.path().join("sandbox/a/data");
        sandbox.link(Path::new("a/data"), Path::new("/old")).unwrap();
        sandbox.link(Path::new("a/data"), &outside).unwrap();
        sandbox.link(Path::new("a/data"), &outside).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), outside);
        fs::remove_file(&link).unwrap();
        fs::write(&link, "precious").unwrap();
        assert!(sandbox.link(Path::new("a/data"), &outside).is_err());
        assert_eq!(fs::read(&link).unwrap(), b"precious");
    }

    #[test]
    fn beneath_only_the_link_that_is_meant_is_removed() {
        let (place, outside, sandbox) = place();
        let root = place.path().join("sandbox");
        let path = Path::new("a/etc");
        sandbox.link(path, &outside).unwrap();
        assert!(!sandbox.unlink(path, Path::new("/other")).unwrap());
        assert!(sandbox.unlink(path, &outside).unwrap());
        assert!(!sandbox.unlink(path, &outside).unwrap());
        // A link in the middle, to a directory that has such an entry.
        fs::remove_dir(root.join("a")).unwrap();
        symlink(&outside, root.join("a")).unwrap();
        assert!(!sandbox.unlink(path, &outside).unwrap());
        fs::remove_dir(outside.join("etc")).unwrap();
        symlink(&outside, outside.join("etc")).unwrap();
        assert!(!sandbox.unlink(path, &outside).unwrap());
        assert!(outside.join("etc").is_symlink());
    }

    #[test]
    fn beneath_links_lead_to_sandboxes_but_not_to_those_in_others() {
        let (place, outside, _) = place();
        symlink(place.path(), place.path().join("work")).unwrap();
        let sandbox = place.path().join("work/sandbox");
        assert!(Beneath::sandbox(&ContainerId::new("c"), &sandbox).is_ok());
        let (id, nested) = (ContainerId::new("c.n"), sandbox.join("containers/n"));
        fs::create_dir_all(&nested).unwrap();
        assert!(Beneath::sandbox(&id, &nested).is_ok());
        fs::rename(sandbox.join("containers"), sandbox.join("moved")).unwrap();
        symlink(&outside, sandbox.join("containers")).unwrap();
        fs::create_dir(outside.join("n")).unwrap();
        assert!(Beneath::sandbox(&id, &nested).unwrap_err().is_elsewhere());
    }
}
