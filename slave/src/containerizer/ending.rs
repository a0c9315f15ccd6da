//! The end of a container.

use std::time::Duration;

use libprocess::Ctx;
use libprocess::subprocess::Ended;
use protos::ids::ContainerId;
use protos::mesos::TaskState;

use super::Termination;
use super::launcher::Victim;
use super::mesos_containerizer::MesosContainerizer;
use super::states::State;

/// Between two rounds of killing what is left of a container.
const KILL_AGAIN: Duration = Duration::from_millis(100);

impl MesosContainerizer {
    pub(super) fn ended(&mut self, id: &ContainerId, end: Ended, cx: &mut Ctx<Self>) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.ended = Some(end);
        // A launch that is not over yet goes on: it was one, however short, and no failure.
        if container.state != State::Isolating {
            self.finish_if_ended(id, cx);
        }
    }

    pub(super) fn finish_if_ended(&mut self, id: &ContainerId, cx: &mut Ctx<Self>) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if container.ended.is_some() {
            container.state = State::Destroying;
            self.kill(id, cx);
        }
    }

    pub(super) fn destroy(&mut self, id: &ContainerId, cx: &mut Ctx<Self>) {
        let fetches = self.containers.get(id).is_some_and(|it| it.state == State::Fetching);
        if fetches {
            let id = id.clone();
            self.fetcher.tell(move |fetcher, cx| fetcher.stop(&id, cx));
        }
        if let Some(container) = self.containers.get_mut(id) {
            // Who waits for its image need not wait any more.
            container.cancel = None;
        }
        if self.step(id, State::Destroying) {
            // Before the command is started there is nothing to kill: the launch notices.
            self.kill(id, cx);
        }
    }

    /// Kills what is left; cleans up once the first process has been reaped.
    pub(super) fn kill(&mut self, id: &ContainerId, cx: &mut Ctx<Self>) {
        let Some(container) = self.containers.get(id) else { return };
        let (pid, ended) = (container.pid, container.ended.is_some());
        let victim = Victim { id: id.clone(), pid, ended, sandbox: container.sandbox.clone() };
        let killed = self.launcher.destroy(victim, cx.subprocesses());
        let id = id.clone();
        cx.defer(killed, move |this, killed, cx| this.killed(&id, killed, cx));
    }

    fn killed(&mut self, id: &ContainerId, killed: Result<(), String>, cx: &mut Ctx<Self>) {
        if let Err(reason) = killed {
            cx.node().metrics().counter("containerizer/mesos/container_destroy_errors").increment();
            slog::warn!(cx.log(), "cannot kill container"; "container" => %id, "reason" => reason);
        }
        let Some(container) = self.containers.get_mut(id) else { return };
        let started = container.pid.is_some();
        let over = container.ended.is_some() || (!started && container.failure.is_some());
        let id = id.clone();
        if over && !std::mem::replace(&mut container.cleaning, true) {
            let cleaning: Vec<_> = self.isolators.iter().rev().map(|i| i.cleanup(&id)).collect();
            let images = self.images.as_ref().map(|images| images.destroy(&id));
            let cleaning = async move {
                let mut failures = Vec::new();
                for cleaned in cleaning {
                    // One that fails keeps nobody else from cleaning up.
                    failures.extend(cleaned.await.err().map(|error| error.to_string()));
                }
                if let Some(removed) = images {
                    failures.extend(removed.await.err());
                }
                failures
            };
            cx.defer(cleaning, move |this, failures: Vec<String>, cx| {
                for reason in failures {
                    let metrics = cx.node().metrics();
                    metrics.counter("containerizer/mesos/container_destroy_errors").increment();
                    slog::warn!(cx.log(), "cannot clean up after a container";
                        "container" => %id, "reason" => reason);
                }
                this.cleaned_up(&id);
            });
        } else if started && !over {
            // Processes that were forked meanwhile are caught in the next round.
            cx.after(KILL_AGAIN, move |this, cx| this.kill(&id, cx));
        }
    }

    fn cleaned_up(&mut self, id: &ContainerId) {
        let Some(container) = self.containers.remove(id) else { return };
        let mut termination = Termination {
            status: container.ended.and_then(|ended| ended.status),
            message: container.failure.unwrap_or_default(),
            ..Termination::default()
        };
        if let Some(limitation) = container.limitation {
            termination.state = Some(TaskState::TaskFailed);
            termination.reason = limitation.reason.map(|_| limitation.reason());
            termination.message = limitation.message.unwrap_or_default();
            termination.limited_resources = limitation.resources;
        }
        for waiting in container.waiting {
            // Who waited may have stopped.
            let _ = waiting.send(termination.clone());
        }
        self.remember(id, termination);
    }
}
