//! Mounts, and what else is made among a container's files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::MsFlags;
use protos::mesos::slave::container_file_operation::Parameters;
use protos::mesos::slave::{ContainerFileOperation, ContainerMountInfo};

use super::apply::{HelperError, step};

/// Mounts; a target that is missing is made.
pub(super) fn mount(info: &ContainerMountInfo, rootfs: Option<&str>) -> Result<(), HelperError> {
    let what = || match &info.source {
        Some(source) => format!("mount {source} at {}", info.target),
        None => format!("change the mount {}", info.target),
    };
    let target = Path::new(&info.target);
    if info.source.is_some() && !target.exists() {
        inside(target, rootfs)?;
        step(make(target, info.source.as_deref()), what)?;
    }
    // The numbers are the kernel's own.
    let flags = MsFlags::from_bits_retain(u64::from(info.flags()));
    let done = nix::mount::mount(
        info.source.as_deref(),
        target,
        info.r#type.as_deref(),
        flags,
        info.options.as_deref(),
    );
    step(done, what)
}

/// What is made belongs below the root, if there is one: an image's links must not lead out of it.
fn inside(target: &Path, rootfs: Option<&str>) -> Result<(), HelperError> {
    let Some(rootfs) = rootfs else { return Ok(()) };
    let existing = target.ancestors().find(|path| path.exists()).unwrap_or(target);
    let what = || format!("make {}", target.display());
    let (real, root) =
        (step(existing.canonicalize(), what)?, step(Path::new(rootfs).canonicalize(), what)?);
    let out = || Err(std::io::Error::other("it leads out of the container's root"));
    if !target.starts_with(rootfs) || real.starts_with(root) { Ok(()) } else { step(out(), what) }
}

fn make(target: &Path, source: Option<&str>) -> std::io::Result<()> {
    // Devices and sockets are shown at files too; file systems of the kernel have plain names.
    let is_file = |source: &Path| source.is_absolute() && source.exists() && !source.is_dir();
    if source.is_some_and(|source| is_file(Path::new(source))) {
        fs::create_dir_all(target.parent().unwrap_or(Path::new("/")))?;
        return fs::File::create(target).map(drop);
    }
    fs::create_dir_all(target)
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
            let target = Path::new(info.target());
            inside(target, rootfs)?;
            let made = match info.recursive() {
                true => fs::create_dir_all(target),
                false => fs::create_dir(target),
            };
            step(made, || format!("make directory {}", target.display()))
        }
        Some(Parameters::Symlink(info)) => {
            inside(Path::new(info.target()), rootfs)?;
            let made = symlink(info.source(), info.target());
            step(made, || format!("link {} to {}", info.target(), info.source()))
        }
        Some(Parameters::Rename(info)) => {
            inside(Path::new(info.target()), rootfs)?;
            let moved = fs::rename(info.source(), info.target());
            step(moved, || format!("move {} to {}", info.source(), info.target()))
        }
    }
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
