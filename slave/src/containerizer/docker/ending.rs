//! The end of a container.

use libprocess::Ctx;
use libprocess::subprocess::Ended;
use protos::ids::ContainerId;

use super::DockerError;
use super::actor::{DockerContainerizer, State, name};
use crate::containerizer::Termination;
use crate::containerizer::launcher::Victim;

impl DockerContainerizer {
    pub(super) fn ended(&mut self, id: &ContainerId, end: Ended, cx: &mut Ctx<Self>) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.ended = Some(end);
        // A launch that is not over yet goes on: it was one, however short.
        if container.state != State::Starting {
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
        let Some(container) = self.containers.get_mut(id) else { return };
        // Who waits for its image need not wait any more.
        container.cancel = None;
        match std::mem::replace(&mut container.state, State::Destroying) {
            State::Destroying => {}
            State::Fetching => {
                let id = id.clone();
                self.fetcher.tell(move |fetcher, cx| fetcher.stop(&id, cx));
            }
            // The launch notices.
            State::Pulling => {}
            State::Starting | State::Running => self.kill(id, cx),
        }
    }

    /// Stops the container, then whatever is left of its helper; cleans up once that is reaped.
    pub(super) fn kill(&mut self, id: &ContainerId, cx: &mut Ctx<Self>) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let started = container.pid.is_some();
        let (api, grace) = (self.api.clone(), self.options.stop_timeout);
        let (container_name, launcher, os) = (name(id), self.launcher.clone(), cx.subprocesses());
        let (pid, ended) = (container.pid, container.ended.is_some());
        let victim = Victim { id: id.clone(), pid, ended, sandbox: container.sandbox.clone() };
        let killed = async move {
            let stopped = match started {
                true => api.stop(&container_name, grace).await.or_else(DockerError::or_gone),
                false => Ok(()),
            };
            let killed = launcher.destroy(victim, os).await;
            // The helper may have been making it just then.
            let again = match started {
                true => api.stop(&container_name, grace).await.or_else(DockerError::or_gone),
                false => Ok(()),
            };
            stopped.and(again).map_err(|error| error.to_string()).and(killed)
        };
        let id = id.clone();
        cx.defer(killed, move |this, killed, cx| this.killed(&id, killed, cx));
    }

    fn killed(&mut self, id: &ContainerId, killed: Result<(), String>, cx: &mut Ctx<Self>) {
        if let Err(reason) = killed {
            slog::warn!(cx.log(), "cannot stop container"; "container" => %id, "reason" => reason);
        }
        let Some(container) = self.containers.get_mut(id) else { return };
        let started = container.pid.is_some();
        let over = container.ended.is_some() || !started;
        if !over || std::mem::replace(&mut container.cleaning, true) {
            return;
        }
        let Some(container) = self.containers.remove(id) else { return };
        if started {
            self.remove_later(name(id), cx);
        }
        let termination = Termination {
            status: container.ended.and_then(|ended| ended.status),
            message: container.failure.unwrap_or_default(),
            ..Termination::default()
        };
        for waiting in container.waiting {
            // Who waited may have stopped.
            let _ = waiting.send(termination.clone());
        }
        self.remember(id, termination);
    }
}
