//! The process `docker-containerizer(1)`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use isolators::Allocation;
use libprocess::subprocess::Ended;
use libprocess::{Ctx, Handle, Node, Process, Routes};
use protos::ids::ContainerId;
use serde_json::Value;

use super::api::Api;
use super::front::Front;
use crate::containerizer::launcher::{self, Launcher};
use crate::containerizer::{
    Containerizer, ContainerizerOptions, LauncherError, RecoveredContainer, Termination,
};
use crate::fetcher::{Fetcher, FetcherOptions};

/// Ended containers whose end is still known to who asks late.
const MAX_REMEMBERED: usize = 1024;

/// What the containerizer is told once.
#[derive(Debug, Clone)]
pub struct DockerOptions {
    /// Socket of the daemon (flag `docker_socket`).
    pub socket: PathBuf,
    /// Program and leading arguments of `mesos-docker-executor`.
    pub executor: Vec<String>,
    /// Where containers see their sandbox (flag `sandbox_directory`).
    pub mapped: PathBuf,
    /// Whose containers these are, and where persistent volumes lie.
    pub work_dir: PathBuf,
    /// Where cgroups are mounted (flag `cgroups_hierarchy`).
    pub hierarchy: PathBuf,
    /// CPUs are limits, too (flag `cgroups_enable_cfs`).
    pub cfs: bool,
    /// Variables for all containers (flag `executor_environment_variables`).
    pub environment: BTreeMap<String, String>,
    /// Credentials for registries, in docker's form (flag `docker_config`).
    pub config: Option<Value>,
    /// From being asked to stop to being killed (flag `docker_stop_timeout`).
    pub stop_timeout: Duration,
    /// From its end to its removal (flag `docker_remove_delay`).
    pub remove_delay: Duration,
    /// Containers of an earlier slave that nobody knows are killed (flag `docker_kill_orphans`).
    pub kill_orphans: bool,
}

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Fetching,
    Pulling,
    Starting,
    Running,
    Destroying,
}

pub(super) struct Container {
    pub(super) state: State,
    pub(super) allocation: Allocation,
    pub(super) sandbox: PathBuf,
    /// The helper.
    pub(super) pid: Option<u32>,
    pub(super) ended: Option<Ended>,
    pub(super) failure: Option<String>,
    /// Dropped when it is destroyed while its image is pulled.
    pub(super) cancel: Option<oneshot::Sender<()>>,
    pub(super) cleaning: bool,
    pub(super) waiting: Vec<oneshot::Sender<Termination>>,
}

impl Container {
    pub(super) fn new(state: State, allocation: Allocation, sandbox: PathBuf) -> Self {
        Self {
            state,
            allocation,
            sandbox,
            pid: None,
            ended: None,
            failure: None,
            cancel: None,
            cleaning: false,
            waiting: Vec::new(),
        }
    }
}

/// The actor.
pub struct DockerContainerizer {
    pub(super) options: DockerOptions,
    pub(super) api: Api,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) fetcher: Handle<Fetcher>,
    pub(super) containers: BTreeMap<ContainerId, Container>,
    pub(super) remembered: VecDeque<(ContainerId, Termination)>,
}

impl Process for DockerContainerizer {
    fn routes(_: &mut Routes<Self>) {}
}

/// Starts the containerizer with a fetcher of its own on a node; `options` are those of the other
/// containerizer, whose launcher and fetcher it shares.
///
/// # Errors
/// When there is no daemon's socket.
pub fn start(
    node: &Node,
    docker: DockerOptions,
    options: &ContainerizerOptions,
) -> Result<Arc<dyn Containerizer>, LauncherError> {
    if !docker.socket.exists() {
        let reason = format!("there is no {} (flag docker_socket)", docker.socket.display());
        return Err(LauncherError { launcher: "docker", reason });
    }
    let fetcher = Fetcher::new(FetcherOptions {
        helper: options.fetcher.clone(),
        frameworks_home: options.frameworks_home.clone(),
        cache_dir: options.fetching.cache_dir.join("docker"),
        ..options.fetching.clone()
    });
    let process = DockerContainerizer {
        api: Api::new(&docker.socket),
        options: docker,
        launcher: launcher::posix(options),
        fetcher: node.spawn_numbered("fetcher", fetcher),
        containers: BTreeMap::new(),
        remembered: VecDeque::new(),
    };
    Ok(Arc::new(Front(node.spawn_numbered("docker-containerizer", process))))
}

/// The name of a container, as docker and operators know it.
pub(super) fn name(id: &ContainerId) -> String {
    format!("mesos-{id}")
}

impl DockerContainerizer {
    pub(super) fn remember(&mut self, id: &ContainerId, termination: Termination) {
        if self.remembered.len() == MAX_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((id.clone(), termination));
    }

    /// True when the container was in `from` and is in `to` now.
    pub(super) fn step(&mut self, id: &ContainerId, from: State, to: State) -> bool {
        match self.containers.get_mut(id) {
            Some(container) if container.state == from => {
                container.state = to;
                true
            }
            _ => false,
        }
    }

    /// Watches helpers that an earlier slave started, and sees to what else that slave left.
    pub(super) fn take_over(&mut self, known: &[RecoveredContainer], cx: &mut Ctx<Self>) {
        for found in known {
            let id = found.id.clone();
            let gone = self.launcher.adopt(found, cx.subprocesses());
            let pid = gone.is_some().then_some(found.pid);
            let (allocation, sandbox) = (found.allocation.clone(), found.directory.clone());
            let running = Container::new(State::Running, allocation, sandbox);
            let container = Container { pid, ..running };
            self.containers.insert(id.clone(), container);
            match gone {
                Some(gone) => cx.defer(gone, move |this, end, cx| this.ended(&id, end, cx)),
                None => cx.later(move |this, cx| this.ended(&id, launcher::unknown_end(), cx)),
            }
        }
        let known: BTreeSet<String> = known.iter().map(|found| name(&found.id)).collect();
        let label = format!("{}={}", super::WORK_DIR, self.options.work_dir.display());
        let api = self.api.clone();
        let listed = async move { api.list(&label).await };
        cx.defer(listed, move |this, listed, cx| match listed {
            Ok(names) => {
                let orphans = names.into_iter().filter(|name| !known.contains(name));
                orphans.for_each(|orphan| this.orphan(orphan, cx));
            }
            Err(error) => slog::warn!(cx.log(), "orphans are not looked for"; "reason" => %error),
        });
    }

    /// What nobody knows is stopped, and removed as others are.
    fn orphan(&mut self, orphan: String, cx: &mut Ctx<Self>) {
        if !self.options.kill_orphans {
            return;
        }
        slog::info!(cx.log(), "stopping what an earlier slave left"; "container" => &orphan);
        let (api, grace, stopped) = (self.api.clone(), self.options.stop_timeout, orphan.clone());
        let stopping = async move { api.stop(&stopped, grace).await };
        cx.defer(stopping, move |this, stopped, cx| {
            if let Err(error) = stopped {
                slog::warn!(cx.log(), "it is left"; "container" => &orphan, "reason" => %error);
            }
            this.remove_later(orphan, cx);
        });
    }

    /// Operators may look at what has ended for a while.
    pub(super) fn remove_later(&mut self, name: String, cx: &mut Ctx<Self>) {
        cx.after(self.options.remove_delay, move |this, cx| {
            let (api, removed) = (this.api.clone(), name.clone());
            let removing = async move { api.remove(&removed).await };
            cx.defer(removing, move |_, removed, cx| {
                if let Err(error) = removed.or_else(super::DockerError::or_gone) {
                    slog::warn!(cx.log(), "container is left"; "container" => name,
                        "reason" => %error);
                }
            });
        });
    }
}
