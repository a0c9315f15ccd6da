//! Mounts, and what else is made among a container's files.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::{fs, io};

use isolators::filesystem::mounts::make_read_only;
use nix::fcntl::renameat;
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::symlinkat;
use protos::mesos::slave::container_file_operation::Parameters;
use protos::mesos::slave::{ContainerFileOperation, ContainerMountInfo};

use super::apply::{HelperError, step};
use super::within::{self, Kind, Root};

/// A path as somebody tells it: below a container's root, or among the host's files.
fn resolve<'a>(target: &'a Path, rootfs: Option<&str>) -> Result<(Root, &'a Path), HelperError> {
    let below = rootfs.and_then(|root| Some((root, target.strip_prefix(root).ok()?)));
    let (root, inside) = below.unwrap_or(("/", target));
    Ok((step(Root::open(Path::new(root)), || format!("open {root}"))?, inside))
}

/// Mounts; a target that is missing is made.
pub(super) fn mount(info: &ContainerMountInfo, rootfs: Option<&str>) -> Result<(), HelperError> {
    let what = || match &info.source {
        Some(source) => format!("mount {source} at {}", info.target),
        None => format!("change the mount {}", info.target),
    };
    let (root, inside) = resolve(Path::new(&info.target), rootfs)?;
    let found = match &info.source {
        Some(source) => root.find_or_make(inside, kind(Path::new(source))),
        None => root.find(inside).map_err(io::Error::from),
    };
    let found = step(found, what)?;
    let target = within::path_of(&found);
    // The numbers are the kernel's own.
    let flags = MsFlags::from_bits_retain(u64::from(info.flags()));
    if info.source.is_none() && flags.contains(READ_ONLY) {
        return step(make_read_only(&target), what);
    }
    let (source, kind) = (info.source.as_deref(), info.r#type.as_deref());
    step(nix::mount::mount(source, &target, kind, flags, info.options.as_deref()), what)
}

/// The change of a mount that makes it read-only.
const READ_ONLY: MsFlags = MsFlags::MS_BIND.union(MsFlags::MS_REMOUNT).union(MsFlags::MS_RDONLY);

/// Devices and sockets are shown at files too; file systems of the kernel have plain names.
fn kind(source: &Path) -> Kind {
    let is_file = source.is_absolute() && source.exists() && !source.is_dir();
    if is_file { Kind::File } else { Kind::Directory }
}

/// Makes a directory or a link, moves something, or mounts.
pub(super) fn operate(
    operation: &ContainerFileOperation,
    rootfs: Option<&str>,
) -> Result<(), HelperError> {
    match &operation.parameters {
        None => Ok(()),
        Some(Parameters::Mount(info)) => mount(info, rootfs),
        Some(Parameters::Mkdir(info)) => {
            let (root, inside) = resolve(Path::new(info.target()), rootfs)?;
            let made = match info.recursive() {
                true => root.find_or_make(inside, Kind::Directory).map(drop),
                false => at(&root, inside, |parent, name| {
                    mkdirat(parent, name, Mode::from_bits_truncate(0o755))
                }),
            };
            step(made, || format!("make directory {}", info.target()))
        }
        Some(Parameters::Symlink(info)) => {
            let (root, inside) = resolve(Path::new(info.target()), rootfs)?;
            let made = at(&root, inside, |parent, name| symlinkat(info.source(), parent, name));
            step(made, || format!("link {} to {}", info.target(), info.source()))
        }
        Some(Parameters::Rename(info)) => {
            let (root, inside) = resolve(Path::new(info.target()), rootfs)?;
            let moved = at(&root, inside, |parent, name| {
                renameat(nix::fcntl::AT_FDCWD, info.source(), parent, name)
            });
            step(moved, || format!("move {} to {}", info.source(), info.target()))
        }
    }
}

/// Does something in the directory that a path is in.
fn at(
    root: &Root,
    inside: &Path,
    make: impl FnOnce(&OwnedFd, &OsStr) -> nix::Result<()>,
) -> io::Result<()> {
    let (parent, name) = root.parent(inside)?;
    Ok(make(&parent, name)?)
}

/// Hides a path: a directory shows empty, a file has no content. One that is missing is hidden.
pub(super) fn mask(path: &str) -> Result<(), HelperError> {
    let what = || format!("hide {path}");
    let none = None::<&str>;
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => step(Err(error), what),
        Ok(info) if info.is_dir() => {
            let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            step(nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some("size=0")), what)
        }
        Ok(_) => {
            step(nix::mount::mount(Some("/dev/null"), path, none, MsFlags::MS_BIND, none), what)
        }
    }
}

/// Mounts below a path come from the other namespace and do not go there.
pub(super) fn make_slave(path: &str) -> Result<(), HelperError> {
    let none = None::<&str>;
    let flags = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    step(nix::mount::mount(none, path, none, flags, none), || format!("change the mount {path}"))
}

/// Mounts that are made from now on are seen by nobody else.
pub(super) fn unshare() -> Result<(), HelperError> {
    let own = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS);
    step(own, || "have mounts of one's own".to_owned())
}
