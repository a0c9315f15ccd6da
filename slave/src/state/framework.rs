//! A framework as a slave knows it.

use std::collections::{BTreeMap, VecDeque};

use libprocess::Pid;
use protos::ids::{ExecutorId, FrameworkId};
use protos::mesos;
use protos::mesos::framework_info::capability::Type as Capability;

use super::Executor;

/// A framework that has, or had, executors here.
#[derive(Debug)]
pub(crate) struct Framework {
    pub(crate) id: FrameworkId,
    pub(crate) info: mesos::FrameworkInfo,
    /// Where its scheduler is; none when messages go by the master.
    pub(crate) pid: Option<Pid>,
    /// It is being shut down: its tasks' updates are of no interest any more.
    pub(crate) terminating: bool,
    pub(crate) executors: BTreeMap<ExecutorId, Executor>,
    pub(crate) completed: VecDeque<Executor>,
}

impl Framework {
    pub(crate) fn new(id: FrameworkId, info: mesos::FrameworkInfo, pid: Option<Pid>) -> Self {
        Self {
            id,
            info,
            pid,
            terminating: false,
            executors: BTreeMap::new(),
            completed: VecDeque::new(),
        }
    }

    pub(crate) fn checkpoints(&self) -> bool {
        self.info.checkpoint()
    }

    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.info.capabilities.iter().any(|c| c.r#type() == capability)
    }

    /// The state for partition-aware frameworks, or its older stand-in for the others.
    pub(crate) fn aware(&self, state: mesos::TaskState) -> mesos::TaskState {
        if self.has(Capability::PartitionAware) { state } else { mesos::TaskState::TaskLost }
    }

    /// Moves an executor to the completed ones, of which the newest `keep` stay.
    pub(crate) fn complete(&mut self, id: &ExecutorId, keep: usize) {
        if let Some(executor) = self.executors.remove(id) {
            self.completed.push_back(executor);
            while self.completed.len() > keep {
                self.completed.pop_front();
            }
        }
    }
}
