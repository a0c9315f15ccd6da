//! The containerizer's contract, answered by its actor.

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, ready};
use isolators::Allocation;
use libprocess::{Ctx, Handle};
use protos::ids::ContainerId;
use protos::mesos;

use super::actor::{DockerContainerizer, name};
use super::{DockerError, DockerLimits, statistics};
use crate::containerizer::{
    ContainerConfig, ContainerError, ContainerFuture, Containerizer, RecoveredContainer,
    Termination,
};
use crate::fetcher::Fetcher;

/// The front of the actor.
pub(super) struct Front(pub(super) Handle<DockerContainerizer>);

fn failed(id: ContainerId, operation: &'static str, reason: impl ToString) -> ContainerError {
    ContainerError::Operation { id, operation, reason: reason.to_string() }
}

impl Front {
    fn ask<T: Send + 'static>(
        &self,
        id: &ContainerId,
        operation: &'static str,
        ask: impl FnOnce(
            &mut DockerContainerizer,
            ContainerId,
            &mut Ctx<DockerContainerizer>,
        ) -> ContainerFuture<T>
        + Send
        + 'static,
    ) -> ContainerFuture<T> {
        let (asked_for, id) = (id.clone(), id.clone());
        let asked = self.0.ask_later(move |this, cx| ask(this, asked_for, cx));
        Box::pin(async move { asked.await.unwrap_or_else(|gone| Err(failed(id, operation, gone))) })
    }
}

impl DockerContainerizer {
    /// Memory is never taken away again: docker refuses what is in use already.
    fn update(&mut self, id: ContainerId, allocation: Allocation) -> ContainerFuture<()> {
        let cfs = self.options.cfs;
        let Some(container) = self.containers.get_mut(&id) else {
            return ready(Err(ContainerError::Unknown(id))).boxed();
        };
        let before = DockerLimits::of(&container.allocation, cfs);
        let mut limits = DockerLimits::of(&allocation, cfs);
        container.allocation = allocation;
        if !is_more(limits.memory, before.memory) {
            (limits.memory, limits.memory_reservation) = (None, None);
        }
        let api = self.api.clone();
        Box::pin(async move {
            // The helper makes it with what its task needs; there may be nothing to change yet.
            match api.inspect(&name(&id)).await {
                Ok(found) if found.running => {}
                _ => return Ok(()),
            }
            let updated = api.update(&name(&id), limits).await.or_else(DockerError::or_gone);
            updated.map_err(|error| failed(id, "update", error))
        })
    }

    fn usage(
        &mut self,
        id: ContainerId,
        cx: &Ctx<Self>,
    ) -> ContainerFuture<mesos::ResourceStatistics> {
        let Some(container) = self.containers.get(&id) else {
            return ready(Err(ContainerError::Unknown(id))).boxed();
        };
        let resources = &container.allocation.resources;
        let mut statistics = mesos::ResourceStatistics {
            timestamp: cx.now().as_secs_f64(),
            cpus_limit: Some(resources.cpus()),
            mem_limit_bytes: Some((resources.mem() * 1_048_576.0) as u64),
            ..Default::default()
        };
        let (api, hierarchy) = (self.api.clone(), self.options.hierarchy.clone());
        Box::pin(async move {
            let told = |error: String| failed(id.clone(), "measure", error);
            let found = api.inspect(&name(&id)).await.map_err(|error| told(error.to_string()))?;
            let pid = found.pid.ok_or_else(|| told("it does not run".to_owned()))?;
            statistics::measure(&mut statistics, pid, &hierarchy).map_err(told)?;
            Ok(statistics)
        })
    }

    fn status(&mut self, id: ContainerId) -> ContainerFuture<mesos::ContainerStatus> {
        let status = self.containers.get(&id).map(|container| mesos::ContainerStatus {
            container_id: Some(id.wire()),
            executor_pid: container.pid,
            ..Default::default()
        });
        ready(status.ok_or(ContainerError::Unknown(id))).boxed()
    }
}

impl Containerizer for Front {
    fn launch(&self, id: &ContainerId, config: ContainerConfig) -> ContainerFuture<()> {
        let (sender, receiver) = oneshot::channel();
        let (launched, id) = (id.clone(), id.clone());
        self.0.tell(move |this, cx| this.launch(launched, config, sender, cx));
        Box::pin(async move {
            let gone = |_| Err(failed(id, "launch", "the containerizer is gone"));
            receiver.await.unwrap_or_else(gone)
        })
    }

    fn update(&self, id: &ContainerId, allocation: Allocation) -> ContainerFuture<()> {
        self.ask(id, "update", move |this, id, _| this.update(id, allocation))
    }

    fn usage(&self, id: &ContainerId) -> ContainerFuture<mesos::ResourceStatistics> {
        self.ask(id, "measure", |this, id, cx| this.usage(id, cx))
    }

    fn status(&self, id: &ContainerId) -> ContainerFuture<mesos::ContainerStatus> {
        self.ask(id, "inspect", |this, id, _| this.status(id))
    }

    fn wait(&self, id: &ContainerId) -> BoxFuture<'static, Option<Termination>> {
        let (sender, receiver) = oneshot::channel();
        let id = id.clone();
        self.0.tell(move |this, _| {
            // Dropping the sender answers None for an unknown container.
            if let Some(container) = this.containers.get_mut(&id) {
                container.waiting.push(sender);
            } else if let Some((_, end)) = this.remembered.iter().rfind(|(of, _)| *of == id) {
                let _ = sender.send(end.clone());
            }
        });
        Box::pin(async move { receiver.await.ok() })
    }

    fn destroy(&self, id: &ContainerId) -> ContainerFuture<()> {
        let over = self.wait(id);
        let id = id.clone();
        self.0.tell(move |this, cx| this.destroy(&id, cx));
        Box::pin(async move {
            over.await;
            Ok(())
        })
    }

    fn recover(&self, known: Vec<RecoveredContainer>) -> ContainerFuture<()> {
        let told = self.0.ask_later(move |this, cx| {
            this.take_over(&known, cx);
            this.fetcher.tell(Fetcher::clear);
            async {}
        });
        Box::pin(async move {
            let _ = told.await;
            Ok(())
        })
    }
}

/// True when a limit of memory is above another; -1 is none at all.
fn is_more(new: Option<i64>, old: Option<i64>) -> bool {
    let height = |limit: Option<i64>| match limit {
        Some(-1) => i64::MAX,
        Some(bytes) => bytes,
        None => 0,
    };
    height(new) > height(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_raised_only_and_nothing_is_above_infinity() {
        assert!(is_more(Some(2), Some(1)) && is_more(Some(-1), Some(1)) && is_more(Some(1), None));
        assert!(!is_more(Some(1), Some(-1)) && !is_more(Some(1), Some(2)));
        assert!(!is_more(Some(-1), Some(-1)) && !is_more(None, Some(1)));
    }
}
