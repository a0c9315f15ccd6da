//! `posix/mem`: observes the resident memory of a container's processes.

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
pub struct PosixMem {
    processes: Shared,
    containers: Containers,
}

impl PosixMem {
    /// Measures by a table of processes that others may share.
    pub fn new(processes: Shared) -> Self {
        Self { processes, containers: Containers::default() }
    }
}

impl Process for PosixMem {
    fn routes(_: &mut Routes<Self>) {}
}

impl IsolatorProcess for PosixMem {
    const NAME: &'static str = "posix/mem";

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
        let table = self.processes.table(cx.now());
        let pages: u64 = table.members(pid).iter().map(|stat| stat.rss).sum();
        let bytes = pages * procfs::page_size();
        Ok(ResourceStatistics {
            timestamp: cx.now().as_secs_f64(),
            mem_rss_bytes: Some(bytes),
            ..Default::default()
        })
    }

    fn cleanup(&mut self, container: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
        self.containers.cleanup(container);
        now(Ok(()))
    }
}
