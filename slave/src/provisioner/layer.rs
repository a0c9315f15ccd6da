//! A layer: the archive of what differs from the layers below, and the directory that it becomes.
//!
//! What a layer takes away it says by files with a prefix. For the copy backend these are kept as they
//! are; for overlay they become what the kernel understands.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::libc;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::{Backend, zstd};
use crate::fetcher::{Budget, too_large};

/// Marks a name that lower layers have and this one takes away.
pub(super) const WHITEOUT: &str = ".wh.";
/// Marks a directory of which lower layers show nothing.
pub(super) const OPAQUE: &str = ".wh..wh..opq";
/// Most entries of one layer.
const MAX_ENTRIES: usize = 1_000_000;

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Extracts the archive of a layer, packed by gzip, by zstd or not at all, within the budget.
///
/// # Errors
/// When it cannot be read or written, is too large, or an entry leads out of the directory.
pub(super) fn extract(
    from: impl Read,
    into: &Path,
    backend: Backend,
    budget: &Budget,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let start = from.fill_buf()?;
    if start.starts_with(&[0x1f, 0x8b]) {
        untar(flate2::bufread::MultiGzDecoder::new(from), into, backend, budget)
    } else if zstd::is_packed(start) {
        untar(zstd::Plain::new(from), into, backend, budget)
    } else {
        untar(from, into, backend, budget)
    }
}

fn untar(from: impl Read, into: &Path, backend: Backend, budget: &Budget) -> io::Result<()> {
    let root = into.canonicalize()?;
    // Headers and padding come on top of what is extracted.
    let mut tar = tar::Archive::new(from.take(budget.left().saturating_mul(2)));
    tar.set_preserve_permissions(true);
    tar.set_preserve_ownerships(nix::unistd::geteuid().is_root());
    tar.set_overwrite(true);
    for (number, entry) in tar.entries()?.enumerate() {
        let mut entry = entry?;
        budget.take_file(entry.size())?;
        if number == MAX_ENTRIES {
            return Err(too_large());
        }
        let path = entry.path()?.into_owned();
        let leads_out = || bad(format!("entry '{}' leads out of it", path.display()));
        let kind = entry.header().entry_type();
        if !path.components().all(|it| matches!(it, Component::Normal(_) | Component::CurDir)) {
            return Err(leads_out());
        }
        let name = path.file_name().unwrap_or_default().as_bytes();
        if backend == Backend::Overlay && name.starts_with(WHITEOUT.as_bytes()) {
            take_away(&root, &path)?;
            continue;
        }
        // Containers get their devices from us, not from images.
        if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() {
            continue;
        }
        // The library checks that no link of an earlier entry leads out.
        if !entry.unpack_in(&root)? {
            return Err(leads_out());
        }
    }
    // One that was cut off looks like one that ended.
    if tar.into_inner().limit() == 0 { Err(too_large()) } else { Ok(()) }
}

/// Makes of a whiteout what overlay understands.
fn take_away(root: &Path, path: &Path) -> io::Result<()> {
    let parent = root.join(path.parent().unwrap_or(Path::new("")));
    fs::create_dir_all(&parent)?;
    let parent = parent.canonicalize()?;
    if !parent.starts_with(root) {
        return Err(bad(format!("entry '{}' leads out of it", path.display())));
    }
    let name = path.file_name().unwrap_or_default();
    if name == OPAQUE {
        return set_opaque(&parent);
    }
    let hidden: PathBuf =
        parent.join(std::ffi::OsStr::from_bytes(&name.as_bytes()[WHITEOUT.len()..]));
    if hidden.parent() != Some(&parent) {
        return Err(bad(format!("entry '{}' takes nothing away", path.display())));
    }
    mknod(&hidden, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0))?;
    Ok(())
}

#[allow(unsafe_code, reason = "the kernel's call has no safe front here")]
fn set_opaque(directory: &Path) -> io::Result<()> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let (name, value) = (c"trusted.overlay.opaque", b"y");
    // SAFETY: both strings end with a zero byte and the value's length is given with it.
    let done = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), 1, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One file of an archive, as a whole; it may have at most `most` bytes.
///
/// # Errors
/// When the archive cannot be read, or has no such file.
pub(super) fn read_one(archive: &Path, name: &str, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    one(archive, name, |entry| {
        let read = entry.take(most + 1).read_to_end(&mut bytes)?;
        if read as u64 > most { Err(bad(format!("'{name}' is too large"))) } else { Ok(()) }
    })?;
    Ok(bytes)
}

/// Hands one file of an archive over.
///
/// # Errors
/// As of `then`; when the archive cannot be read, or has no such file.
pub(super) fn one(
    archive: &Path,
    name: &str,
    then: impl FnOnce(&mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut tar = tar::Archive::new(BufReader::new(File::open(archive)?));
    // Newer archives have one layer at several names, as links.
    let mut wanted = plain(Path::new(name));
    for _ in 0..2 {
        let mut link = None;
        for entry in tar.entries()? {
            let mut entry = entry?;
            if plain(&entry.path()?) != wanted {
                continue;
            }
            match entry.link_name()? {
                None => return then(&mut entry),
                Some(target) => {
                    let target = wanted.parent().unwrap_or(Path::new("")).join(target);
                    link = Some(plain(&target));
                }
            }
        }
        wanted = link.ok_or_else(|| bad(format!("it has no file '{name}'")))?;
        tar = tar::Archive::new(BufReader::new(File::open(archive)?));
    }
    Err(bad(format!("it has no file '{name}'")))
}

/// A path without steps up.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::Normal(part) => plain.push(part),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn layer_for_copies_keeps_its_marks() {
        let into = tempfile::tempdir().unwrap();
        let bytes = archive(&[("a/.wh.b", ""), ("a/c", "c")]);
        extract(bytes.as_slice(), into.path(), Backend::Copy, &Budget::new(10_000, 10)).unwrap();
        assert!(into.path().join("a/.wh.b").exists());
        assert_eq!(fs::read_to_string(into.path().join("a/c")).unwrap(), "c");
    }

    #[test]
    fn layer_escapes_and_bombs_are_refused() {
        for path in ["../a", "/../a", "a/../../b"] {
            let into = tempfile::tempdir().unwrap();
            let bytes = archive(&[(path, "x")]);
            assert!(
                extract(bytes.as_slice(), into.path(), Backend::Copy, &Budget::new(1000, 10))
                    .is_err(),
                "{path}"
            );
        }
        let into = tempfile::tempdir().unwrap();
        let bytes = archive(&[("a", &"x".repeat(900)), ("b", &"x".repeat(900))]);
        assert!(
            extract(bytes.as_slice(), into.path(), Backend::Copy, &Budget::new(1000, 10)).is_err()
        );
    }

    #[test]
    fn layer_packed_by_either_program_is_that_layer() {
        use std::io::Write;
        let plain = archive(&[("a/c", "c")]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zstd = ruzstd::encoding::compress_to_vec(plain.as_slice(), level);
        for packed in [plain, gzip.finish().unwrap(), zstd] {
            let into = tempfile::tempdir().unwrap();
            let budget = Budget::new(10_000, 10);
            extract(packed.as_slice(), into.path(), Backend::Copy, &budget).unwrap();
            assert_eq!(fs::read_to_string(into.path().join("a/c")).unwrap(), "c");
        }
    }

    #[test]
    fn layer_bombs_are_stopped_however_they_are_packed() {
        use std::io::Write;
        let plain = archive(&[("zeros", &"0".repeat(8 << 20))]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&plain).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let zstd = ruzstd::encoding::compress_to_vec(plain.as_slice(), level);
        for packed in [gzip.finish().unwrap(), zstd] {
            assert!(packed.len() < 100_000);
            let into = tempfile::tempdir().unwrap();
            let budget = Budget::new(1 << 20, 10);
            let error = extract(packed.as_slice(), into.path(), Backend::Copy, &budget);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
            assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn archive_files_are_found_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), archive(&[("x/a", "1"), ("x/b", "22")])).unwrap();
        assert_eq!(read_one(file.path(), "x/b", 10).unwrap(), b"22");
        assert_eq!(read_one(file.path(), "./x/a", 10).unwrap(), b"1");
        assert!(read_one(file.path(), "x/b", 1).is_err());
        assert!(read_one(file.path(), "x/c", 10).is_err());
    }
}
