//! The backend that copies: each layer over those below it.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use super::layer::{OPAQUE, WHITEOUT};

/// Puts a layer over what is in `root`.
///
/// # Errors
/// When something cannot be read or written.
pub(super) fn apply(layer: &Path, root: &Path) -> io::Result<()> {
    Copier { links: BTreeMap::new(), as_root: nix::unistd::geteuid().is_root() }
        .directory(layer, root)
}

struct Copier {
    /// Where files with several names were copied to, by device and inode.
    links: BTreeMap<(u64, u64), PathBuf>,
    as_root: bool,
}

impl Copier {
    /// Copies what a directory holds; `to` is a directory and no link.
    fn directory(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if from.join(OPAQUE).symlink_metadata().is_ok() {
            for entry in fs::read_dir(to)? {
                remove(&entry?.path())?;
            }
        }
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == OPAQUE {
                continue;
            }
            if let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT.as_bytes()) {
                if !hidden.is_empty() && hidden != b"." && hidden != b".." {
                    remove(&to.join(std::ffi::OsStr::from_bytes(hidden)))?;
                }
                continue;
            }
            self.entry(&entry.path(), &to.join(&name))?;
        }
        Ok(())
    }

    fn entry(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let info = from.symlink_metadata()?;
        let there = to.symlink_metadata().ok();
        if info.is_dir() {
            if !there.is_some_and(|there| there.is_dir()) {
                remove(to)?;
                fs::create_dir(to)?;
            }
            self.directory(from, to)?;
            return self.own(to, &info);
        }
        remove(to)?;
        if info.is_symlink() {
            symlink(fs::read_link(from)?, to)?;
        } else if info.is_file() {
            let key = (info.dev(), info.ino());
            if let Some(other) = self.links.get(&key).filter(|_| info.nlink() > 1) {
                return fs::hard_link(other, to);
            }
            fs::copy(from, to)?;
            self.links.insert(key, to.to_owned());
        } else {
            // Sockets, pipes and devices do not come from images.
            return Ok(());
        }
        self.own(to, &info)
    }

    fn own(&self, to: &Path, info: &Metadata) -> io::Result<()> {
        if self.as_root {
            lchown(to, Some(info.uid()), Some(info.gid()))?;
        }
        // A change of owner takes some of the bits away.
        match info.is_symlink() {
            true => Ok(()),
            false => fs::set_permissions(to, fs::Permissions::from_mode(info.mode() & 0o7777)),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(info) if info.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    #[test]
    fn layers_hide_replace_and_add() {
        let all = tempfile::tempdir().unwrap();
        let [root, low, high] = ["root", "low", "high"].map(|name| all.path().join(name));
        fs::create_dir(&root).unwrap();
        let lower = [("keep", "1"), ("gone", "1"), ("d/x", "1"), ("o/x", "1"), ("f/x", "1")];
        write(&low, &lower);
        symlink("/etc", low.join("link")).unwrap();
        write(&high, &[(".wh.gone", ""), ("d/y", "2"), ("o/.wh..wh..opq", ""), ("o/z", "2")]);
        write(&high, &[("f", "2")][..0]);
        fs::write(high.join("f"), "2").unwrap();
        fs::create_dir(high.join("link")).unwrap();
        write(&high, &[("link/passwd", "mine")]);
        apply(&low, &root).unwrap();
        apply(&high, &root).unwrap();
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        assert_eq!(read("keep").as_deref(), Some("1"));
        assert_eq!((read("gone"), read("o/x")), (None, None));
        assert_eq!((read("d/x"), read("d/y")), (Some("1".into()), Some("2".into())));
        assert_eq!((read("o/z"), read("f")), (Some("2".into()), Some("2".into())));
        // A link of a lower layer is replaced, not followed.
        assert_eq!(read("link/passwd").as_deref(), Some("mine"));
        assert!(root.join("link").symlink_metadata().unwrap().is_dir());
    }
}
