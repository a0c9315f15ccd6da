//! Extracts archives. Nothing ever lands outside the sandbox: entries with absolute paths or `..`
//! are refused, and so are links that lead out and special files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Most entries that one archive may have: each takes an inode, however small it is.
const MAX_ENTRIES: usize = 1_000_000;

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
    /// It grows beyond what there is room for.
    #[error("archive {0} is too large when extracted")]
    TooLarge(PathBuf),
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

/// Extracts `archive` into `into` when its name says that it is one, to at most `most` bytes. False
/// when its name does not say so.
///
/// # Errors
/// [`ArchiveError`]; what was extracted before stays.
pub(super) fn extract(archive: &Path, into: &Path, most: u64) -> Result<bool, ArchiveError> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(kind) = kind(&name) else { return Ok(false) };
    let io = |source| ArchiveError::Io { archive: archive.to_owned(), source };
    let file = io::BufReader::new(File::open(archive).map_err(io)?);
    match kind {
        Kind::Tar => untar(file, archive, into, most)?,
        Kind::TarGz => untar(flate2::bufread::MultiGzDecoder::new(file), archive, into, most)?,
        Kind::TarBz2 => untar(bzip2::bufread::MultiBzDecoder::new(file), archive, into, most)?,
        Kind::TarXz => {
            let mut file = file;
            let plain = tempfile::tempfile_in(into).map_err(io)?;
            // Twice: what is extracted comes on top of it.
            let mut plain = Bounded { file: plain, left: most / 2 };
            lzma_rs::xz_decompress(&mut file, &mut plain).map_err(|error| match plain.left {
                0 => ArchiveError::TooLarge(archive.to_owned()),
                _ => io(io::Error::other(format!("{error:?}"))),
            })?;
            io::Seek::rewind(&mut plain.file).map_err(io)?;
            untar(plain.file, archive, into, most / 2)?;
        }
        Kind::Zip => unzip(file, archive, into, most)?,
        Kind::Gz => {
            let target = into.join(name.strip_suffix(".gz").unwrap_or(&name));
            let plain = flate2::bufread::MultiGzDecoder::new(file);
            let copied = copy_new(plain, &target, most).map_err(io)?;
            if copied == most {
                return Err(ArchiveError::TooLarge(archive.to_owned()));
            }
        }
    }
    Ok(true)
}

/// A file that takes so many bytes and no more.
struct Bounded {
    file: File,
    left: u64,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            self.left = 0;
            return Err(io::Error::other("too large when extracted"));
        }
        let written = self.file.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Copies at most so many bytes into a new file; how many it were.
fn copy_new(from: impl Read, to: &Path, most: u64) -> io::Result<u64> {
    io::copy(&mut from.take(most), &mut File::create(to)?)
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

fn untar(from: impl Read, archive: &Path, into: &Path, most: u64) -> Result<(), ArchiveError> {
    let io = |source| ArchiveError::Io { archive: archive.to_owned(), source };
    let escape = |entry: &Path| ArchiveError::Escape {
        archive: archive.to_owned(),
        entry: entry.to_owned(),
    };
    let too_large = || ArchiveError::TooLarge(archive.to_owned());
    let mut left = most;
    // Headers and padding come on top of what is extracted.
    let mut tar = tar::Archive::new(from.take(most.saturating_mul(2)));
    tar.set_preserve_permissions(true);
    tar.set_overwrite(true);
    for (number, entry) in tar.entries().map_err(io)?.enumerate() {
        let mut entry = entry.map_err(io)?;
        left = left.checked_sub(entry.size()).ok_or_else(too_large)?;
        if number == MAX_ENTRIES {
            return Err(too_large());
        }
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

fn unzip(
    from: impl Read + io::Seek,
    archive: &Path,
    into: &Path,
    most: u64,
) -> Result<(), ArchiveError> {
    let mut left = most;
    let io = |source| ArchiveError::Io { archive: archive.to_owned(), source };
    let mut zip = zip::ZipArchive::new(from).map_err(|error| io(io::Error::other(error)))?;
    if zip.len() > MAX_ENTRIES {
        return Err(ArchiveError::TooLarge(archive.to_owned()));
    }
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
        left -= copy_new(entry, &target, left).map_err(io)?;
        if left == 0 {
            return Err(ArchiveError::TooLarge(archive.to_owned()));
        }
        if let Some(mode) = mode {
            use std::os::unix::fs::PermissionsExt;
            let bits = fs::Permissions::from_mode(mode & 0o777);
            fs::set_permissions(&target, bits).map_err(io)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
