//! Extracts archives. Nothing ever lands outside the sandbox: entries with absolute paths or `..`
//! are refused, and so are links that lead out and special files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Most bytes that one archive may grow to.
const MAX_EXTRACTED_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// An archive cannot be extracted.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// An entry would land, or lead, outside.
    #[error("archive {archive} has an entry that leads out of the sandbox: {entry}")]
    Escape {
        /// The archive.
        archive: PathBuf,
        /// The entry.
        entry: PathBuf,
    },
    /// It cannot be read, or something cannot be written.
    #[error("cannot extract {archive}: {source}")]
    Io {
        /// The archive.
        archive: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tar,
    TarGz,
    TarBz2,
    TarXz,
    Zip,
    Gz,
}

fn kind(name: &str) -> Option<Kind> {
    let kinds = [
        (".tar", Kind::Tar),
        (".tgz", Kind::TarGz),
        (".tar.gz", Kind::TarGz),
        (".tbz2", Kind::TarBz2),
        (".tar.bz2", Kind::TarBz2),
        (".txz", Kind::TarXz),
        (".tar.xz", Kind::TarXz),
        (".zip", Kind::Zip),
        (".gz", Kind::Gz),
    ];
    kinds.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, kind)| kind)
}

/// Extracts `archive` into `into` when its name says that it is one. False when it does not.
///
/// # Errors
/// [`ArchiveError`]; what was extracted before stays.
pub(super) fn extract(archive: &Path, into: &Path) -> Result<bool, ArchiveError> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(kind) = kind(&name) else { return Ok(false) };
    let io = |source| ArchiveError::Io { archive: archive.to_owned(), source };
    let file = io::BufReader::new(File::open(archive).map_err(io)?);
    match kind {
        Kind::Tar => untar(file, archive, into)?,
        Kind::TarGz => untar(flate2::bufread::MultiGzDecoder::new(file), archive, into)?,
        Kind::TarBz2 => untar(bzip2::bufread::MultiBzDecoder::new(file), archive, into)?,
        Kind::TarXz => {
            let mut file = file;
            let mut plain = tempfile::tempfile_in(into).map_err(io)?;
            lzma_rs::xz_decompress(&mut file, &mut plain)
                .map_err(|error| io(io::Error::other(format!("{error:?}"))))?;
            io::Seek::rewind(&mut plain).map_err(io)?;
            untar(plain, archive, into)?;
        }
        Kind::Zip => unzip(file, archive, into)?,
        Kind::Gz => {
            let target = into.join(name.strip_suffix(".gz").unwrap_or(&name));
            let plain = flate2::bufread::MultiGzDecoder::new(file);
            copy_new(plain, &target).map_err(io)?;
        }
    }
    Ok(true)
}

fn copy_new(from: impl Read, to: &Path) -> io::Result<()> {
    let mut file = File::create(to)?;
    let copied = io::copy(&mut from.take(MAX_EXTRACTED_BYTES), &mut file)?;
    if copied == MAX_EXTRACTED_BYTES {
        return Err(io::Error::other("too large when extracted"));
    }
    Ok(())
}

/// A path that goes down only.
fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// True when a symbolic link at `link`, a path within `root`, stays within it with that target.
///
/// The directory of the link is looked up on disk, because links of earlier entries may have moved it
/// up. Going up again after going down is refused: what was gone down through may be a link, now or
/// after a later entry. What is left can only go down from a place within, through links that were
/// judged by the same rule.
fn link_stays_inside(root: &Path, link: &Path, target: &Path) -> bool {
    let parent = link.parent().unwrap_or(Path::new(""));
    let Some(mut depth) = depth(root, parent) else { return false };
    let mut down = false;
    for part in target.components() {
        match part {
            Component::Normal(_) => down = true,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 && !down => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// How many directories below `root` the directory `within` really lies; what of it does not exist
/// yet will be made. None when it lies outside, or nobody can tell.
fn depth(root: &Path, within: &Path) -> Option<usize> {
    let root = root.canonicalize().ok()?;
    for (missing, ancestor) in within.ancestors().enumerate() {
        let path = root.join(ancestor);
        if let Ok(real) = path.canonicalize() {
            return Some(real.strip_prefix(&root).ok()?.components().count() + missing);
        }
        if path.symlink_metadata().is_ok() {
            return None;
        }
    }
    None
}

fn untar(from: impl Read, archive: &Path, into: &Path) -> Result<(), ArchiveError> {
    let io = |source| ArchiveError::Io { archive: archive.to_owned(), source };
    let escape = |entry: &Path| ArchiveError::Escape {
        archive: archive.to_owned(),
        entry: entry.to_owned(),
    };
    let mut tar = tar::Archive::new(from.take(MAX_EXTRACTED_BYTES));
    tar.set_preserve_permissions(true);
    tar.set_overwrite(true);
    for entry in tar.entries().map_err(io)? {
        let mut entry = entry.map_err(io)?;
        let path = entry.path().map_err(io)?.into_owned();
        let kind = entry.header().entry_type();
        let target = entry.link_name().map_err(io)?.map(std::borrow::Cow::into_owned);
        let link = kind.is_symlink() || kind.is_hard_link();
        let leads_out = match &target {
            Some(target) if kind.is_symlink() => !link_stays_inside(into, &path, target),
            Some(target) if link => !is_inside(target),
            _ => link,
        };
        let special = !(kind.is_file() || kind.is_dir() || link || kind.is_contiguous());
        if !is_inside(&path) || leads_out || special {
            return Err(escape(&path));
        }
        // The library checks once more that no link of an earlier entry leads out.
        if !entry.unpack_in(into).map_err(io)? {
            return Err(escape(&path));
        }
    }
    Ok(())
}

fn unzip(from: impl Read + io::Seek, archive: &Path, into: &Path) -> Result<(), ArchiveError> {
    let io = |source| ArchiveError::Io { archive: archive.to_owned(), source };
    let mut zip = zip::ZipArchive::new(from).map_err(|error| io(io::Error::other(error)))?;
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(|error| io(io::Error::other(error)))?;
        let link = entry.unix_mode().is_some_and(|mode| mode & 0o170_000 == 0o120_000);
        let path = PathBuf::from(entry.name());
        if link || !is_inside(&path) {
            return Err(ArchiveError::Escape { archive: archive.to_owned(), entry: path });
        }
        let target = into.join(&path);
        if entry.is_dir() {
            fs::create_dir_all(&target).map_err(io)?;
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        let mode = entry.unix_mode();
        copy_new(entry, &target).map_err(io)?;
        if let Some(mode) = mode {
            use std::os::unix::fs::PermissionsExt;
            let bits = fs::Permissions::from_mode(mode & 0o777);
            fs::set_permissions(&target, bits).map_err(io)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_with(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, target) in entries {
            let mut header = tar::Header::new_gnu();
            // Written by hand: the builder refuses the paths that this test is about.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(if *kind == tar::EntryType::Regular { 2 } else { 0 });
            header.set_cksum();
            let body: &[u8] = if *kind == tar::EntryType::Regular { b"hi" } else { b"" };
            builder.append(&header, body).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn extracted(entries: &[(&str, tar::EntryType, &str)]) -> (tempfile::TempDir, bool) {
        let root = tempfile::tempdir().unwrap();
        let sandbox = root.path().join("sandbox");
        fs::create_dir(&sandbox).unwrap();
        let archive = root.path().join("a.tar");
        fs::write(&archive, tar_with(entries)).unwrap();
        let done = extract(&archive, &sandbox).is_ok();
        (root, done)
    }

    #[test]
    fn archive_ordinary_entries_are_extracted() {
        use tar::EntryType::*;
        let (root, done) = extracted(&[
            ("d/", Directory, ""),
            ("d/f", Regular, ""),
            ("l", Symlink, "d/f"),
            ("d/up", Symlink, "../d/f"),
        ]);
        assert!(done);
        let sandbox = root.path().join("sandbox");
        assert_eq!(fs::read(sandbox.join("l")).unwrap(), b"hi");
        assert_eq!(fs::read(sandbox.join("d/up")).unwrap(), b"hi");
    }

    #[test]
    fn archive_escapes_are_refused() {
        use tar::EntryType::*;
        let cases: [&[(&str, tar::EntryType, &str)]; 10] = [
            &[("../out", Regular, "")],
            &[("/tmp/out-of-sandbox", Regular, "")],
            &[("a/../../out", Regular, "")],
            &[("l", Symlink, ".."), ("l/out", Regular, "")],
            &[("l", Symlink, "/etc")],
            &[("d", Symlink, "."), ("d/d/d/l", Symlink, "../../../out")],
            &[("a/", Directory, ""), ("a/b", Symlink, ".."), ("l", Symlink, "a/b/../out")],
            &[("l", Symlink, "later/../../out")],
            &[("l", Link, "../a.tar")],
            &[("dev", Char, "")],
        ];
        for entries in cases {
            let (root, done) = extracted(entries);
            assert!(!done, "{entries:?}");
            assert!(!root.path().join("out").exists(), "{entries:?}");
        }
    }

    fn packed(kind: Kind) -> Vec<u8> {
        use std::io::Write;
        let tar = tar_with(&[("d/f", tar::EntryType::Regular, "")]);
        match kind {
            Kind::Tar => tar,
            Kind::TarGz | Kind::Gz => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                gzip.write_all(if kind == Kind::Gz { b"hi" } else { &tar }).unwrap();
                gzip.finish().unwrap()
            }
            Kind::TarBz2 => {
                let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), Default::default());
                bzip.write_all(&tar).unwrap();
                bzip.finish().unwrap()
            }
            Kind::TarXz => {
                let mut xz = Vec::new();
                lzma_rs::xz_compress(&mut tar.as_slice(), &mut xz).unwrap();
                xz
            }
            Kind::Zip => zipped("d/f", 0o100_644),
        }
    }

    fn zipped(name: &str, mode: u32) -> Vec<u8> {
        use std::io::Write;
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().unix_permissions(mode);
        if mode & 0o170_000 == 0o120_000 {
            zip.add_symlink(name, "..", options).unwrap();
        } else {
            zip.start_file(name, options).unwrap();
            zip.write_all(b"hi").unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn archive_of_every_kind_is_extracted() {
        let cases = [
            ("a.tar", "d/f"),
            ("a.tgz", "d/f"),
            ("a.tar.gz", "d/f"),
            ("a.tbz2", "d/f"),
            ("a.tar.bz2", "d/f"),
            ("a.txz", "d/f"),
            ("a.tar.xz", "d/f"),
            ("a.zip", "d/f"),
            ("a.gz.gz", "a.gz"),
        ];
        for (name, file) in cases {
            let root = tempfile::tempdir().unwrap();
            let archive = root.path().join(name);
            fs::write(&archive, packed(kind(name).unwrap())).unwrap();
            assert!(extract(&archive, root.path()).unwrap(), "{name}");
            assert_eq!(fs::read(root.path().join(file)).unwrap(), b"hi", "{name}");
            fs::write(&archive, b"noise").unwrap();
            assert!(extract(&archive, root.path()).is_err(), "{name}");
        }
    }

    #[test]
    fn archive_zip_escapes_are_refused() {
        for (name, mode) in [("../out", 0o100_644), ("/out", 0o100_644), ("l", 0o120_777)] {
            let root = tempfile::tempdir().unwrap();
            let sandbox = root.path().join("sandbox");
            fs::create_dir(&sandbox).unwrap();
            let archive = root.path().join("a.zip");
            fs::write(&archive, zipped(name, mode)).unwrap();
            let refused = extract(&archive, &sandbox);
            assert!(matches!(refused, Err(ArchiveError::Escape { .. })), "{name}: {refused:?}");
        }
    }

    #[test]
    fn archive_kinds_follow_the_name() {
        assert_eq!(kind("a.tar.gz"), Some(Kind::TarGz));
        assert_eq!(kind("a.gz"), Some(Kind::Gz));
        assert_eq!(kind("a.txt"), None);
    }
}
