//! Another root for a process in a mount namespace of its own.

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::apply::{HelperError, step};

/// Makes a directory the root; the old one cannot be reached any more.
pub(super) fn change(rootfs: &str) -> Result<(), HelperError> {
    let what = || format!("make {rootfs} the root");
    let none = None::<&str>;
    // Nothing that happens here may be seen outside.
    step(mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none), what)?;
    // The new root must be a mount.
    step(mount(Some(rootfs), rootfs, none, MsFlags::MS_BIND | MsFlags::MS_REC, none), what)?;
    step(std::env::set_current_dir(rootfs), what)?;
    // Both at one place: the old root lies on top of the new one until it is taken away.
    step(nix::unistd::pivot_root(".", "."), what)?;
    step(umount2(".", MntFlags::MNT_DETACH), what)?;
    step(std::env::set_current_dir("/"), what)
}
