//! What runs containers: the seam between the slave and the host.

mod command_task;
mod composing;
pub mod docker;
mod ending;
mod front;
pub mod helper;
mod launcher;
mod launching;
pub mod mesos_containerizer;
mod served;
mod states;

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::future::BoxFuture;
use isolators::Allocation;
use libprocess::subprocess::ExitStatus;
use protos::ids::ContainerId;
use protos::mesos;

pub use composing::Composing;
pub use launcher::{LauncherError, LauncherKind};
pub use mesos_containerizer::{ContainerizerOptions, MesosContainerizer, StartError, start};

pub(crate) use launcher::linux_is_usable;

/// What a container is to run, where, and with how much.
#[derive(Debug, Clone)]
pub struct ContainerConfig {
    /// The executor whose container this is.
    pub executor_info: mesos::ExecutorInfo,
    /// The command to run as argv and URIs to fetch first; for command tasks this is the command
    /// executor.
    pub command: mesos::CommandInfo,
    /// The task, when the container was made for a command task.
    pub task_info: Option<mesos::TaskInfo>,
    /// What it may use at first: the executor's resources and those of its tasks.
    pub allocation: Allocation,
    /// The sandbox: working directory, place of `stdout` and `stderr`. Exists already.
    pub directory: PathBuf,
    /// The user to run as; None keeps the slave's.
    pub user: Option<String>,
    /// The executor's whole environment.
    pub environment: BTreeMap<String, String>,
    /// Where `forked.pid` is to be written before the command runs, if the framework checkpoints.
    pub pid_checkpoint: Option<PathBuf>,
}

/// A container that an earlier slave started and that may still run.
#[derive(Debug, Clone, PartialEq)]
pub struct RecoveredContainer {
    /// Which container.
    pub id: ContainerId,
    /// Its first process, as it was written down before the command ran.
    pub pid: u32,
    /// The sandbox.
    pub directory: PathBuf,
    /// What it may use.
    pub allocation: Allocation,
    /// The executor whose container it is.
    pub executor_info: mesos::ExecutorInfo,
    /// The user that it runs as; the slave's own when absent.
    pub user: Option<String>,
    /// The executor was made for a command task.
    pub is_command_task: bool,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Termination {
    /// The exit status of the container's first process, when known.
    pub status: Option<ExitStatus>,
    /// The state that its tasks get, when an isolator's limitation ended it.
    pub state: Option<mesos::TaskState>,
    /// Why.
    pub reason: Option<mesos::task_status::Reason>,
    /// For people.
    pub message: String,
    /// The resources whose limit was exceeded.
    pub limited_resources: Vec<mesos::Resource>,
}

/// An operation on a container failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ContainerError {
    /// No such container.
    #[error("unknown container {0}")]
    Unknown(ContainerId),
    /// The container exists already.
    #[error("container {0} exists already")]
    Exists(ContainerId),
    /// A step of the launch failed.
    #[error("cannot launch container {id}: {reason}")]
    Launch {
        /// Which container.
        id: ContainerId,
        /// Which step failed and why.
        reason: String,
    },
    /// A later operation failed.
    #[error("cannot {operation} container {id}: {reason}")]
    Operation {
        /// Which container.
        id: ContainerId,
        /// What was tried, such as `update`.
        operation: &'static str,
        /// Why it failed.
        reason: String,
    },
}

/// An operation under way.
pub type ContainerFuture<T> = BoxFuture<'static, Result<T, ContainerError>>;

/// Runs containers. All calls return at once; their futures end when the work is done.
pub trait Containerizer: Send + Sync {
    /// Prepares, isolates, fetches and starts. A failed launch leaves nothing behind; `wait` of it
    /// then reports the failure.
    fn launch(&self, id: &ContainerId, config: ContainerConfig) -> ContainerFuture<()>;
    /// Lets a container use something else from now on.
    fn update(&self, id: &ContainerId, allocation: Allocation) -> ContainerFuture<()>;
    /// What the container uses now.
    fn usage(&self, id: &ContainerId) -> ContainerFuture<mesos::ResourceStatistics>;
    /// Ids, addresses and cgroups of the container.
    fn status(&self, id: &ContainerId) -> ContainerFuture<mesos::ContainerStatus>;
    /// Ready when the container has ended and is cleaned up. None for an unknown container.
    fn wait(&self, id: &ContainerId) -> BoxFuture<'static, Option<Termination>>;
    /// Kills everything in the container; ready when it is gone.
    fn destroy(&self, id: &ContainerId) -> ContainerFuture<()>;
    /// Takes over containers that an earlier slave started. What else of that slave is found on the
    /// host is destroyed. A container whose process is gone is taken over too, and ends at once.
    fn recover(&self, known: Vec<RecoveredContainer>) -> ContainerFuture<()>;
}
