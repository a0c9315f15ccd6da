//! The containerizer's contract, answered by its actor.

use futures::channel::oneshot;
use futures::future::BoxFuture;
use isolators::{Allocation, ContainerSetup, Recovered};
use libprocess::Handle;
use protos::ids::ContainerId;
use protos::mesos;

use super::launcher;
use super::mesos_containerizer::MesosContainerizer;
use super::{
    ContainerConfig, ContainerError, ContainerFuture, Containerizer, RecoveredContainer,
    Termination,
};
use crate::fetcher::Fetcher;

/// The front of the actor.
pub(super) struct Front(pub(super) Handle<MesosContainerizer>);

fn gone(id: &ContainerId, operation: &'static str) -> ContainerError {
    let reason = "the containerizer is gone".to_owned();
    ContainerError::Operation { id: id.clone(), operation, reason }
}

impl Containerizer for Front {
    fn launch(&self, id: &ContainerId, config: ContainerConfig) -> ContainerFuture<()> {
        let (sender, receiver) = oneshot::channel();
        let (launched, id) = (id.clone(), id.clone());
        self.0.tell(move |this, cx| this.launch(launched, config, sender, cx));
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err(gone(&id, "launch"))) })
    }

    fn update(&self, id: &ContainerId, allocation: Allocation) -> ContainerFuture<()> {
        let (updated, id) = (id.clone(), id.clone());
        let asked = self.0.ask_later(move |this, _| {
            let isolators = this.isolators.iter();
            let updates: Vec<_> =
                isolators.map(|i| i.update(&updated, allocation.clone())).collect();
            let known = this.containers.get_mut(&updated).map(|c| c.allocation = allocation);
            async move {
                known.ok_or_else(|| ContainerError::Unknown(updated.clone()))?;
                let all = futures::future::try_join_all(updates).await;
                all.map(drop).map_err(|error| ContainerError::Operation {
                    id: updated,
                    operation: "update",
                    reason: error.to_string(),
                })
            }
        });
        Box::pin(async move { asked.await.unwrap_or_else(|_| Err(gone(&id, "update"))) })
    }

    fn usage(&self, id: &ContainerId) -> ContainerFuture<mesos::ResourceStatistics> {
        let (measured, id) = (id.clone(), id.clone());
        let asked = self.0.ask_later(move |this, cx| this.usage(&measured, cx));
        Box::pin(async move { asked.await.unwrap_or_else(|_| Err(gone(&id, "measure"))) })
    }

    fn status(&self, id: &ContainerId) -> ContainerFuture<mesos::ContainerStatus> {
        let (asked_for, id) = (id.clone(), id.clone());
        let asked = self.0.ask_later(move |this, _| this.status(&asked_for));
        Box::pin(async move { asked.await.unwrap_or_else(|_| Err(gone(&id, "inspect"))) })
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
            if let Some(images) = &this.images {
                images.recover(known.iter().map(|found| found.id.clone()).collect());
            }
            let isolators = this.isolators.clone();
            async move {
                let known = known.into_iter().map(|found| {
                    let user = found.user.as_deref().and_then(|user| launcher::user(user).ok());
                    let setup = ContainerSetup {
                        user,
                        is_command_task: found.is_command_task,
                        allocation: found.allocation,
                        directory: found.directory,
                        container_info: found.executor_info.container.map(|info| *info),
                        command: found.executor_info.command.unwrap_or_default(),
                        ..ContainerSetup::default()
                    };
                    Recovered { id: found.id, pid: found.pid, setup }
                });
                let known: Vec<_> = known.collect();
                let mut failures = Vec::new();
                for isolator in isolators {
                    // An isolator that fails here measures nothing of those containers.
                    failures.extend(isolator.recover(known.clone()).await);
                }
                failures
            }
        });
        let containerizer = self.0.clone();
        Box::pin(async move {
            let failures = told.await.unwrap_or_default();
            // Limits hold for them as for others.
            containerizer.tell(move |this, cx| {
                for reason in failures {
                    slog::warn!(cx.log(), "an isolator cannot recover"; "reason" => %reason);
                }
                let ids: Vec<ContainerId> = this.containers.keys().cloned().collect();
                ids.iter().for_each(|id| this.watch(id, cx));
            });
            Ok(())
        })
    }
}
