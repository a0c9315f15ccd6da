//! `linux/devices`: containers with a root of their own find the allowed devices in it.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, mknod};
use protos::ids::ContainerId;
use protos::mesos::DeviceAccess;

use crate::filesystem::mounts;
use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::{self, ContainerSetup};
use crate::volume::target::text;

/// The isolator. Device files are kept in a file system of their own: that of the runtime directory
/// may have devices disabled, which mounts of its files inherit. Only root may enter it, as access to
/// a file is the container's and no other user's of the host.
#[derive(Debug)]
pub struct Devices {
    store: PathBuf,
    allowed: Vec<DeviceAccess>,
}

impl Devices {
    /// As the flags say.
    ///
    /// # Errors
    /// When an allowed device has no absolute path, or there can be no file system for them.
    pub fn new(options: &Options) -> Result<Self, String> {
        let allowed = options.allowed_devices.clone().unwrap_or_default().allowed_devices;
        let is_bad = |entry: &&DeviceAccess| !entry.device.path().starts_with('/');
        if let Some(entry) = allowed.iter().find(is_bad) {
            return Err(format!("device path '{}' is not absolute", entry.device.path()));
        }
        let mut store = options.runtime_dir.join("devices");
        if !allowed.is_empty() {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
            store = mounts::memory(&store, flags, "mode=0700,size=1m")
                .map_err(|error| format!("cannot prepare '{}': {error}", store.display()))?;
        }
        Ok(Self { store, allowed })
    }

    fn directory(&self, id: &ContainerId) -> PathBuf {
        self.store.join(id.as_str())
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

    fn recovered(&self, known: &BTreeSet<ContainerId>) {
        for entry in std::fs::read_dir(&self.store).into_iter().flatten().flatten() {
            let id = ContainerId::new(entry.file_name().to_string_lossy().into_owned());
            if !known.contains(&id) {
                // What cannot be removed now is tried again by the next slave.
                let _ = self.cleanup(&id);
            }
        }
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

    /// A runtime directory on a file system without devices, whose mounts do not outlive the test.
    struct Runtime(tempfile::TempDir);

    impl Runtime {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let flags = MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mounts::memory(directory.path(), flags, "mode=0755").unwrap();
            Self(directory)
        }

        fn real(&self) -> PathBuf {
            self.0.path().canonicalize().unwrap()
        }
    }

    impl Drop for Runtime {
        fn drop(&mut self) {
            for point in mounts::below(&self.real()).unwrap() {
                let _ = mounts::detach(&point);
            }
        }
    }

    fn with_root() -> ContainerSetup {
        ContainerSetup { rootfs: Some("/root".into()), ..ContainerSetup::default() }
    }

    #[test]
    fn devices_are_made_for_containers_with_a_root_and_removed() {
        let runtime = Runtime::new();
        let isolator = Devices::new(&options(&runtime.real(), "/dev/zero")).unwrap();
        let id = ContainerId::new("c");
        let none = isolator.launch(&id, &ContainerSetup::default()).unwrap();
        assert_eq!(none, LaunchInfo::default());
        let info = isolator.launch(&id, &with_root()).unwrap();
        let node = runtime.real().join("devices/c/dev/zero");
        assert!(node.metadata().unwrap().file_type().is_char_device());
        // It works, whatever the runtime directory is on; and it is nobody else's.
        std::fs::File::open(&node).unwrap();
        let store = runtime.real().join("devices").metadata().unwrap();
        assert_eq!(store.permissions().mode() & 0o777, 0o700);
        let bound = launch::bind(text(&node), "/root/dev/zero", false);
        assert_eq!(info.file_operations, [launch::mount_later(bound)]);
        isolator.cleanup(&id).unwrap();
        assert!(!node.exists());
    }

    #[test]
    fn devices_of_running_containers_are_kept_by_a_later_slave() {
        let runtime = Runtime::new();
        let link = runtime.real().join("link");
        std::os::unix::fs::symlink(runtime.real(), &link).unwrap();
        let (known, orphan) = (ContainerId::new("known"), ContainerId::new("orphan"));
        let isolator = Devices::new(&options(&link, "/dev/zero")).unwrap();
        isolator.launch(&known, &with_root()).unwrap();
        isolator.launch(&orphan, &with_root()).unwrap();
        let later = Devices::new(&options(&link, "/dev/zero")).unwrap();
        assert_eq!(mounts::below(&runtime.real().join("devices")).unwrap().len(), 1);
        later.recovered(&BTreeSet::from([known.clone()]));
        assert!(later.directory(&known).join("dev/zero").exists());
        assert!(!later.directory(&orphan).exists());
    }

    #[test]
    fn devices_that_are_none_are_refused() {
        let runtime = Runtime::new();
        assert!(Devices::new(&options(&runtime.real(), "null")).is_err());
        let isolator = Devices::new(&options(&runtime.real(), "/proc/version")).unwrap();
        assert!(isolator.launch(&ContainerId::new("c"), &with_root()).is_err());
    }
}
