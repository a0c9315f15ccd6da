//! `posix/mem`: observes the resident memory of a container's processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess::{Ctx, Handle, Node, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;
use protos::resources::Resources;

use crate::{Isolator, IsolatorError, IsolatorFuture, tree};

/// The name in the flag `isolation`.
pub const NAME: &str = "posix/mem";

/// First processes by container; 0 until the container is isolated.
#[derive(Default)]
struct PosixMem {
    containers: BTreeMap<ContainerId, u32>,
}

impl Process for PosixMem {
    fn routes(_: &mut Routes<Self>) {}
}

impl PosixMem {
    fn usage(&self, id: &ContainerId, cx: &Ctx<Self>) -> Result<ResourceStatistics, IsolatorError> {
        let Some(pid) = self.containers.get(id).copied().filter(|pid| *pid > 0) else {
            return Err(failed(id, "measure", "it has no process yet"));
        };
        let pages: u64 = tree::members(pid).iter().map(|stat| stat.rss).sum();
        let bytes = pages * procfs::page_size();
        Ok(ResourceStatistics {
            timestamp: cx.now().as_secs_f64(),
            mem_rss_bytes: Some(bytes),
            mem_total_bytes: Some(bytes),
            ..Default::default()
        })
    }
}

fn failed(id: &ContainerId, operation: &'static str, reason: &str) -> IsolatorError {
    IsolatorError { isolator: NAME, operation, container: id.clone(), reason: reason.to_owned() }
}

/// The front of the actor.
struct Front(Handle<PosixMem>);

/// Starts the isolator on a node.
pub fn start(node: &Node) -> Arc<dyn Isolator> {
    Arc::new(Front(node.spawn_numbered("posix-mem-isolator", PosixMem::default())))
}

impl Front {
    fn ask<T: Send + 'static>(
        &self,
        id: &ContainerId,
        operation: &'static str,
        call: impl FnOnce(&mut PosixMem, ContainerId, &mut Ctx<PosixMem>) -> Result<T, IsolatorError>
        + Send
        + 'static,
    ) -> IsolatorFuture<T> {
        let (id, container) = (id.clone(), id.clone());
        let asked = self.0.ask(move |isolator, cx| call(isolator, id, cx));
        Box::pin(async move {
            asked.await.map_err(|gone| failed(&container, operation, &gone.to_string()))?
        })
    }
}

impl Isolator for Front {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, container: &ContainerId, _: Resources) -> IsolatorFuture<()> {
        self.ask(container, "prepare", |isolator, id, _| {
            let fresh = isolator.containers.insert(id.clone(), 0).is_none();
            if fresh { Ok(()) } else { Err(failed(&id, "prepare", "it is prepared already")) }
        })
    }

    fn isolate(&self, container: &ContainerId, pid: u32) -> IsolatorFuture<()> {
        self.ask(container, "isolate", move |isolator, id, _| {
            isolator.containers.insert(id, pid);
            Ok(())
        })
    }

    fn update(&self, _: &ContainerId, _: Resources) -> IsolatorFuture<()> {
        // It only observes.
        Box::pin(async { Ok(()) })
    }

    fn usage(&self, container: &ContainerId) -> IsolatorFuture<ResourceStatistics> {
        self.ask(container, "measure", |isolator, id, cx| isolator.usage(&id, cx))
    }

    fn cleanup(&self, container: &ContainerId) -> IsolatorFuture<()> {
        self.ask(container, "clean up", |isolator, id, _| {
            isolator.containers.remove(&id);
            Ok(())
        })
    }
}
