//! Extracts archives. Nothing ever lands outside the sandbox: entries with absolute paths or `..`
//! are refused, and so are links that lead out, devices and pipes.

mod xz;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::budget::Budget;

/// Most entries that one archive may have, however much room there is.
const MAX_ENTRIES: usize = 1_000_000;
/// Most bytes that are looked at behind the last entry.
const MAX_REST: u64 = 64 << 20;

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
    /// An entry is a device, a pipe, or something unknown.
    #[error("archive {archive} has an entry that is no file, directory or link: {entry}")]
    Kind {
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

/// Extracts `archive` into `into` when its name says that it is one, within the budget. False when its
/// name does not say so.
///
/// # Errors
/// [`ArchiveError`]; what was extracted before stays.
pub(super) fn extract(archive: &Path, into: &Path, budget: &Budget) -> Result<bool, ArchiveError> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(kind) = kind(&name) else { return Ok(false) };
    let io = |source| failed(archive, source);
    let file = io::BufReader::new(File::open(archive).map_err(io)?);
    match kind {
        Kind::Tar => untar(file, archive, into, budget)?,
        Kind::TarGz => untar(flate2::bufread::MultiGzDecoder::new(file), archive, into, budget)?,
        Kind::TarBz2 => untar(bzip2::bufread::MultiBzDecoder::new(file), archive, into, budget)?,
        Kind::TarXz => {
            let mut plain = xz::Plain::new(file);
            untar(&mut plain, archive, into, budget)?;
            // What comes after the last entry is nothing but sums that are to be checked.
            io::copy(&mut plain.take(MAX_REST), &mut io::sink()).map_err(io)?;
        }
        Kind::Zip => unzip(file, archive, into, budget)?,
        Kind::Gz => {
            let target = into.join(name.strip_suffix(".gz").unwrap_or(&name));
            let plain = flate2::bufread::MultiGzDecoder::new(file);
            copy_new(plain, &target, budget).map_err(io)?;
        }
    }
    Ok(true)
}

fn failed(archive: &Path, source: io::Error) -> ArchiveError {
    let archive = archive.to_owned();
    match source.kind() {
        io::ErrorKind::FileTooLarge => ArchiveError::TooLarge(archive),
        _ => ArchiveError::Io { archive, source },
    }
}

/// Copies into a new file.
fn copy_new(from: impl Read, to: &Path, budget: &Budget) -> io::Result<()> {
    budget.take_file(0)?;
    budget.copy(from, &mut File::create(to)?).map(drop)
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

fn untar(
    from: impl Read,
    archive: &Path,
    into: &Path,
    budget: &Budget,
) -> Result<(), ArchiveError> {
    let io = |source| failed(archive, source);
    let escape = |entry: &Path| ArchiveError::Escape {
        archive: archive.to_owned(),
        entry: entry.to_owned(),
    };
    // Headers and padding come on top of what is extracted.
    let mut tar = tar::Archive::new(from.take(budget.left().saturating_mul(2)));
    tar.set_preserve_permissions(true);
    tar.set_overwrite(true);
    for (number, entry) in tar.entries().map_err(io)?.enumerate() {
        let mut entry = entry.map_err(io)?;
        if number == MAX_ENTRIES {
            return Err(ArchiveError::TooLarge(archive.to_owned()));
        }
        let path = entry.path().map_err(io)?.into_owned();
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            // About all entries, such as the commit they are of: nothing to extract.
            continue;
        }
        // A sparse file counts as if it were none, as that is what it becomes.
        budget.take_file(entry.size()).map_err(io)?;
        let target = entry.link_name().map_err(io)?.map(std::borrow::Cow::into_owned);
        let link = kind.is_symlink() || kind.is_hard_link();
        let leads_out = match &target {
            Some(target) if kind.is_symlink() => !link_stays_inside(into, &path, target),
            Some(target) if link => !is_inside(target),
            _ => link,
        };
        if !is_inside(&path) || leads_out {
            return Err(escape(&path));
        }
        let file = kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse();
        if !(file || kind.is_dir() || link) {
            return Err(ArchiveError::Kind { archive: archive.to_owned(), entry: path });
        }
        // The library checks once more that no link of an earlier entry leads out.
        if !entry.unpack_in(into).map_err(io)? {
            return Err(escape(&path));
        }
    }
    // One that was cut off looks like one that ended.
    match tar.into_inner().limit() {
        0 => Err(ArchiveError::TooLarge(archive.to_owned())),
        _ => Ok(()),
    }
}

fn unzip(
    from: impl Read + io::Seek,
    archive: &Path,
    into: &Path,
    budget: &Budget,
) -> Result<(), ArchiveError> {
    let io = |source| failed(archive, source);
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
            budget.take_file(0).map_err(io)?;
            fs::create_dir_all(&target).map_err(io)?;
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        let mode = entry.unix_mode();
        copy_new(entry, &target, budget).map_err(io)?;
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
