//! Directories that nobody else can lead astray, and what lies in them.
//!
//! A slave that runs as root makes directories at places that everybody can write to, such as the
//! host's directory for temporary files. Who comes first there could leave a link, or a directory of
//! his own, and have root write, read and change owners where he likes.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Component, Path, PathBuf};

use nix::unistd::{getegid, geteuid};

/// Of directories on the way: all may pass, only the owner may look and write.
const PASSAGE: u32 = 0o711;
const STICKY: u32 = 0o1000;
/// Most links on one way, as of the kernel.
const MAX_LINKS: usize = 40;
/// Somebody who makes and removes an entry all the time does not keep us for ever.
const MAX_TRIES: usize = 10;

/// A directory cannot be made, or others could lead it astray.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep files in {directory}: {reason}")]
pub struct NotOursError {
    /// What was asked for.
    pub directory: PathBuf,
    /// Why not.
    pub reason: String,
}

/// Makes a directory with that mode if need be, at the end of a way that no other user can change.
/// Answers its real path.
///
/// # Errors
/// When it belongs to somebody else, or somebody else could put another one in its place.
pub(crate) fn make(directory: &Path, mode: u32) -> Result<PathBuf, NotOursError> {
    let made = walk(directory).and_then(|real| settle(&real, mode, None).map(|()| real));
    made.map_err(|reason| NotOursError { directory: directory.to_owned(), reason })
}

/// Makes a directory with that mode if need be, for us or for `owner`. The way to it is not looked
/// at: nobody else may write to the directory that it lies in.
///
/// # Errors
/// When it cannot be made, belongs to somebody else, or is a link.
pub(crate) fn make_last(
    directory: &Path,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), NotOursError> {
    settle(directory, mode, owner)
        .map_err(|reason| NotOursError { directory: directory.to_owned(), reason })
}

fn settle(here: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<(), String> {
    let info = find_or_make(here)?;
    is_directory(here, &info)?;
    let known = info.uid() == geteuid().as_raw() || owner.is_some_and(|(uid, _)| uid == info.uid());
    if !known {
        return Err(format!("{} belongs to user {}", here.display(), info.uid()));
    }
    let failed = |error: io::Error| format!("{}: {error}", here.display());
    if info.mode() & 0o7777 != mode {
        fs::set_permissions(here, Permissions::from_mode(mode)).map_err(failed)?;
    }
    match owner.filter(|owner| *owner != (info.uid(), info.gid())) {
        Some((uid, gid)) => lchown(here, Some(uid), Some(gid)).map_err(failed),
        None => Ok(()),
    }
}

/// Follows the way to a directory, and makes what is missing: the real path. Nothing on it can be
/// changed by others afterwards, so that it need not be looked at again.
fn walk(directory: &Path) -> Result<PathBuf, String> {
    let absolute = std::path::absolute(directory).map_err(|error| error.to_string())?;
    let mut real = PathBuf::from("/");
    let mut ahead: VecDeque<OsString> = parts(&absolute).collect();
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            real.pop();
            continue;
        }
        let here = real.join(part);
        let info = find_or_make(&here)?;
        if ![0, geteuid().as_raw()].contains(&info.uid()) {
            let told = format!("{} belongs to user {}", here.display(), info.uid());
            return Err(format!("{told}, who could lead it elsewhere"));
        }
        if info.is_symlink() {
            links += 1;
            // Even a link of root's may have been put there by somebody else, as a second name.
            if links > MAX_LINKS || is_crowded(&look(&real)?) {
                return Err(format!("{} is a link that leads elsewhere", here.display()));
            }
            let target = fs::read_link(&here).map_err(|error| error.to_string())?;
            if target.is_absolute() {
                real = PathBuf::from("/");
            }
            parts(&target).rev().for_each(|part| ahead.push_front(part));
            continue;
        }
        is_directory(&here, &info)?;
        if is_crowded(&info) && info.mode() & STICKY == 0 {
            return Err(format!("others may write to {}", here.display()));
        }
        real = here;
    }
    Ok(real)
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

/// True when users other than root and us may write there.
fn is_crowded(info: &Metadata) -> bool {
    let group_is_ours = [0, getegid().as_raw()].contains(&info.gid());
    info.mode() & 0o002 != 0 || info.mode() & 0o020 != 0 && !group_is_ours
}

fn is_directory(here: &Path, info: &Metadata) -> Result<(), String> {
    match (info.is_dir(), info.is_symlink()) {
        (true, _) => Ok(()),
        (_, true) => Err(format!("{} is a link", here.display())),
        _ => Err(format!("{} is no directory", here.display())),
    }
}

fn look(here: &Path) -> Result<Metadata, String> {
    here.symlink_metadata().map_err(|error| format!("{}: {error}", here.display()))
}

/// What lies there; a directory of ours if nothing did.
fn find_or_make(here: &Path) -> Result<Metadata, String> {
    let failed = |error: io::Error| format!("cannot make {}: {error}", here.display());
    for _ in 0..MAX_TRIES {
        match here.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found.map_err(|error| format!("{}: {error}", here.display())),
        }
        match DirBuilder::new().mode(PASSAGE).create(here) {
            // Whatever the mask of this process takes away.
            Ok(()) => fs::set_permissions(here, Permissions::from_mode(PASSAGE)).map_err(failed)?,
            // What somebody else made meanwhile is looked at like anything else.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(format!("{} comes and goes", here.display()))
}

#[cfg(test)]
mod tests;
