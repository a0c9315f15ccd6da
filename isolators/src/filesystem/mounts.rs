//! Mounts of the slave's own namespace.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::beneath::{Beneath, BeneathError, failed, shown};
use super::table::{self, Mount};

/// Shows a directory in another place.
///
/// # Errors
/// When the kernel refuses.
pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    let none: Option<&Path> = None;
    Ok(mount(Some(source), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?)
}

/// Shows a directory in another place, where it cannot be written to. Other namespaces get a copy of
/// a mount as it is when it is made, so it is made read-only elsewhere (`stage`, which is made if
/// need be) and shown from there.
///
/// # Errors
/// When the kernel refuses.
pub fn bind_read_only(source: &Path, target: &Path, stage: &Path) -> io::Result<()> {
    std::fs::create_dir_all(stage)?;
    bind(source, stage)?;
    let shown = make_read_only(stage).and_then(|()| bind(stage, target));
    detach(stage)?;
    shown
}

/// Makes a mount and all that is mounted below it read-only, and leaves what else is said of them
/// (such as that there are no devices) as it is. A remount reaches the uppermost one alone.
///
/// # Errors
/// When the kernel refuses, or is older than 5.12.
#[allow(unsafe_code, reason = "there is no safe wrapper of mount_setattr(2)")]
pub fn make_read_only(target: &Path) -> io::Result<()> {
    let path = CString::new(target.as_os_str().as_bytes())?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the kernel reads the path and the attributes, whose size it is told; both outlive the
    // call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(told(io::Error::last_os_error())),
    }
}

/// Says what an old kernel lacks.
fn told(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => io::Error::new(
            io::ErrorKind::Unsupported,
            "read-only volumes need a kernel that has mount_setattr (Linux 5.12)",
        ),
        _ => error,
    }
}

/// A file system in memory at a directory, which is made; one that an earlier slave mounted there is
/// kept with what is in it. Answers where it is without links, as the kernel's table has it.
///
/// # Errors
/// When the kernel refuses.
pub fn memory(directory: &Path, flags: MsFlags, options: &str) -> io::Result<PathBuf> {
    std::fs::create_dir_all(directory)?;
    let real = directory.canonicalize()?;
    let table = table::read()?;
    let present = table.iter().rfind(|mount| mount.point == real);
    if present.is_none_or(|mount| mount.kind != "tmpfs") {
        mount(Some("tmpfs"), &real, Some("tmpfs"), flags, Some(options))?;
    }
    Ok(real)
}

/// Makes a directory a mount of its own whose later mounts are seen in namespaces that were copied
/// from this one, and do not reach the one that this one was copied from.
///
/// # Errors
/// When the kernel refuses.
pub fn share(directory: &Path) -> io::Result<()> {
    let real = directory.canonicalize()?;
    let table = table::read()?;
    let present = table.iter().rfind(|mount| mount.point == real);
    let none: Option<&Path> = None;
    match present {
        Some(mount) if mount.is_shared => return Ok(()),
        Some(_) => {}
        None => mount(Some(&real), &real, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?,
    }
    mount(none, &real, none, MsFlags::MS_SLAVE, none)?;
    mount(none, &real, none, MsFlags::MS_SHARED, none)?;
    Ok(())
}

/// Mounts at and below a directory, the last one first.
///
/// # Errors
/// When the kernel does not tell.
pub fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let points = table::read()?.into_iter().map(|mount| mount.point);
    let mut points: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    points.reverse();
    Ok(points)
}

/// Takes a mount away, for new users at once, for present ones when they are done. Only for paths
/// that no container can change.
///
/// # Errors
/// When the kernel refuses.
pub fn detach(target: &Path) -> io::Result<()> {
    Ok(umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?)
}

/// Mounts below a directory whose users are not trusted.
///
/// # Errors
/// [`BeneathError`] when the kernel does not tell.
pub fn within(directory: &Beneath) -> Result<Vec<Mount>, BeneathError> {
    let real = directory.real()?;
    let table = table::read().map_err(failed("read the mounts below", &real))?;
    let is_within = |mount: &Mount| mount.point.starts_with(&real) && mount.point != real;
    Ok(table.into_iter().filter(is_within).collect())
}

/// Those of some mounts that are on none of the others.
pub fn uppermost(mounts: &[Mount]) -> Vec<&Mount> {
    let ids: BTreeSet<u64> = mounts.iter().map(|mount| mount.id).collect();
    mounts.iter().filter(|mount| !ids.contains(&mount.parent)).collect()
}

/// Takes a mount below a directory away, and all that is mounted on it, wherever the directory's
/// users have moved it meanwhile. One that is gone is no error.
///
/// # Errors
/// [`BeneathError`] when the kernel refuses, or it is just being moved.
pub fn take_away(directory: &Beneath, id: u64) -> Result<(), BeneathError> {
    loop {
        let present = within(directory)?;
        let Some(mut last) = present.iter().find(|mount| mount.id == id) else { return Ok(()) };
        // What is on it must go first: it may hide it.
        while let Some(upon) = present.iter().rfind(|mount| mount.parent == last.id) {
            last = upon;
        }
        unmount(directory, last)?;
    }
}

fn unmount(directory: &Beneath, mount: &Mount) -> Result<(), BeneathError> {
    let real = directory.real()?;
    let inner = mount.point.strip_prefix(&real).unwrap_or(Path::new(""));
    let place = directory.find(inner)?;
    let failed = || failed("unmount", &mount.point);
    if id(&place).map_err(failed())? != mount.id {
        return Err(failed()(io::Error::other("another mount is there by now")));
    }
    // The descriptor is the mount's own, so that there is nothing left to follow.
    let unmounted = umount2(&shown(&place), MntFlags::MNT_DETACH);
    unmounted.map_err(|errno| failed()(errno.into()))
}

/// The number of the mount in which something is.
///
/// # Errors
/// When the kernel does not tell.
pub fn id(opened: &OwnedFd) -> io::Result<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", opened.as_raw_fd()))?;
    let number = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let number = number.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| io::Error::other("the kernel does not tell the mount"))
}

#[cfg(test)]
mod tests;
