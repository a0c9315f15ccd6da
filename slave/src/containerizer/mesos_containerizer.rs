//! The containerizer that needs nothing but the operating system: a session for each container, and
//! the isolators that the flag `isolation` names.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use isolators::{ContainerSetup, Isolator, merge_statistics};
use libprocess::subprocess::{Child, Ended, Target};
use libprocess::{Ctx, Handle, Node, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos;
use protos::resources::Resources;

use super::front::Front;
use super::launcher::posix;
use super::states::State;
use super::{ContainerConfig, ContainerError, ContainerFuture, Containerizer, Termination};
use crate::fetcher::{FetchRequest, Fetcher};

const SIGKILL: i32 = 9;
/// Between two rounds of killing what is left of a container.
const KILL_AGAIN: Duration = Duration::from_millis(100);
/// Ended containers whose end is still known to who asks late.
const MAX_REMEMBERED: usize = 1024;

/// What the containerizer is told once.
#[derive(Debug, Clone)]
pub struct ContainerizerOptions {
    /// The flag `isolation`.
    pub isolation: String,
    /// Program and leading arguments of `mesos-fetcher`.
    pub fetcher: Vec<String>,
    /// The flag `frameworks_home`.
    pub frameworks_home: Option<String>,
}

pub(super) struct Container {
    state: State,
    pub(super) resources: Resources,
    pub(super) pid: Option<u32>,
    ended: Option<Ended>,
    /// Why the launch failed, if it did.
    failure: Option<String>,
    pub(super) waiting: Vec<oneshot::Sender<Termination>>,
}

/// The process `mesos-containerizer(1)`.
pub struct MesosContainerizer {
    pub(super) isolators: Vec<Arc<dyn Isolator>>,
    fetcher: Handle<Fetcher>,
    pub(super) containers: BTreeMap<ContainerId, Container>,
    /// How the last containers ended, oldest first: a short-lived one may end before its launcher
    /// comes to wait for it.
    pub(super) remembered: VecDeque<(ContainerId, Termination)>,
}

impl Process for MesosContainerizer {
    fn routes(_: &mut Routes<Self>) {}
}

/// Starts the containerizer with its fetcher and isolators on a node.
///
/// # Errors
/// When the flag `isolation` cannot be served.
pub fn start(
    node: &Node,
    options: ContainerizerOptions,
) -> Result<Arc<dyn Containerizer>, isolators::select::SelectError> {
    let isolators = isolators::start(node, &isolators::Options::new(&options.isolation))?;
    let fetcher = Fetcher::new(options.fetcher, options.frameworks_home);
    let fetcher = node.spawn_numbered("fetcher", fetcher);
    let (containers, remembered) = (BTreeMap::new(), VecDeque::new());
    let process = MesosContainerizer { isolators, fetcher, containers, remembered };
    Ok(Arc::new(Front(node.spawn_numbered("mesos-containerizer", process))))
}

/// The stages of a launch.
impl MesosContainerizer {
    pub(super) fn launch(
        &mut self,
        id: ContainerId,
        config: ContainerConfig,
        reply: oneshot::Sender<Result<(), ContainerError>>,
        cx: &mut Ctx<Self>,
    ) {
        if self.containers.contains_key(&id) {
            let _ = reply.send(Err(ContainerError::Exists(id)));
            return;
        }
        let user = match config.user.as_deref().map(posix::user).transpose() {
            Ok(user) => user,
            Err(reason) => {
                self.remember(&id, Termination { message: reason.clone(), ..Default::default() });
                let _ = reply.send(Err(ContainerError::Launch { id, reason }));
                return;
            }
        };
        let container = Container {
            state: State::Preparing,
            resources: config.resources.clone(),
            pid: None,
            ended: None,
            failure: None,
            waiting: Vec::new(),
        };
        let setup = Arc::new(ContainerSetup::from(container.resources.clone()));
        let preparing = self.isolators.iter().map(|i| i.prepare(&id, setup.clone()));
        let preparing: Vec<_> = preparing.collect();
        self.containers.insert(id.clone(), container);
        let launch = Launch { id, config, user, reply };
        cx.defer(
            async move { futures::future::try_join_all(preparing).await },
            move |this, prepared, cx| match prepared {
                Ok(_) => this.prepared(launch, cx),
                Err(error) => this.failed(launch, error.to_string(), cx),
            },
        );
    }

    fn prepared(&mut self, launch: Launch, cx: &mut Ctx<Self>) {
        if !self.step(&launch.id, State::Fetching) {
            return self.failed(launch, "destroyed while it was prepared".to_owned(), cx);
        }
        let request = FetchRequest {
            container: launch.id.clone(),
            directory: launch.config.directory.clone(),
            uris: launch.config.command.uris.clone(),
            user: launch.user,
        };
        let fetching = self.fetcher.ask_later(move |fetcher, cx| fetcher.fetch(request, cx));
        cx.defer(fetching, move |this, fetched, cx| match fetched {
            Ok(Ok(())) => this.fetched(launch, cx),
            Ok(Err(error)) => this.failed(launch, error.to_string(), cx),
            Err(gone) => this.failed(launch, gone.to_string(), cx),
        });
    }

    fn fetched(&mut self, launch: Launch, cx: &mut Ctx<Self>) {
        if !self.step(&launch.id, State::Isolating) {
            return self.failed(launch, "destroyed while it fetched".to_owned(), cx);
        }
        let command = match posix::command(&launch.config, launch.user) {
            Ok(command) => command,
            Err(reason) => return self.failed(launch, reason, cx),
        };
        let starting = cx.subprocesses().spawn(command);
        cx.defer(starting, move |this, started, cx| match started {
            Ok(child) => this.started(launch, child, cx),
            Err(error) => this.failed(launch, error.to_string(), cx),
        });
    }

    fn started(&mut self, launch: Launch, child: Child, cx: &mut Ctx<Self>) {
        let (id, pid) = (launch.id.clone(), child.pid);
        if let Some(container) = self.containers.get_mut(&id) {
            container.pid = Some(pid);
        }
        let ended = id.clone();
        cx.defer(child.ended, move |this, end, cx| this.ended(&ended, end, cx));
        let checkpoint = launch.config.pid_checkpoint.clone();
        let disk = cx.disk();
        let isolating: Vec<_> = self.isolators.iter().map(|i| i.isolate(&id, pid)).collect();
        // The command runs already: a slave that crashes before the process id is on disk does not
        // find it again. Such an executor notices that its slave is gone, and ends by itself.
        let isolated = async move {
            if let Some(path) = checkpoint {
                let text = pid.to_string().into();
                disk.write(&path, text).await.map_err(|error| error.to_string())?;
            }
            futures::future::try_join_all(isolating).await.map_err(|error| error.to_string())
        };
        cx.defer(isolated, move |this, isolated, cx| match isolated {
            Ok(_) if this.step(&launch.id, State::Running) => {
                let _ = launch.reply.send(Ok(()));
                this.finish_if_ended(&launch.id, cx);
            }
            Ok(_) => this.failed(launch, "destroyed while it was started".to_owned(), cx),
            Err(reason) => this.failed(launch, reason, cx),
        });
    }

    fn step(&mut self, id: &ContainerId, next: State) -> bool {
        match self.containers.get_mut(id) {
            Some(container) if container.state.may_become(next) => {
                container.state = next;
                true
            }
            _ => false,
        }
    }

    /// A stage failed: what runs is killed, then the container is cleaned up.
    fn failed(&mut self, launch: Launch, reason: String, cx: &mut Ctx<Self>) {
        slog::warn!(cx.log(), "container launch failed";
            "container" => %launch.id, "reason" => &reason);
        let Launch { id, reply, .. } = launch;
        if let Some(container) = self.containers.get_mut(&id) {
            container.failure = Some(reason.clone());
            container.state = State::Destroying;
        }
        self.kill(&id, cx);
        let _ = reply.send(Err(ContainerError::Launch { id, reason }));
    }
}

/// The end of a container.
impl MesosContainerizer {
    fn ended(&mut self, id: &ContainerId, end: Ended, cx: &mut Ctx<Self>) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.ended = Some(end);
        // A launch that is not over yet goes on: it was one, however short, and no failure.
        if container.state != State::Isolating {
            self.finish_if_ended(id, cx);
        }
    }

    fn finish_if_ended(&mut self, id: &ContainerId, cx: &mut Ctx<Self>) {
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
        if self.step(id, State::Destroying) {
            // Before the command is started there is nothing to kill: the launch notices.
            self.kill(id, cx);
        }
    }

    /// Kills what is left; cleans up once the first process has been reaped.
    fn kill(&mut self, id: &ContainerId, cx: &mut Ctx<Self>) {
        let Some(container) = self.containers.get(id) else { return };
        if let Some(pid) = container.pid
            && let Err(error) = cx.subprocesses().signal(Target::Tree(pid), SIGKILL)
        {
            slog::warn!(cx.log(), "cannot kill container";
                "container" => %id, "reason" => %error);
        }
        let started = container.pid.is_some();
        let over = container.ended.is_some() || (!started && container.failure.is_some());
        let id = id.clone();
        if over {
            let cleaning: Vec<_> = self.isolators.iter().rev().map(|i| i.cleanup(&id)).collect();
            let cleaning = futures::future::join_all(cleaning);
            cx.defer(cleaning, move |this, _, cx| this.cleaned_up(&id, cx));
        } else if started {
            // Processes that were forked meanwhile are caught in the next round.
            cx.after(KILL_AGAIN, move |this, cx| this.kill(&id, cx));
        }
    }

    fn cleaned_up(&mut self, id: &ContainerId, _: &mut Ctx<Self>) {
        let Some(container) = self.containers.remove(id) else { return };
        let termination = Termination {
            status: container.ended.and_then(|ended| ended.status),
            message: container.failure.unwrap_or_default(),
            ..Termination::default()
        };
        for waiting in container.waiting {
            let _ = waiting.send(termination.clone());
        }
        self.remember(id, termination);
    }

    fn remember(&mut self, id: &ContainerId, termination: Termination) {
        if self.remembered.len() == MAX_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((id.clone(), termination));
    }

    pub(super) fn usage(
        &self,
        id: &ContainerId,
        cx: &Ctx<Self>,
    ) -> ContainerFuture<mesos::ResourceStatistics> {
        let Some(container) = self.containers.get(id) else {
            let unknown = ContainerError::Unknown(id.clone());
            return Box::pin(async { Err(unknown) });
        };
        // What was allocated is both: nothing is given beyond it yet.
        let cpus = Some(container.resources.cpus());
        let mem = Some((container.resources.mem() * 1_048_576.0) as u64);
        let mut statistics = mesos::ResourceStatistics {
            timestamp: cx.now().as_secs_f64(),
            cpus_soft_limit: cpus,
            cpus_limit: cpus,
            mem_soft_limit_bytes: mem,
            mem_limit_bytes: mem,
            ..Default::default()
        };
        let parts: Vec<_> = self.isolators.iter().map(|i| i.usage(id)).collect();
        let id = id.clone();
        Box::pin(async move {
            for part in futures::future::join_all(parts).await {
                let part = part.map_err(|error| ContainerError::Operation {
                    id: id.clone(),
                    operation: "measure",
                    reason: error.to_string(),
                })?;
                merge_statistics(&mut statistics, &part);
            }
            Ok(statistics)
        })
    }
}

/// One launch on its way through the stages.
struct Launch {
    id: ContainerId,
    config: ContainerConfig,
    user: Option<(u32, u32)>,
    reply: oneshot::Sender<Result<(), ContainerError>>,
}

impl MesosContainerizer {
    /// Watches a process that an earlier slave started; it is no child of ours.
    pub(super) fn take_over(&mut self, id: ContainerId, pid: u32, cx: &mut Ctx<Self>) {
        let container = Container {
            state: State::Running,
            resources: Resources::new(),
            pid: Some(pid),
            ended: None,
            failure: None,
            waiting: Vec::new(),
        };
        self.containers.insert(id.clone(), container);
        let gone = cx.subprocesses().wait(pid);
        cx.defer(gone, move |this, end, cx| this.ended(&id, end, cx));
    }
}
