//! `posix/cpu`: observes the CPU time of a container's processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess::{Ctx, Handle, Node, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;
use protos::resources::Resources;

use crate::{Isolator, IsolatorError, IsolatorFuture, tree};

/// The name in the flag `isolation`.
pub const NAME: &str = "posix/cpu";

/// First processes by container; 0 until the container is isolated.
#[derive(Default)]
struct PosixCpu {
    containers: BTreeMap<ContainerId, u32>,
}

impl Process for PosixCpu {
    fn routes(_: &mut Routes<Self>) {}
}

impl PosixCpu {
    fn usage(&self, id: &ContainerId, cx: &Ctx<Self>) -> Result<ResourceStatistics, IsolatorError> {
        let Some(pid) = self.containers.get(id).copied().filter(|pid| *pid > 0) else {
            return Err(failed(id, "measure", "it has no process yet"));
        };
        let ticks = procfs::ticks_per_second() as f64;
        let members = tree::members(pid);
        // Time of children that ended and were waited for counts as well.
        let user: i64 = members.iter().map(|stat| stat.utime as i64 + stat.cutime.max(0)).sum();
        let system: i64 = members.iter().map(|stat| stat.stime as i64 + stat.cstime.max(0)).sum();
        Ok(ResourceStatistics {
            timestamp: cx.now().as_secs_f64(),
            processes: u32::try_from(members.len()).ok(),
            cpus_user_time_secs: Some(user as f64 / ticks),
            cpus_system_time_secs: Some(system as f64 / ticks),
            ..Default::default()
        })
    }
}

fn failed(id: &ContainerId, operation: &'static str, reason: &str) -> IsolatorError {
    IsolatorError { isolator: NAME, operation, container: id.clone(), reason: reason.to_owned() }
}

/// The front of the actor.
struct Front(Handle<PosixCpu>);

/// Starts the isolator on a node.
pub fn start(node: &Node) -> Arc<dyn Isolator> {
    Arc::new(Front(node.spawn_numbered("posix-cpu-isolator", PosixCpu::default())))
}

impl Front {
    fn ask<T: Send + 'static>(
        &self,
        id: &ContainerId,
        operation: &'static str,
        call: impl FnOnce(&mut PosixCpu, ContainerId, &mut Ctx<PosixCpu>) -> Result<T, IsolatorError>
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
