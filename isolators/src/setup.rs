//! What isolators are told of a container.

use std::path::PathBuf;

use protos::ids::ContainerId;
use protos::mesos;
use protos::resources::Resources;

/// Upper limits of a container, where they differ from its resources.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// CPUs; infinity for none; None when no task set a limit.
    pub cpus: Option<f64>,
    /// Memory in MB; infinity for none; None when no task set a limit.
    pub mem: Option<f64>,
}

/// What a container may use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allocation {
    /// What it is guaranteed: the executor's resources and those of its tasks.
    pub resources: Resources,
    /// How far it may go.
    pub limits: Limits,
}

impl From<Resources> for Allocation {
    fn from(resources: Resources) -> Self {
        Self { resources, limits: Limits::default() }
    }
}

/// A container that is going to be started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerSetup {
    /// What it may use at first.
    pub allocation: Allocation,
    /// The sandbox, on the host. Exists already.
    pub directory: PathBuf,
    /// The root of its image, on the host; None when it sees the host's files.
    pub rootfs: Option<PathBuf>,
    /// Numeric user and group it runs as; None keeps the slave's.
    pub user: Option<(u32, u32)>,
    /// What it asks for: the task's for command tasks, else the executor's.
    pub container_info: Option<mesos::ContainerInfo>,
    /// Its command, for the environment that it asks for.
    pub command: mesos::CommandInfo,
    /// The command of the task, for command tasks.
    pub task_command: Option<mesos::CommandInfo>,
    /// How its image wants to be run, if it has one.
    pub image: Option<protos::docker::spec::v1::image_manifest::Config>,
    /// True when it was made for a command task.
    pub is_command_task: bool,
    /// True for a session that joins a running container: most isolators leave it alone.
    pub is_debug: bool,
}

impl From<Allocation> for ContainerSetup {
    fn from(allocation: Allocation) -> Self {
        Self { allocation, ..Self::default() }
    }
}

impl From<Resources> for ContainerSetup {
    fn from(resources: Resources) -> Self {
        Allocation::from(resources).into()
    }
}

impl ContainerSetup {
    /// What it asks of Linux.
    pub fn linux_info(&self) -> Option<&mesos::LinuxInfo> {
        self.container_info.as_ref()?.linux_info.as_ref()
    }

    /// The volumes that it asks for.
    pub fn volumes(&self) -> &[mesos::Volume] {
        self.container_info.as_ref().map_or(&[], |info| &info.volumes)
    }

    /// Persistent volumes among its resources, with the volume that each is to become.
    pub fn persistent_volumes(&self) -> Vec<(mesos::Resource, mesos::Volume)> {
        let wire = self.allocation.resources.to_wire();
        let volumes = wire.into_iter().filter_map(|resource| {
            let disk = resource.disk.as_ref()?;
            disk.persistence.as_ref()?;
            let volume = disk.volume.clone()?;
            Some((resource, volume))
        });
        volumes.collect()
    }
}

/// A container that an earlier slave started.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Its id.
    pub id: ContainerId,
    /// Its first process.
    pub pid: u32,
    /// What is known of it.
    pub setup: ContainerSetup,
}

/// The container that a nested one belongs to. Ids of nested containers are written
/// `<parent>.<child>`; ids themselves have no dots.
pub fn parent(id: &ContainerId) -> Option<ContainerId> {
    id.as_str().rsplit_once('.').map(|(parent, _)| ContainerId::new(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_parent_is_what_stands_before_the_last_dot() {
        assert_eq!(parent(&ContainerId::new("a")), None);
        assert_eq!(parent(&ContainerId::new("a.b.c")), Some(ContainerId::new("a.b")));
    }
}
