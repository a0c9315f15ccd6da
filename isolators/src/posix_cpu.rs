//! `posix/cpu`: observes the CPU time of a container's processes.

use std::sync::Arc;

use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;

use crate::front::{Containers, IsolatorProcess, Later, now};
use crate::launch::LaunchInfo;
use crate::setup::{ContainerSetup, Recovered};
use crate::tree::Shared;

/// The isolator's actor.
#[derive(Default)]
pub struct PosixCpu {
    processes: Shared,
    containers: Containers,
}

impl PosixCpu {
    /// Measures by a table of processes that others may share.
    pub fn new(processes: Shared) -> Self {
        Self { processes, containers: Containers::default() }
    }
}

impl Process for PosixCpu {
    fn routes(_: &mut Routes<Self>) {}
}

impl IsolatorProcess for PosixCpu {
    const NAME: &'static str = "posix/cpu";

    fn recover(&mut self, container: &Recovered, _: &mut Ctx<Self>) -> Result<(), String> {
        self.containers.isolate(&container.id, container.pid);
        Ok(())
    }

    fn prepare(
        &mut self,
        container: &ContainerId,
        _: &Arc<ContainerSetup>,
        _: &mut Ctx<Self>,
    ) -> Later<LaunchInfo> {
        now(self.containers.prepare(container).map(|()| LaunchInfo::default()))
    }

    fn isolate(&mut self, container: &ContainerId, pid: u32, _: &mut Ctx<Self>) -> Later<()> {
        self.containers.isolate(container, pid);
        now(Ok(()))
    }

    fn usage(
        &mut self,
        container: &ContainerId,
        cx: &mut Ctx<Self>,
    ) -> Result<ResourceStatistics, String> {
        let pid = self.containers.pid(container)?;
        let ticks = procfs::ticks_per_second() as f64;
        let table = self.processes.table(cx.now());
        let members = table.members(pid);
        // Time of children that ended and were waited for counts as well.
        let user: i64 = members.iter().map(|stat| stat.utime as i64 + stat.cutime.max(0)).sum();
        let system: i64 = members.iter().map(|stat| stat.stime as i64 + stat.cstime.max(0)).sum();
        Ok(ResourceStatistics {
            timestamp: cx.now().as_secs_f64(),
            cpus_user_time_secs: Some(user as f64 / ticks),
            cpus_system_time_secs: Some(system as f64 / ticks),
            ..Default::default()
        })
    }

    fn cleanup(&mut self, container: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
        self.containers.cleanup(container);
        now(Ok(()))
    }
}
