//! What an earlier run of the slave left on disk, and what it means now.
//!
//! `read` walks the checkpoints, `rebuild` makes the slave's books of what it found, `compat` says
//! whether a slave that was told other things may go on under the old id.

mod compat;
mod read;
mod rebuild;

use libprocess::Pid;
use protos::ids::{ContainerId, ExecutorId, FrameworkId};
use protos::mesos;
use protos::mesos::internal::StatusUpdate;

pub use compat::ReconfigurationPolicy;
pub(crate) use compat::is_compatible;
pub(crate) use read::recover;
pub(crate) use rebuild::{Plan, rebuild};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The boot id of the host, if it has one.
    pub(crate) boot_id: Option<String>,
    /// The boot id that the earlier run wrote down.
    pub(crate) old_boot_id: Option<String>,
    /// The slave as it told of itself.
    pub(crate) info: Option<mesos::SlaveInfo>,
    /// Reserved resources and volumes.
    pub(crate) resources: Vec<mesos::Resource>,
    /// What they were about to become.
    pub(crate) resources_target: Option<Vec<mesos::Resource>>,
    pub(crate) frameworks: Vec<FoundFramework>,
    /// What could not be read and was left out; never any when recovery is strict.
    pub(crate) errors: Vec<String>,
}

impl Recovered {
    /// True when the host was started anew since: nothing that ran then runs now.
    pub(crate) fn rebooted(&self) -> bool {
        match (&self.old_boot_id, &self.boot_id) {
            (Some(then), Some(now)) => then != now,
            _ => false,
        }
    }
}

/// A framework's checkpoints.
#[derive(Debug)]
pub(crate) struct FoundFramework {
    pub(crate) id: FrameworkId,
    pub(crate) info: mesos::FrameworkInfo,
    pub(crate) pid: Option<Pid>,
    pub(crate) executors: Vec<FoundExecutor>,
}

/// An executor's checkpoints, with those of its newest run.
#[derive(Debug)]
pub(crate) struct FoundExecutor {
    pub(crate) id: ExecutorId,
    pub(crate) info: mesos::ExecutorInfo,
    pub(crate) generated: bool,
    pub(crate) container: ContainerId,
    /// Its books were closed.
    pub(crate) over: bool,
    pub(crate) forked: Option<u32>,
    pub(crate) pid: Option<Pid>,
    pub(crate) tasks: Vec<FoundTask>,
}

/// A task's checkpoints: what it is, its updates in order, and which were acknowledged.
#[derive(Debug)]
pub(crate) struct FoundTask {
    pub(crate) task: mesos::Task,
    pub(crate) updates: Vec<StatusUpdate>,
    pub(crate) acknowledged: Vec<bytes::Bytes>,
}
