//! The contract, answered by an actor: what every isolator needs and none should write again.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess::{Ctx, Handle, Node, Process};
use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;
use protos::resources::Resources;

use crate::{Isolator, IsolatorError, IsolatorFuture};

/// What the actor of one isolator does. Errors are reasons; the front adds name and container.
pub trait IsolatorProcess: Process {
    /// The name in the flag `isolation`.
    const NAME: &'static str;

    /// See [`Isolator::prepare`].
    ///
    /// # Errors
    /// Why the container cannot be prepared.
    fn prepare(&mut self, container: &ContainerId, resources: Resources) -> Result<(), String>;

    /// See [`Isolator::isolate`].
    ///
    /// # Errors
    /// Why the process cannot be isolated.
    fn isolate(&mut self, container: &ContainerId, pid: u32) -> Result<(), String>;

    /// See [`Isolator::update`]. Nothing, for isolators that only observe.
    ///
    /// # Errors
    /// Why the container cannot have these resources.
    fn update(&mut self, container: &ContainerId, resources: Resources) -> Result<(), String> {
        let _ = (container, resources);
        Ok(())
    }

    /// See [`Isolator::usage`].
    ///
    /// # Errors
    /// Why the container cannot be measured.
    fn usage(
        &mut self,
        container: &ContainerId,
        cx: &mut Ctx<Self>,
    ) -> Result<ResourceStatistics, String>;

    /// See [`Isolator::cleanup`].
    fn cleanup(&mut self, container: &ContainerId);
}

struct Front<P: IsolatorProcess>(Handle<P>);

/// Starts an isolator's actor on a node, behind the contract.
pub fn start<P: IsolatorProcess>(node: &Node, process: P) -> Arc<dyn Isolator> {
    let prefix = format!("{}-isolator", P::NAME.replace('/', "-"));
    Arc::new(Front(node.spawn_numbered(&prefix, process)))
}

impl<P: IsolatorProcess> Front<P> {
    fn ask<T: Send + 'static>(
        &self,
        id: &ContainerId,
        operation: &'static str,
        call: impl FnOnce(&mut P, &ContainerId, &mut Ctx<P>) -> Result<T, String> + Send + 'static,
    ) -> IsolatorFuture<T> {
        let (id, container) = (id.clone(), id.clone());
        let asked = self.0.ask(move |isolator, cx| call(isolator, &id, cx));
        Box::pin(async move {
            let done = asked.await.unwrap_or_else(|gone| Err(gone.to_string()));
            let isolator = P::NAME;
            done.map_err(|reason| IsolatorError { isolator, operation, container, reason })
        })
    }
}

impl<P: IsolatorProcess> Isolator for Front<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn prepare(&self, container: &ContainerId, resources: Resources) -> IsolatorFuture<()> {
        self.ask(container, "prepare", move |isolator, id, _| isolator.prepare(id, resources))
    }

    fn isolate(&self, container: &ContainerId, pid: u32) -> IsolatorFuture<()> {
        self.ask(container, "isolate", move |isolator, id, _| isolator.isolate(id, pid))
    }

    fn update(&self, container: &ContainerId, resources: Resources) -> IsolatorFuture<()> {
        self.ask(container, "update", move |isolator, id, _| isolator.update(id, resources))
    }

    fn usage(&self, container: &ContainerId) -> IsolatorFuture<ResourceStatistics> {
        self.ask(container, "measure", |isolator, id, cx| isolator.usage(id, cx))
    }

    fn cleanup(&self, container: &ContainerId) -> IsolatorFuture<()> {
        self.ask(container, "clean up", |isolator, id, _| {
            isolator.cleanup(id);
            Ok(())
        })
    }
}

/// First processes of containers, for isolators that observe process trees.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    /// None until the container is isolated.
    pids: BTreeMap<ContainerId, Option<u32>>,
}

impl Containers {
    pub(crate) fn prepare(&mut self, id: &ContainerId) -> Result<(), String> {
        match self.pids.insert(id.clone(), None) {
            None => Ok(()),
            Some(_) => Err("it is prepared already".to_owned()),
        }
    }

    pub(crate) fn isolate(&mut self, id: &ContainerId, pid: u32) {
        self.pids.insert(id.clone(), Some(pid));
    }

    pub(crate) fn pid(&self, id: &ContainerId) -> Result<u32, String> {
        self.pids.get(id).copied().flatten().ok_or_else(|| "it has no process yet".to_owned())
    }

    pub(crate) fn cleanup(&mut self, id: &ContainerId) {
        self.pids.remove(id);
    }
}
