//! `linux/devices`: containers with a root of their own find the allowed devices in it.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};
use protos::ids::ContainerId;
use protos::mesos::DeviceAccess;

use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::{self, ContainerSetup};
use crate::volume::target::text;

/// The isolator.
#[derive(Debug)]
pub struct Devices {
    runtime_dir: PathBuf,
    allowed: Vec<DeviceAccess>,
}

impl Devices {
    /// As the flags say.
    ///
    /// # Errors
    /// When an allowed device has no absolute path.
    pub fn new(options: &Options) -> Result<Self, String> {
        let allowed = options.allowed_devices.clone().unwrap_or_default().allowed_devices;
        let is_bad = |entry: &&DeviceAccess| !entry.device.path().starts_with('/');
        if let Some(entry) = allowed.iter().find(is_bad) {
            return Err(format!("device path '{}' is not absolute", entry.device.path()));
        }
        Ok(Self { runtime_dir: options.runtime_dir.clone(), allowed })
    }

    fn directory(&self, id: &ContainerId) -> PathBuf {
        self.runtime_dir.join("containers").join(id.as_str()).join("devices")
    }

    /// Makes the node of a device, with the access that is given.
    fn make(&self, id: &ContainerId, entry: &DeviceAccess) -> Result<(PathBuf, String), String> {
        let device = Path::new(entry.device.path());
        let told = |error: std::io::Error| format!("device '{}': {error}", device.display());
        let found = device.metadata().map_err(told)?;
        let kind = if found.file_type().is_block_device() {
            SFlag::S_IFBLK
        } else if found.file_type().is_char_device() {
            SFlag::S_IFCHR
        } else {
            return Err(format!("'{}' is no device", device.display()));
        };
        let relative = device.strip_prefix("/").unwrap_or(device);
        let node = self.directory(id).join(relative);
        if let Some(parent) = node.parent() {
            std::fs::create_dir_all(parent).map_err(told)?;
        }
        mknod(&node, kind, Mode::empty(), found.rdev()).map_err(|errno| told(errno.into()))?;
        let mut mode = 0;
        mode |= if entry.access.read() { 0o444 } else { 0 };
        mode |= if entry.access.write() { 0o222 } else { 0 };
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&node, permissions).map_err(told)?;
        Ok((node, text(relative)))
    }
}

impl Preparer for Devices {
    const NAME: &'static str = "linux/devices";

    fn launch(&self, id: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let mut info = LaunchInfo::default();
        // Without a root of its own a container sees the host's device files; nested containers get
        // theirs from their parent.
        let Some(root) = &setup.rootfs else { return Ok(info) };
        if setup::parent(id).is_some() || setup.is_debug {
            return Ok(info);
        }
        for entry in &self.allowed {
            let (node, relative) = self.make(id, entry)?;
            let target = text(&root.join(relative));
            // After the mounts: one of them brings an empty `/dev`.
            let mount = launch::bind(text(&node), target, false);
            info.file_operations.push(launch::mount_later(mount));
        }
        if !info.file_operations.is_empty() {
            info.clone_namespaces.push(launch::CLONE_NEWNS);
        }
        Ok(info)
    }

    fn cleanup(&self, id: &ContainerId) -> Result<(), String> {
        let directory = self.directory(id);
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("cannot remove '{}': {error}", directory.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::{Device, DeviceWhitelist, device_access::Access};

    use super::*;

    fn options(runtime_dir: &Path, device: &str) -> Options {
        let entry = DeviceAccess {
            device: Device { path: Some(device.to_owned()), number: None },
            access: Access { read: Some(true), ..Access::default() },
        };
        let allowed_devices = Some(DeviceWhitelist { allowed_devices: vec![entry] });
        Options { allowed_devices, runtime_dir: runtime_dir.to_owned(), ..Options::default() }
    }

    #[test]
    fn devices_are_made_for_containers_with_a_root_and_removed() {
        let runtime_dir = tempfile::tempdir().unwrap();
        let isolator = Devices::new(&options(runtime_dir.path(), "/dev/null")).unwrap();
        let id = ContainerId::new("c");
        let none = isolator.launch(&id, &ContainerSetup::default()).unwrap();
        assert_eq!(none, LaunchInfo::default());
        let setup = ContainerSetup { rootfs: Some("/root".into()), ..ContainerSetup::default() };
        let info = isolator.launch(&id, &setup).unwrap();
        let node = runtime_dir.path().join("containers/c/devices/dev/null");
        assert!(node.metadata().unwrap().file_type().is_char_device());
        let bound = launch::bind(text(&node), "/root/dev/null", false);
        assert_eq!(info.file_operations, [launch::mount_later(bound)]);
        isolator.cleanup(&id).unwrap();
        assert!(!node.exists());
    }

    #[test]
    fn devices_that_are_none_are_refused() {
        let runtime_dir = tempfile::tempdir().unwrap();
        assert!(Devices::new(&options(runtime_dir.path(), "null")).is_err());
        let isolator = Devices::new(&options(runtime_dir.path(), "/proc/version")).unwrap();
        let setup = ContainerSetup { rootfs: Some("/root".into()), ..ContainerSetup::default() };
        assert!(isolator.launch(&ContainerId::new("c"), &setup).is_err());
    }
}
