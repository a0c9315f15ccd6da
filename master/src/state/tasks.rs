//! The tasks of one framework: active, completed, unreachable.

use std::collections::{BTreeMap, VecDeque};

use protos::ids::{SlaveId, TaskId};
use protos::mesos;
use protos::resources::Resources;
use protos::task_state::is_terminal;

/// A task as the master knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskEntry {
    pub(crate) slave: SlaveId,
    /// What it holds, allocated to its role; empty once released.
    pub(crate) resources: Resources,
    wire: mesos::Task,
}

impl TaskEntry {
    pub(crate) fn new(wire: mesos::Task) -> Self {
        let slave = SlaveId::from(&wire.slave_id);
        // Resources were validated when the task was accepted, or come from a slave that did.
        let resources = Resources::from_wire(&wire.resources).unwrap_or_default();
        let mut entry = Self { slave, resources, wire };
        if is_terminal(entry.state()) {
            entry.resources = Resources::new();
        }
        entry
    }

    pub(crate) fn wire(&self) -> &mesos::Task {
        &self.wire
    }

    pub(crate) fn state(&self) -> mesos::TaskState {
        self.wire.state()
    }

    /// The state that its framework was told last, which may be older than the latest.
    pub(crate) fn told_state(&self) -> mesos::TaskState {
        match self.wire.status_update_state {
            Some(_) => self.wire.status_update_state(),
            None => self.state(),
        }
    }

    /// Takes note of an update. The latest state never leaves a terminal one (invariant I3).
    /// Returns what is set free.
    pub(crate) fn update(
        &mut self,
        status: &mesos::TaskStatus,
        uuid: Option<&bytes::Bytes>,
        latest: mesos::TaskState,
    ) -> Resources {
        if !is_terminal(self.state()) {
            self.wire.set_state(latest);
        }
        self.wire.status_update_state = Some(status.state);
        self.wire.status_update_uuid = uuid.cloned();
        let kept = mesos::TaskStatus { data: None, ..status.clone() };
        match self.wire.statuses.last_mut() {
            Some(last) if last.state == kept.state => *last = kept,
            _ => self.wire.statuses.push(kept),
        }
        if is_terminal(self.state()) {
            std::mem::take(&mut self.resources)
        } else {
            Resources::new()
        }
    }
}

/// All tasks of a framework.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    active: BTreeMap<TaskId, TaskEntry>,
    completed: VecDeque<TaskEntry>,
    unreachable: BTreeMap<TaskId, TaskEntry>,
}

impl Tasks {
    /// Tasks that the framework has not seen end yet.
    pub(crate) fn active(&self) -> &BTreeMap<TaskId, TaskEntry> {
        &self.active
    }

    pub(crate) fn completed(&self) -> impl Iterator<Item = &TaskEntry> {
        self.completed.iter()
    }

    pub(crate) fn unreachable(&self) -> &BTreeMap<TaskId, TaskEntry> {
        &self.unreachable
    }

    pub(crate) fn add(&mut self, id: TaskId, task: TaskEntry) {
        self.unreachable.remove(&id);
        self.active.insert(id, task);
    }

    pub(crate) fn get(&self, id: &TaskId) -> Option<&TaskEntry> {
        self.active.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &TaskId) -> Option<&mut TaskEntry> {
        self.active.get_mut(id)
    }

    /// Moves a task to the completed ones, of which the newest `keep` stay.
    pub(crate) fn complete(&mut self, id: &TaskId, keep: usize) {
        if let Some(task) = self.active.remove(id) {
            self.completed.push_back(task);
            while self.completed.len() > keep {
                self.completed.pop_front();
            }
        }
    }

    /// Moves a task to the unreachable ones, of which at most `keep` stay.
    pub(crate) fn lose(&mut self, id: &TaskId, keep: usize) {
        if let Some(task) = self.active.remove(id) {
            self.unreachable.insert(id.clone(), task);
            while self.unreachable.len() > keep {
                self.unreachable.pop_first();
            }
        }
    }

    /// Ids of the active tasks on a slave.
    pub(crate) fn on_slave(&self, slave: &SlaveId) -> Vec<TaskId> {
        let here = self.active.iter().filter(|(_, task)| task.slave == *slave);
        here.map(|(id, _)| id.clone()).collect()
    }
}
