//! Finds and makes what lies below a container's root as the container will see it: links of an image
//! are followed as if its root were the root of all, so that none leads out of it. What is found is held
//! by a descriptor: nobody can put something else in its place before it is used.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, mkdirat};

/// Links that are followed before a path is taken for a circle.
const MAX_LINKS: usize = 40;

/// What is made when it is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// A container's root; `/` when it has none of its own.
pub(super) struct Root(OwnedFd);

/// The path by which the kernel is told of a descriptor.
pub(super) fn path_of(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

impl Root {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        Ok(Self(File::open(root)?.into()))
    }

    /// What is at a path inside, whatever it is.
    pub(super) fn find(&self, inside: &Path) -> nix::Result<OwnedFd> {
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC);
        let how = how.resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        // An empty path is the root itself.
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        openat2(self.0.as_fd(), inside, how)
    }

    /// The same; what is missing of it is made, directories on the way as well.
    pub(super) fn find_or_make(&self, inside: &Path, kind: Kind) -> io::Result<OwnedFd> {
        let mut inside = inside.to_owned();
        for _ in 0..MAX_LINKS {
            match self.find(&inside) {
                Err(Errno::ENOENT) => {}
                found => return Ok(found?),
            }
            let (parent, name) = self.parent(&inside)?;
            let made = match kind {
                Kind::Directory => mkdirat(&parent, name, Mode::from_bits_truncate(0o755)),
                Kind::File => {
                    let fresh = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
                    openat(&parent, name, fresh, Mode::from_bits_truncate(0o644)).map(drop)
                }
            };
            match (made, readlinkat(&parent, name)) {
                // A link to something that is missing: that is made instead.
                (Err(Errno::EEXIST), Ok(link)) => {
                    let above = inside.parent().unwrap_or(Path::new("")).to_owned();
                    // An absolute one replaces all of the path, and starts at the root again.
                    inside = above.join(link);
                }
                (made, _) => made?,
            }
        }
        Err(Errno::ELOOP.into())
    }

    /// The directory that something is in, which is made if it is missing, and its name there.
    pub(super) fn parent<'a>(&self, inside: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let none = || io::Error::other("the path has no name at its end");
        let Some(Component::Normal(name)) = inside.components().next_back() else {
            return Err(none());
        };
        let above = inside.parent().unwrap_or(Path::new(""));
        Ok((self.find_or_make(above, Kind::Directory)?, name))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A root in a directory, beside something that is none of its business.
    fn scene() -> (tempfile::TempDir, PathBuf, Root) {
        let all = tempfile::tempdir().unwrap();
        let root = all.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir_all(all.path().join("etc")).unwrap();
        let opened = Root::open(&root).unwrap();
        (all, root, opened)
    }

    #[test]
    fn links_of_an_image_lead_nowhere_but_into_it() {
        let (all, root, opened) = scene();
        let outside = all.path().join("etc");
        symlink("../../etc", root.join("up")).unwrap();
        symlink(&outside, root.join("absolute")).unwrap();
        let found = opened.find(Path::new("up")).unwrap();
        assert_eq!(fs::canonicalize(path_of(&found)).unwrap(), root.join("etc"));
        assert_eq!(opened.find(Path::new("absolute")).unwrap_err(), Errno::ENOENT);
        opened.find_or_make(Path::new("absolute/new"), Kind::Directory).unwrap();
        opened.find_or_make(Path::new("up/../../deep/file"), Kind::File).unwrap();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert!(root.join("deep/file").is_file());
        let inner = root.join(outside.strip_prefix("/").unwrap()).join("new");
        assert!(inner.is_dir());
    }

    #[test]
    fn dangling_link_has_its_target_made_inside() {
        let (all, root, opened) = scene();
        symlink("../../etc/nologin", root.join("etc/hosts")).unwrap();
        opened.find_or_make(Path::new("etc/hosts"), Kind::File).unwrap();
        assert!(root.join("etc/nologin").is_file());
        assert!(!all.path().join("etc/nologin").exists());
        symlink("circle", root.join("circle")).unwrap();
        assert!(opened.find_or_make(Path::new("circle"), Kind::File).is_err());
    }
}
