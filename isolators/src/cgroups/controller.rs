//! What is particular to one `cgroups/*` isolator.

use futures::future::BoxFuture;
use libprocess::Ctx;
use protos::ids::ContainerId;
use protos::mesos::{ContainerStatus, ResourceStatistics};

use super::{CgroupError, CgroupIsolator, Group, Version};
use crate::launch::Limitation;
use crate::setup::{Allocation, ContainerSetup};

/// Ready with true when a container has exceeded a limit, with false when its cgroup is gone.
pub type Alarm = BoxFuture<'static, bool>;

/// What is particular to one `cgroups/*` isolator.
pub trait Controller: Sized + Send + 'static {
    /// The name in the flag `isolation`.
    const NAME: &'static str;

    /// The kernel's controllers that it works through, the main one first; None when it does not
    /// exist in that version of the interface.
    fn controllers(version: Version) -> Option<&'static [&'static str]>;

    /// The actor starts.
    fn started(host: &mut CgroupIsolator<Self>, cx: &mut Ctx<CgroupIsolator<Self>>) {
        let _ = (host, cx);
    }

    /// A cgroup was made for a container; `update` follows.
    ///
    /// # Errors
    /// Why the container cannot be prepared.
    fn prepare(
        &mut self,
        id: &ContainerId,
        group: &Group,
        setup: &ContainerSetup,
    ) -> Result<(), CgroupError> {
        let _ = (id, group, setup);
        Ok(())
    }

    /// The container of an earlier slave has this cgroup.
    ///
    /// # Errors
    /// Why the container cannot be taken over.
    fn recover(
        &mut self,
        id: &ContainerId,
        group: &Group,
        setup: &ContainerSetup,
    ) -> Result<(), CgroupError> {
        let _ = (id, group, setup);
        Ok(())
    }

    /// The first process is in the cgroup.
    ///
    /// # Errors
    /// Why it cannot be isolated.
    fn isolate(&mut self, id: &ContainerId, group: &Group, pid: u32) -> Result<(), CgroupError> {
        let _ = (id, group, pid);
        Ok(())
    }

    /// The container may use this.
    ///
    /// # Errors
    /// Why it cannot.
    fn update(
        &mut self,
        id: &ContainerId,
        group: &Group,
        allocation: &Allocation,
    ) -> Result<(), CgroupError> {
        let _ = (id, group, allocation);
        Ok(())
    }

    /// Begins to listen for the container's limit, before anything runs in it.
    ///
    /// # Errors
    /// Why the kernel does not tell.
    fn listen(&self, group: &Group) -> Result<Option<Alarm>, CgroupError> {
        let _ = group;
        Ok(None)
    }

    /// What the container is destroyed for, after its alarm.
    fn limitation(&self, group: &Group) -> Limitation {
        let _ = group;
        Limitation::default()
    }

    /// What it uses.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn usage(
        &mut self,
        id: &ContainerId,
        group: &Group,
        into: &mut ResourceStatistics,
    ) -> Result<(), CgroupError> {
        let _ = (id, group, into);
        Ok(())
    }

    /// What else is to be told of it.
    fn status(&self, id: &ContainerId, into: &mut ContainerStatus) {
        let _ = (id, into);
    }

    /// The container is gone.
    fn cleanup(&mut self, id: &ContainerId) {
        let _ = id;
    }
}
