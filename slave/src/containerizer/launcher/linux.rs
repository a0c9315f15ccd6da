//! The launcher for root: the first process is cloned into the namespaces that isolators ask for,
//! and a cgroup holds all of a container, wherever its processes hide.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use isolators::marks::sandbox_of;
use libprocess::Node;
use libprocess::subprocess::{Ended, Target};
use protos::ids::ContainerId;

use super::cgroup::Cgroups;
use super::posix::{Posix, adopt, forked, launch_info};
use super::{
    ContainerizerOptions, Forked, Launcher, LauncherError, Os, RecoveredContainer, Spec, Victim,
};

/// Between two rounds of killing.
const AGAIN: Duration = Duration::from_millis(5);
/// The longest wait between two rounds.
const AGAIN_MAX: Duration = Duration::from_millis(200);
const SIGKILL: i32 = 9;

pub(super) struct Linux {
    node: Node,
    posix: Posix,
    cgroups: Cgroups,
    work_dir: PathBuf,
    /// How long killing may take (flag `cgroups_destroy_timeout`).
    limit: Duration,
}

impl Linux {
    pub(super) fn new(node: &Node, options: &ContainerizerOptions) -> Result<Self, LauncherError> {
        let refused = |reason| LauncherError { launcher: "linux", reason };
        if !nix::unistd::geteuid().is_root() {
            return Err(refused("only root can use it".to_owned()));
        }
        let told = &options.isolators;
        let cgroups = Cgroups::find(&told.cgroups_hierarchy, &told.cgroups_root);
        Ok(Self {
            node: node.clone(),
            posix: Posix::new(options),
            cgroups: cgroups.map_err(refused)?,
            work_dir: told.work_dir.clone(),
            limit: told.cgroups_destroy_timeout,
        })
    }
}

impl Launcher for Linux {
    fn fork(&self, spec: Spec, os: Os) -> BoxFuture<'static, Result<Forked, String>> {
        let held = self.posix.hold(&spec).and_then(|held| {
            // A child that is dropped here reads the end of its pipe and goes.
            self.cgroups.add(&spec.id, held.pid).map(|()| held)
        });
        drop(os);
        ready(held.map(|held| forked(held, launch_info(&spec)))).boxed()
    }

    fn adopt(&self, container: &RecoveredContainer, _: Os) -> Option<BoxFuture<'static, Ended>> {
        adopt(container)
    }

    fn destroy(&self, victim: Victim, os: Os) -> BoxFuture<'static, Result<(), String>> {
        let (node, cgroups, limit) = (self.node.clone(), self.cgroups.clone(), self.limit);
        let Victim { id, pid, ended, .. } = victim;
        Box::pin(async move {
            if let Some(pid) = pid.filter(|_| !ended) {
                // It may have been forked by a slave that died before it entered the cgroup.
                let _ = os.signal(Target::Process(pid), SIGKILL);
            }
            let (begun, mut wait) = (node.now(), AGAIN);
            while !cgroups.kill(&id)? {
                if node.now().since(begun) > limit {
                    return Err(format!("processes are left after {limit:?}"));
                }
                node.sleep(wait).await;
                wait = (wait * 2).min(AGAIN_MAX);
            }
            Ok(())
        })
    }

    fn orphans(&self, known: &BTreeSet<ContainerId>) -> Vec<ContainerId> {
        let unknown = self.cgroups.containers().into_iter().filter(|id| !known.contains(id));
        // Another slave of this host may use the same cgroup.
        let own = |pid: i32| {
            let sandbox = u32::try_from(pid).ok().and_then(sandbox_of);
            sandbox.is_some_and(|it| it.starts_with(&self.work_dir))
        };
        unknown.filter(|id| self.cgroups.processes(id).into_iter().any(own)).collect()
    }
}
