//! Mounts of the slave's own namespace.

use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use procfs::process::{MountInfo, MountOptFields, Process};

/// All mounts, in the order in which they were made.
fn table() -> io::Result<Vec<MountInfo>> {
    let table = Process::myself().and_then(|process| process.mountinfo());
    table.map(|table| table.into_iter().collect()).map_err(io::Error::other)
}

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
    let none: Option<&Path> = None;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let shown = mount(none, stage, none, flags, none)
        .map_err(io::Error::from)
        .and_then(|()| bind(stage, target));
    detach(stage)?;
    shown
}

/// Makes a directory a mount of its own whose later mounts are seen in namespaces that were copied
/// from this one, and do not reach the one that this one was copied from.
///
/// # Errors
/// When the kernel refuses.
pub fn share(directory: &Path) -> io::Result<()> {
    let real = directory.canonicalize()?;
    let table = table()?;
    let present = table.iter().rfind(|mount| mount.mount_point == real);
    let is_shared = |mount: &MountInfo| {
        mount.opt_fields.iter().any(|field| matches!(field, MountOptFields::Shared(_)))
    };
    let none: Option<&Path> = None;
    match present {
        Some(mount) if is_shared(mount) => return Ok(()),
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
    let points = table()?.into_iter().map(|mount| mount.mount_point);
    let mut points: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    points.reverse();
    Ok(points)
}

/// Takes a mount away, for new users at once, for present ones when they are done.
///
/// # Errors
/// When the kernel refuses.
pub fn detach(target: &Path) -> io::Result<()> {
    Ok(umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?)
}
