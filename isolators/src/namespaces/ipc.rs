//! `namespaces/ipc`: shared memory, semaphores and queues of a container are its own.

use protos::ids::ContainerId;
use protos::mesos::linux_info::IpcMode;

use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::{self, ContainerSetup};
use crate::volume::target::text;

/// The isolator.
#[derive(Debug)]
pub struct IpcNamespace {
    default_shm_size: Option<u64>,
    disallow_sharing: bool,
}

impl IpcNamespace {
    /// As the flags say.
    pub fn new(options: &Options) -> Self {
        Self {
            default_shm_size: options.default_container_shm_size,
            disallow_sharing: options.disallow_sharing_agent_ipc_namespace,
        }
    }

    fn private(&self, setup: &ContainerSetup, megabytes: Option<u32>) -> LaunchInfo {
        let size = megabytes.map(|mb| u64::from(mb) << 20).or(self.default_shm_size);
        let options = size.map_or("mode=1777".to_owned(), |size| format!("mode=1777,size={size}"));
        let root = setup.rootfs.as_deref().map(text).unwrap_or_default();
        let flags = launch::MS_NOSUID | launch::MS_NODEV | launch::MS_STRICTATIME;
        let shm = launch::filesystem("tmpfs", format!("{root}/dev/shm"), flags, Some(options));
        LaunchInfo {
            clone_namespaces: vec![launch::CLONE_NEWIPC, launch::CLONE_NEWNS],
            // After the mounts: one of them may bring an empty `/dev`.
            file_operations: vec![launch::mount_later(shm)],
            ..LaunchInfo::default()
        }
    }
}

impl Preparer for IpcNamespace {
    const NAME: &'static str = "namespaces/ipc";

    fn launch(&self, id: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let linux = setup.linux_info();
        let mode = linux.map_or(IpcMode::Unknown, |linux| linux.ipc_mode());
        let size = linux.and_then(|linux| linux.shm_size);
        if setup.is_debug {
            return match (mode, size) {
                (IpcMode::Private, _) => Err("a debug container has no IPC of its own".to_owned()),
                (_, Some(_)) => Err("a debug container has no shared memory of its own".to_owned()),
                _ => Ok(LaunchInfo::default()),
            };
        }
        let is_nested = setup::parent(id).is_some();
        let shares = match mode {
            IpcMode::Private => false,
            IpcMode::ShareParent => true,
            // Those who say nothing share the host's, unless that is out of bounds.
            IpcMode::Unknown => is_nested || (size.is_none() && !self.disallow_sharing),
        };
        if !shares {
            return Ok(self.private(setup, size));
        }
        if size.is_some() {
            return Err("shared memory of a size needs IPC mode PRIVATE".to_owned());
        }
        if !is_nested && self.disallow_sharing {
            return Err("sharing the host's IPC is not allowed".to_owned());
        }
        Ok(LaunchInfo::default())
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::{ContainerInfo, LinuxInfo};

    use super::*;

    fn asks(mode: Option<IpcMode>, shm_size: Option<u32>) -> ContainerSetup {
        let linux =
            LinuxInfo { ipc_mode: mode.map(|mode| mode as i32), shm_size, ..LinuxInfo::default() };
        let info = ContainerInfo { linux_info: Some(linux), ..ContainerInfo::default() };
        ContainerSetup { container_info: Some(info), ..ContainerSetup::default() }
    }

    fn size(info: &LaunchInfo) -> Option<String> {
        use protos::mesos::slave::container_file_operation::Parameters;
        match info.file_operations.first()?.parameters.as_ref()? {
            Parameters::Mount(mount) => mount.options.clone(),
            _ => None,
        }
    }

    #[test]
    fn ipc_private_has_shared_memory_of_its_size() {
        let isolator = IpcNamespace { default_shm_size: Some(4096), disallow_sharing: false };
        let id = ContainerId::new("c");
        let info = isolator.launch(&id, &asks(Some(IpcMode::Private), Some(2))).unwrap();
        assert_eq!(size(&info).unwrap(), "mode=1777,size=2097152");
        assert!(info.clone_namespaces.contains(&launch::CLONE_NEWIPC));
        let info = isolator.launch(&id, &asks(Some(IpcMode::Private), None)).unwrap();
        assert_eq!(size(&info).unwrap(), "mode=1777,size=4096");
    }

    #[test]
    fn ipc_of_the_host_is_shared_only_where_allowed() {
        let (id, nested) = (ContainerId::new("c"), ContainerId::new("c.n"));
        let shares = asks(Some(IpcMode::ShareParent), None);
        let free = IpcNamespace { default_shm_size: None, disallow_sharing: false };
        assert_eq!(free.launch(&id, &shares).unwrap(), LaunchInfo::default());
        assert_eq!(free.launch(&id, &asks(None, None)).unwrap(), LaunchInfo::default());
        let strict = IpcNamespace { default_shm_size: None, disallow_sharing: true };
        assert!(strict.launch(&id, &shares).is_err());
        assert!(strict.launch(&nested, &shares).is_ok());
        assert!(!strict.launch(&id, &asks(None, None)).unwrap().clone_namespaces.is_empty());
        assert!(free.launch(&id, &asks(Some(IpcMode::ShareParent), Some(1))).is_err());
    }
}
