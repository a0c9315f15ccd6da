//! `posix/mem`: observes the resident memory of a container's processes.

use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;
use protos::resources::Resources;

use crate::front::{Containers, IsolatorProcess};
use crate::tree;

/// The isolator's actor.
#[derive(Default)]
pub struct PosixMem {
    containers: Containers,
}

impl Process for PosixMem {
    fn routes(_: &mut Routes<Self>) {}
}

impl IsolatorProcess for PosixMem {
    const NAME: &'static str = "posix/mem";

    fn prepare(&mut self, container: &ContainerId, _: Resources) -> Result<(), String> {
        self.containers.prepare(container)
    }

    fn isolate(&mut self, container: &ContainerId, pid: u32) -> Result<(), String> {
        self.containers.isolate(container, pid);
        Ok(())
    }

    fn usage(
        &mut self,
        container: &ContainerId,
        cx: &mut Ctx<Self>,
    ) -> Result<ResourceStatistics, String> {
        let pid = self.containers.pid(container)?;
        let pages: u64 = tree::members(pid).iter().map(|stat| stat.rss).sum();
        let bytes = pages * procfs::page_size();
        Ok(ResourceStatistics {
            timestamp: cx.now().as_secs_f64(),
            mem_rss_bytes: Some(bytes),
            ..Default::default()
        })
    }

    fn cleanup(&mut self, container: &ContainerId) {
        self.containers.cleanup(container);
    }
}
