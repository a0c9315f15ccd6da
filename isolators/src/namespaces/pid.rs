//! `namespaces/pid`: a container sees and signals no processes but its own.

use protos::ids::ContainerId;

use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::{self, ContainerSetup};

/// The isolator.
#[derive(Debug)]
pub struct PidNamespace {
    disallow_sharing: bool,
}

impl PidNamespace {
    /// As the flags say.
    pub fn new(options: &Options) -> Self {
        Self { disallow_sharing: options.disallow_sharing_agent_pid_namespace }
    }
}

impl Preparer for PidNamespace {
    const NAME: &'static str = "namespaces/pid";

    fn launch(&self, id: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        if setup.is_debug {
            return Ok(LaunchInfo::default());
        }
        let shares = setup.linux_info().is_some_and(|linux| linux.share_pid_namespace());
        let is_nested = setup::parent(id).is_some();
        if shares && !is_nested && self.disallow_sharing {
            return Err("sharing the host's process ids is not allowed".to_owned());
        }
        if shares {
            return Ok(LaunchInfo::default());
        }
        let mut info = LaunchInfo {
            clone_namespaces: vec![launch::CLONE_NEWPID, launch::CLONE_NEWNS],
            ..LaunchInfo::default()
        };
        // A root of its own gets its `/proc` with the rest of it; the executor of a command task stays
        // outside of that, and signals processes by the numbers that they have here.
        if setup.rootfs.is_none() || setup.is_command_task {
            let flags = launch::MS_NOSUID | launch::MS_NODEV | launch::MS_NOEXEC;
            info.mounts.push(launch::propagation("/proc", launch::MS_SLAVE | launch::MS_REC));
            info.mounts.push(launch::filesystem("proc", "/proc", flags, None));
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::{ContainerInfo, LinuxInfo};

    use super::*;

    fn asks(shares: bool) -> ContainerSetup {
        let linux = LinuxInfo { share_pid_namespace: Some(shares), ..LinuxInfo::default() };
        let info = ContainerInfo { linux_info: Some(linux), ..ContainerInfo::default() };
        ContainerSetup { container_info: Some(info), ..ContainerSetup::default() }
    }

    #[test]
    fn pid_namespace_is_private_unless_shared() {
        let isolator = PidNamespace { disallow_sharing: false };
        let id = ContainerId::new("c");
        let info = isolator.launch(&id, &ContainerSetup::default()).unwrap();
        assert_eq!(info.clone_namespaces, [launch::CLONE_NEWPID, launch::CLONE_NEWNS]);
        assert_eq!(info.mounts[1].r#type(), "proc");
        assert_eq!(isolator.launch(&id, &asks(true)).unwrap(), LaunchInfo::default());
        let with_root = ContainerSetup { rootfs: Some("/r".into()), ..asks(false) };
        assert!(isolator.launch(&id, &with_root).unwrap().mounts.is_empty());
        let outside = ContainerSetup { is_command_task: true, ..with_root };
        assert_eq!(isolator.launch(&id, &outside).unwrap().mounts, info.mounts);
    }

    #[test]
    fn pid_namespace_of_the_host_may_be_out_of_bounds() {
        let isolator = PidNamespace { disallow_sharing: true };
        assert!(isolator.launch(&ContainerId::new("c"), &asks(true)).is_err());
        assert!(isolator.launch(&ContainerId::new("c.n"), &asks(true)).is_ok());
    }
}
