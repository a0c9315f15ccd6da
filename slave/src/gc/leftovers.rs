//! What earlier runs of slaves left: sandboxes and checkpoints that nobody uses any more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libprocess::Time;
use libprocess::disk::{Disk, FileInfo};
use protos::ids::{ContainerId, ExecutorId, FrameworkId, SlaveId};

use crate::paths;

/// Runs that are not over.
pub(crate) type Live = BTreeSet<(FrameworkId, ExecutorId, ContainerId)>;

/// Directories of other slaves, and of all runs of this one that are over, with their last change. What cannot be listed is
/// left alone.
pub(crate) async fn leftovers(
    disk: Arc<dyn Disk>,
    work_dir: PathBuf,
    slave: SlaveId,
    live: Live,
) -> Vec<(PathBuf, Time)> {
    let mut found = Vec::new();
    for slaves in [paths::slaves(&work_dir), paths::meta_slaves(&work_dir)] {
        for (directory, since) in directories(&disk, &slaves).await {
            match name(&directory) {
                own if own == slave.as_str() => {
                    of_slave(&disk, &directory, &live, &mut found).await
                }
                link if link == "latest" => {}
                _ => found.push((directory, since)),
            }
        }
    }
    found
}

async fn of_slave(
    disk: &Arc<dyn Disk>,
    slave: &Path,
    live: &Live,
    found: &mut Vec<(PathBuf, Time)>,
) {
    for (framework, since) in directories(disk, &slave.join("frameworks")).await {
        let id = FrameworkId::new(name(&framework));
        if !live.iter().any(|(of, ..)| *of == id) {
            found.push((framework, since));
            continue;
        }
        for (executor, since) in directories(disk, &framework.join("executors")).await {
            let executor_id = ExecutorId::new(name(&executor));
            if !live.iter().any(|(of, it, _)| *of == id && *it == executor_id) {
                found.push((executor, since));
                continue;
            }
            for (run, since) in directories(disk, &executor.join("runs")).await {
                let container = ContainerId::new(name(&run));
                let over = !live.contains(&(id.clone(), executor_id.clone(), container));
                if over && name(&run) != "latest" {
                    found.push((run, since));
                }
            }
        }
    }
}

/// The directories in a directory, and when they were last changed.
async fn directories(disk: &Arc<dyn Disk>, path: &Path) -> Vec<(PathBuf, Time)> {
    let entries = disk.list(path).await.unwrap_or_default();
    let dated = entries.into_iter().filter(FileInfo::is_dir).map(|entry| {
        let secs = u64::try_from(entry.mtime_secs).unwrap_or(0);
        (entry.path, Time::from_nanos(secs.saturating_mul(1_000_000_000)))
    });
    dated.collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
