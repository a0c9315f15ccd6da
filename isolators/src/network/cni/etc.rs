//! What a container sees of its network in `/etc`.

use std::path::{Path, PathBuf};

use protos::mesos::slave::ContainerMountInfo;

use crate::launch::{self, LaunchInfo};
use crate::setup::ContainerSetup;
use crate::volume::target::text;

/// Files of `/etc` that tell a container of its network.
pub(super) const FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// A root of its own sees the host's files when it has the host's network.
pub(super) fn of_host(setup: &ContainerSetup) -> LaunchInfo {
    let mut info = LaunchInfo::default();
    if setup.rootfs.is_some() {
        for name in FILES {
            let file = Path::new("/etc").join(name);
            info.mounts.extend(shown(setup, name, &file));
        }
    }
    info
}

/// The mount that shows a file in the container's `/etc`. Without a root of its own, only files
/// that the host has can be covered.
pub(super) fn shown(setup: &ContainerSetup, name: &str, file: &Path) -> Option<ContainerMountInfo> {
    let root = setup.rootfs.clone().unwrap_or_else(|| PathBuf::from("/"));
    let target = root.join("etc").join(name);
    let is_there = file.exists() && (setup.rootfs.is_some() || target.exists());
    is_there.then(|| launch::bind(text(file), text(&target), false))
}
