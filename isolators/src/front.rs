//! The contract, answered by an actor: what every isolator needs and none should write again.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use libprocess::{Ctx, Handle, Node, Process};
use protos::ids::ContainerId;
use protos::mesos::{ContainerStatus, ResourceStatistics};

use crate::launch::{LaunchInfo, Limitation};
use crate::setup::{Allocation, ContainerSetup, Recovered};
use crate::{Isolator, IsolatorError, IsolatorFuture};

/// What takes time. The isolator's actor handles other events meanwhile.
pub type Later<T> = BoxFuture<'static, Result<T, String>>;

/// What is done already.
pub fn now<T: Send + 'static>(done: Result<T, String>) -> Later<T> {
    futures::future::ready(done).boxed()
}

/// Where a limitation is reported, once. Dropped when there will be none.
pub type Limited = oneshot::Sender<Limitation>;

/// What the actor of one isolator does. Errors are reasons; the front adds name and container.
pub trait IsolatorProcess: Process {
    /// The name in the flag `isolation`.
    const NAME: &'static str;

    /// Takes over a container that an earlier slave started.
    ///
    /// # Errors
    /// Why the container cannot be taken over.
    fn recover(&mut self, container: &Recovered, cx: &mut Ctx<Self>) -> Result<(), String>;

    /// All containers are recovered; what else is found on the host is of no use any more.
    fn recovered(&mut self, cx: &mut Ctx<Self>) {
        let _ = cx;
    }

    /// See [`Isolator::prepare`].
    fn prepare(
        &mut self,
        container: &ContainerId,
        setup: &Arc<ContainerSetup>,
        cx: &mut Ctx<Self>,
    ) -> Later<LaunchInfo>;

    /// See [`Isolator::isolate`].
    fn isolate(&mut self, container: &ContainerId, pid: u32, cx: &mut Ctx<Self>) -> Later<()> {
        let _ = (container, pid, cx);
        now(Ok(()))
    }

    /// See [`Isolator::watch`]. Isolators without limits drop `limited`.
    fn watch(&mut self, container: &ContainerId, limited: Limited, cx: &mut Ctx<Self>) {
        let _ = (container, limited, cx);
    }

    /// See [`Isolator::update`]. Nothing, for isolators that only observe.
    fn update(
        &mut self,
        container: &ContainerId,
        allocation: &Allocation,
        cx: &mut Ctx<Self>,
    ) -> Later<()> {
        let _ = (container, allocation, cx);
        now(Ok(()))
    }

    /// See [`Isolator::usage`].
    ///
    /// # Errors
    /// Why the container cannot be measured.
    fn usage(
        &mut self,
        container: &ContainerId,
        cx: &mut Ctx<Self>,
    ) -> Result<ResourceStatistics, String> {
        let _ = container;
        Ok(statistics(cx))
    }

    /// See [`Isolator::status`].
    ///
    /// # Errors
    /// Why nothing can be told.
    fn status(&mut self, container: &ContainerId) -> Result<ContainerStatus, String> {
        let _ = container;
        Ok(ContainerStatus::default())
    }

    /// See [`Isolator::cleanup`].
    fn cleanup(&mut self, container: &ContainerId, cx: &mut Ctx<Self>) -> Later<()>;
}

/// Statistics of this moment, without any numbers.
pub fn statistics<P: Process>(cx: &Ctx<P>) -> ResourceStatistics {
    ResourceStatistics { timestamp: cx.now().as_secs_f64(), ..Default::default() }
}

struct Front<P: IsolatorProcess>(Handle<P>);

/// Starts an isolator's actor on a node, behind the contract.
pub fn start<P: IsolatorProcess>(node: &Node, process: P) -> Arc<dyn Isolator> {
    let prefix = format!("{}-isolator", P::NAME.replace(['/', '_'], "-"));
    Arc::new(Front(node.spawn_numbered(&prefix, process)))
}

impl<P: IsolatorProcess> Front<P> {
    fn ask<T: Send + 'static>(
        &self,
        id: &ContainerId,
        operation: &'static str,
        call: impl FnOnce(&mut P, &ContainerId, &mut Ctx<P>) -> Later<T> + Send + 'static,
    ) -> IsolatorFuture<T> {
        let (id, container) = (id.clone(), id.clone());
        let asked = self.0.ask_later(move |isolator, cx| call(isolator, &id, cx));
        Box::pin(async move {
            let done = asked.await.unwrap_or_else(|gone| Err(gone.to_string()));
            done.map_err(|reason| failed::<P>(operation, container, reason))
        })
    }
}

fn failed<P: IsolatorProcess>(
    operation: &'static str,
    container: ContainerId,
    reason: String,
) -> IsolatorError {
    IsolatorError { isolator: P::NAME, operation, container, reason }
}

impl<P: IsolatorProcess> Isolator for Front<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn recover(&self, containers: Vec<Recovered>) -> BoxFuture<'static, Vec<IsolatorError>> {
        let asked = self.0.ask(move |isolator, cx| {
            let mut errors = Vec::new();
            for container in containers {
                if let Err(reason) = isolator.recover(&container, cx) {
                    errors.push(failed::<P>("recover", container.id, reason));
                }
            }
            isolator.recovered(cx);
            errors
        });
        Box::pin(async move { asked.await.unwrap_or_default() })
    }

    fn prepare(
        &self,
        container: &ContainerId,
        setup: Arc<ContainerSetup>,
    ) -> IsolatorFuture<LaunchInfo> {
        self.ask(container, "prepare", move |it, id, cx| it.prepare(id, &setup, cx))
    }

    fn isolate(&self, container: &ContainerId, pid: u32) -> IsolatorFuture<()> {
        self.ask(container, "isolate", move |isolator, id, cx| isolator.isolate(id, pid, cx))
    }

    fn watch(&self, container: &ContainerId) -> BoxFuture<'static, Option<Limitation>> {
        let (sender, receiver) = oneshot::channel();
        let id = container.clone();
        self.0.tell(move |isolator, cx| isolator.watch(&id, sender, cx));
        Box::pin(async move { receiver.await.ok() })
    }

    fn update(&self, container: &ContainerId, allocation: Allocation) -> IsolatorFuture<()> {
        self.ask(container, "update", move |it, id, cx| it.update(id, &allocation, cx))
    }

    fn usage(&self, container: &ContainerId) -> IsolatorFuture<ResourceStatistics> {
        self.ask(container, "measure", |isolator, id, cx| now(isolator.usage(id, cx)))
    }

    fn status(&self, container: &ContainerId) -> IsolatorFuture<ContainerStatus> {
        self.ask(container, "inspect", |isolator, id, _| now(isolator.status(id)))
    }

    fn cleanup(&self, container: &ContainerId) -> IsolatorFuture<()> {
        self.ask(container, "clean up", |isolator, id, cx| isolator.cleanup(id, cx))
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
