//! The containerizer that needs nothing but the operating system: a launcher, and the isolators that
//! the flag `isolation` names.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::channel::oneshot;
use isolators::images::{Images, Provider};
use isolators::{Allocation, Isolator, Limitation, merge_statistics};
use libprocess::subprocess::Ended;
use libprocess::{Ctx, Handle, Node, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos;

use super::front::Front;
use super::launcher::{self, Launcher, LauncherError, LauncherKind, Victim};
use super::states::State;
use super::{ContainerError, ContainerFuture, Containerizer, RecoveredContainer, Termination};
use crate::fetcher::{Fetcher, FetcherOptions};
use crate::logger::LoggerOptions;
use crate::provisioner::{self, ProvisionerOptions};

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
    /// What else the fetcher is told.
    pub fetching: FetcherOptions,
    /// How containers are started (flag `launcher`).
    pub launcher: LauncherKind,
    /// Program and leading arguments of `mesos-containerizer`.
    pub helper: Vec<String>,
    /// Who takes containers' output; files without bounds when absent (flag `container_logger`).
    pub logger: Option<LoggerOptions>,
    /// What containers ask for that ask for nothing (flag `default_container_info`).
    pub default_container: Option<mesos::ContainerInfo>,
    /// Who provides images, if anybody does (flag `image_providers`).
    pub provisioner: Option<ProvisionerOptions>,
    /// What isolators are told; the launcher shares the cgroups. The field `isolation` above wins.
    pub isolators: isolators::Options,
}

impl Default for ContainerizerOptions {
    fn default() -> Self {
        Self {
            isolation: "posix/cpu,posix/mem".to_owned(),
            fetcher: vec!["mesos-fetcher".to_owned()],
            frameworks_home: None,
            fetching: FetcherOptions::default(),
            launcher: LauncherKind::Direct,
            helper: vec!["mesos-containerizer".to_owned()],
            logger: None,
            provisioner: None,
            default_container: None,
            isolators: isolators::Options::default(),
        }
    }
}

/// The containerizer cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The isolators that were asked for cannot be served.
    #[error(transparent)]
    Isolation(#[from] isolators::select::SelectError),
    /// Nor the launcher.
    #[error(transparent)]
    Launcher(#[from] LauncherError),
}

pub(super) struct Container {
    pub(super) state: State,
    pub(super) allocation: Allocation,
    pub(super) sandbox: PathBuf,
    pub(super) pid: Option<u32>,
    pub(super) ended: Option<Ended>,
    /// Why the launch failed, if it did.
    pub(super) failure: Option<String>,
    /// The limit that it exceeded, if it did.
    pub(super) limitation: Option<Limitation>,
    /// Dropped when it is destroyed while its image is provided.
    pub(super) cancel: Option<oneshot::Sender<()>>,
    /// Its isolators are cleaning up.
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
            limitation: None,
            cancel: None,
            cleaning: false,
            waiting: Vec::new(),
        }
    }
}

/// The process `mesos-containerizer(1)`.
pub struct MesosContainerizer {
    pub(super) isolators: Vec<Arc<dyn Isolator>>,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) fetcher: Handle<Fetcher>,
    pub(super) images: Option<provisioner::Front>,
    pub(super) default_container: Option<mesos::ContainerInfo>,
    /// Where a container with a root of its own sees its sandbox.
    pub(super) sandbox_directory: PathBuf,
    /// Where executors find the helper.
    pub(super) launcher_dir: String,
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
/// When the isolators or the launcher that are asked for cannot be served.
pub fn start(
    node: &Node,
    options: ContainerizerOptions,
) -> Result<Arc<dyn Containerizer>, StartError> {
    let images = options.provisioner.clone().map(|options| provisioner::start(node, options));
    let provider = images.clone().map(|front| Arc::new(front) as Arc<dyn Images>);
    let isolation = isolators::Options {
        image_providers: images.is_some(),
        images: Provider(provider),
        isolation: options.isolation.clone(),
        linux_launcher: options.launcher == LauncherKind::Linux,
        ..options.isolators.clone()
    };
    let isolators = isolators::start(node, &isolation)?;
    let launcher = launcher::start(node, &options)?;
    let fetcher = Fetcher::new(FetcherOptions {
        helper: options.fetcher,
        frameworks_home: options.frameworks_home,
        ..options.fetching
    });
    let fetcher = node.spawn_numbered("fetcher", fetcher);
    let (containers, remembered) = (BTreeMap::new(), VecDeque::new());
    let sandbox_directory = options.isolators.sandbox_directory.clone();
    let helper = options.helper.first().map(|program| Path::new(program).parent());
    let launcher_dir = helper.flatten().unwrap_or(Path::new("")).display().to_string();
    let process = MesosContainerizer {
        isolators,
        launcher,
        fetcher,
        images,
        default_container: options.default_container.clone(),
        sandbox_directory,
        launcher_dir,
        containers,
        remembered,
    };
    node.metrics().counter("containerizer/mesos/container_destroy_errors");
    Ok(Arc::new(Front(node.spawn_numbered("mesos-containerizer", process))))
}

impl MesosContainerizer {
    pub(super) fn step(&mut self, id: &ContainerId, next: State) -> bool {
        match self.containers.get_mut(id) {
            Some(container) if container.state.may_become(next) => {
                container.state = next;
                true
            }
            _ => false,
        }
    }

    pub(super) fn remember(&mut self, id: &ContainerId, termination: Termination) {
        if self.remembered.len() == MAX_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((id.clone(), termination));
    }

    /// Watches processes that an earlier slave started, which are no children of ours, and has what
    /// else of that slave is found killed.
    pub(super) fn take_over(&mut self, known: &[RecoveredContainer], cx: &mut Ctx<Self>) {
        for found in known {
            let id = found.id.clone();
            let gone = self.launcher.adopt(found, cx.subprocesses());
            // The number of a process that is gone may be another's by now: it is not signalled.
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
        let known: BTreeSet<ContainerId> = known.iter().map(|found| found.id.clone()).collect();
        for orphan in self.launcher.orphans(&known) {
            slog::info!(cx.log(), "killing what an earlier slave left"; "container" => %orphan);
            let (id, sandbox) = (orphan.clone(), PathBuf::new());
            let victim = Victim { id, pid: None, ended: false, sandbox };
            let killed = self.launcher.destroy(victim, cx.subprocesses());
            cx.defer(killed, move |_, killed, cx| {
                if let Err(reason) = killed {
                    slog::warn!(cx.log(), "cannot kill it";
                        "container" => %orphan, "reason" => reason);
                }
            });
        }
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
        let Allocation { resources, limits } = &container.allocation;
        // Where no limit is set, what was allocated is the limit too; an infinite one is none.
        let megabytes = |mem: f64| (mem * 1_048_576.0) as u64;
        let finite = |limit: Option<f64>, allocated: f64| {
            Some(limit.unwrap_or(allocated)).filter(|limit| limit.is_finite())
        };
        let timestamp = cx.now().as_secs_f64();
        let mut statistics = mesos::ResourceStatistics {
            cpus_soft_limit: Some(resources.cpus()),
            cpus_limit: finite(limits.cpus, resources.cpus()),
            mem_soft_limit_bytes: Some(megabytes(resources.mem())),
            mem_limit_bytes: finite(limits.mem, resources.mem()).map(megabytes),
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
            statistics.timestamp = timestamp;
            Ok(statistics)
        })
    }

    pub(super) fn status(&self, id: &ContainerId) -> ContainerFuture<mesos::ContainerStatus> {
        let Some(container) = self.containers.get(id) else {
            let unknown = ContainerError::Unknown(id.clone());
            return Box::pin(async { Err(unknown) });
        };
        let mut status = mesos::ContainerStatus {
            container_id: Some(id.wire()),
            executor_pid: container.pid,
            ..Default::default()
        };
        let parts: Vec<_> = self.isolators.iter().map(|i| i.status(id)).collect();
        Box::pin(async move {
            for part in futures::future::join_all(parts).await {
                // An isolator that cannot tell keeps nobody from knowing the rest.
                isolators::merge_status(&mut status, &part.unwrap_or_default());
            }
            Ok(status)
        })
    }
}
