//! What operators can read besides sandboxes: the slave's own log, and persistent volumes where their
//! containers see them.
//!
//! A volume lies outside the sandbox, at best behind a link, and nothing outside what is attached is
//! shown: so it is attached itself, as long as its container holds it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use isolators::volume::persistent::host_path;
use protos::ids::{ContainerId, ExecutorId, FrameworkId};

use super::Slave;
use crate::security::LOG;
use crate::state::{Executor, ExecutorState};

/// The virtual paths of a sandbox, one of which is its real one; `runs` are those of its executor.
pub(super) fn names(
    runs: &Path,
    framework: &FrameworkId,
    executor: &ExecutorId,
    real: &Path,
) -> [String; 3] {
    let latest = runs.join("latest").display().to_string();
    let short = format!("/frameworks/{framework}/executors/{executor}/runs/latest");
    [latest, short, real.display().to_string()]
}

/// The volumes that an executor and its tasks hold, by their paths below the sandbox.
fn volumes(work_dir: &Path, executor: &Executor) -> BTreeMap<String, PathBuf> {
    let held = executor.resources().volumes();
    let found = held.kinds().filter_map(|resource| {
        let path = resource.disk.as_ref()?.volume.as_ref()?.container_path.as_str();
        // Others do not lie in the sandbox, or would stand for all of it.
        let plain = |part| matches!(part, Component::Normal(_));
        let inside = !path.is_empty() && Path::new(path).components().all(plain);
        inside.then_some((path.to_owned(), host_path(work_dir, resource)?))
    });
    found.collect()
}

impl Slave {
    /// Lets operators read this slave's log.
    pub(crate) fn show_log(&self, file: PathBuf) {
        if let Some(files) = &self.files {
            files.tell(move |files, _| files.attach(LOG, file));
        }
    }

    /// Shows the volumes that an executor holds now, and no other ones.
    pub(super) fn show_volumes(&self, framework: &FrameworkId, executor: &ExecutorId) {
        let Some(found) = self.state.executor(framework, executor) else { return };
        if found.state != ExecutorState::Terminated {
            let held = volumes(&self.state.config.work_dir, found);
            self.attach_volumes(framework, executor, &found.container, held);
        }
    }

    /// What a container held may become another one's. A new one of the same executor keeps its own.
    pub(super) fn hide_volumes(
        &self,
        framework: &FrameworkId,
        executor: &ExecutorId,
        container: &ContainerId,
    ) {
        let current = self.state.executor(framework, executor);
        if current.is_none_or(|current| current.container == *container) {
            self.attach_volumes(framework, executor, container, BTreeMap::new());
        }
    }

    fn attach_volumes(
        &self,
        framework: &FrameworkId,
        executor: &ExecutorId,
        container: &ContainerId,
        held: BTreeMap<String, PathBuf>,
    ) {
        let Some(files) = &self.files else { return };
        let (work_dir, slave) = (&self.state.config.work_dir, self.state.id());
        let runs = crate::paths::runs(work_dir, &slave, framework, executor);
        let shown = names(&runs, framework, executor, &runs.join(container.as_str()));
        files.tell(move |files, _| {
            shown.iter().for_each(|name| files.attach_below(name, &held));
        });
    }
}
