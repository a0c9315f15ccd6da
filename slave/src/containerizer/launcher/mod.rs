//! How the first process of a container comes to be, and how all of a container goes.
//!
//! `direct` starts the command itself; `fork` holds a child back until its process id is on disk and
//! it is isolated, and then becomes the helper that `posix` and `linux` have the rest done by.

mod cgroup;
mod direct;
mod fork;
mod linux;
mod output;
pub(super) mod posix;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use isolators::LaunchInfo;
use libprocess::Node;
use libprocess::subprocess::{Ended, Remains, Subprocesses};
use protos::ids::ContainerId;

use super::{ContainerConfig, ContainerizerOptions, RecoveredContainer};
pub(crate) use posix::user;

/// Which launcher is used (flag `launcher`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LauncherKind {
    /// Starts commands through the node; nothing can be held back, and isolators get no say in what
    /// happens inside. For nodes that are not real, and for programs that are their own helpers.
    #[default]
    Direct,
    /// A session for each container; needs no privileges.
    Posix,
    /// Namespaces and a cgroup for each container; needs root.
    Linux,
}

/// What is to be started.
pub(super) struct Spec {
    pub(super) id: ContainerId,
    pub(super) config: ContainerConfig,
    /// Numeric user and group.
    pub(super) user: Option<(u32, u32)>,
    /// What isolators want done inside.
    pub(super) info: LaunchInfo,
    /// The root is prepared only: the command stays outside.
    pub(super) keep_root: bool,
}

/// A first process; it is held back until `go` is used. When that is dropped instead, or the slave
/// ends, so does the process.
pub(super) struct Forked {
    pub(super) pid: u32,
    pub(super) go: Go,
    pub(super) ended: BoxFuture<'static, Ended>,
}

/// A container that is to be killed.
pub(super) struct Victim {
    pub(super) id: ContainerId,
    /// Its first process, if it is known.
    pub(super) pid: Option<u32>,
    /// That process has ended: its number may be another's by now.
    pub(super) ended: bool,
    pub(super) sandbox: PathBuf,
}

impl Victim {
    /// What may be left of it.
    fn remains(self) -> Remains {
        // All of its processes have that in their environment, unless they take care not to.
        let mark = Some((DIRECTORY.to_owned(), self.sandbox.display().to_string()));
        Remains { pid: self.pid, reaped: self.ended, mark }
    }
}

/// The variable that names the sandbox.
const DIRECTORY: &str = "MESOS_DIRECTORY";

/// Lets a first process run.
pub(super) type Go = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), String>> + Send>;

/// The system's processes, as a node reaches them.
pub(super) type Os = Arc<dyn Subprocesses>;

/// Starts containers' first processes and kills containers.
pub(super) trait Launcher: Send + Sync {
    /// Starts a first process.
    fn fork(&self, spec: Spec, os: Os) -> BoxFuture<'static, Result<Forked, String>>;
    /// Ready when the first process of a container that an earlier slave started is gone. None when
    /// it is gone already, or the process of that number is another one meanwhile.
    fn adopt(&self, container: &RecoveredContainer, os: Os) -> Option<BoxFuture<'static, Ended>>;
    /// Kills everything in a container; ready when nothing more can be done now.
    fn destroy(&self, victim: Victim, os: Os) -> BoxFuture<'static, Result<(), String>>;
    /// Containers that are on the host and not among the known ones.
    fn orphans(&self, known: &BTreeSet<ContainerId>) -> Vec<ContainerId>;
}

/// The launcher cannot be used on this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("launcher '{launcher}' cannot be used: {reason}")]
pub struct LauncherError {
    /// Its name in the flag `launcher`.
    pub launcher: &'static str,
    /// Why.
    pub reason: String,
}

/// The launcher that options name.
///
/// # Errors
/// When it lacks something on this host.
pub(super) fn start(
    node: &Node,
    options: &ContainerizerOptions,
) -> Result<Arc<dyn Launcher>, LauncherError> {
    Ok(match options.launcher {
        LauncherKind::Direct => Arc::new(direct::Direct),
        LauncherKind::Posix => Arc::new(posix::Posix::new(options)),
        LauncherKind::Linux => Arc::new(linux::Linux::new(node, options)?),
    })
}

/// The launcher that needs nothing.
pub(super) fn posix(options: &ContainerizerOptions) -> Arc<dyn Launcher> {
    Arc::new(posix::Posix::new(options))
}

/// True when the linux launcher can be used here: by root, with a freezer or cgroups of version 2.
pub(crate) fn linux_is_usable(hierarchy: &std::path::Path) -> bool {
    nix::unistd::geteuid().is_root() && cgroup::Cgroups::find(hierarchy, "mesos").is_ok()
}

/// The end of a process that was no child of ours.
pub(super) fn unknown_end() -> Ended {
    Ended { status: None, stdout: bytes::Bytes::new(), stderr: bytes::Bytes::new() }
}

/// Where a container's output goes.
fn outputs(config: &ContainerConfig) -> [PathBuf; 2] {
    ["stdout", "stderr"].map(|name| config.directory.join(name))
}
