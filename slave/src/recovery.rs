//! What an earlier run of the slave left on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use libprocess::Pid;
use libprocess::disk::{Disk, DiskError};
use protos::mesos;

use crate::{checkpoint, paths};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The slave as it told of itself.
    pub(crate) info: Option<mesos::SlaveInfo>,
    /// Executors that may still run; they are told to shut down.
    pub(crate) executors: Vec<Pid>,
}

/// Reads the newest slave's checkpoints. A fresh working directory is no error.
///
/// # Errors
/// Text naming what cannot be read.
pub(crate) async fn recover(disk: Arc<dyn Disk>, work_dir: PathBuf) -> Result<Recovered, String> {
    let latest = match disk.canonicalize(&paths::latest_slave(&work_dir)).await {
        Ok(latest) => latest,
        Err(error) if error.is_not_found() => return Ok(Recovered::default()),
        Err(error) => return Err(error.to_string()),
    };
    let bytes = match disk.read(&latest.join("slave.info")).await {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(Recovered::default()),
        Err(error) => return Err(error.to_string()),
    };
    let info = checkpoint::decode_one::<mesos::SlaveInfo>(&bytes)
        .map_err(|error| format!("{}: {error}", latest.join("slave.info").display()))?;
    let executors = executors(&*disk, &latest).await.map_err(|error| error.to_string())?;
    Ok(Recovered { info: Some(info), executors })
}

/// The PIDs in `frameworks/*/executors/*/runs/*/pids/libprocess.pid` of runs that are not over. They
/// are over from now on: by the next start somebody else may have such a PID.
async fn executors(disk: &dyn Disk, slave: &Path) -> Result<Vec<Pid>, DiskError> {
    let mut level = vec![slave.join("frameworks")];
    for next in ["executors", "runs"] {
        level = children(disk, &level).await;
        level = level.into_iter().map(|path| path.join(next)).collect();
    }
    let mut pids = Vec::new();
    // The link to the newest run leads to a run that is listed by itself.
    let runs = children(disk, &level).await.into_iter().filter(|run| !run.ends_with("latest"));
    for run in runs {
        let sentinel = paths::sentinel(&run);
        if disk.stat(&sentinel).await.is_ok() {
            continue;
        }
        if let Ok(text) = disk.read(&run.join("pids/libprocess.pid")).await {
            pids.extend(String::from_utf8_lossy(&text).parse::<Pid>().ok());
        }
        disk.write(&sentinel, Bytes::new()).await?;
    }
    Ok(pids)
}

async fn children(disk: &dyn Disk, directories: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in directories {
        // A directory that is missing has no children.
        let entries = disk.list(directory).await.unwrap_or_default();
        found.extend(entries.into_iter().map(|entry| entry.path));
    }
    found
}

/// True when a slave with that info may go on under the id of the other: same host name,
/// attributes and resources.
pub(crate) fn is_compatible(now: &mesos::SlaveInfo, then: &mesos::SlaveInfo) -> bool {
    now.hostname == then.hostname
        && now.attributes == then.attributes
        && now.resources == then.resources
        && now.domain == then.domain
}
