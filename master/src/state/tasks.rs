//! The tasks of one framework: active, completed, unreachable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

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

/// All tasks of a framework. Entries are shared with snapshots until they change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    active: BTreeMap<TaskId, Arc<TaskEntry>>,
    /// Ids of the active tasks by slave; no set is empty.
    by_slave: BTreeMap<SlaveId, BTreeSet<TaskId>>,
    completed: VecDeque<Arc<TaskEntry>>,
    unreachable: BTreeMap<TaskId, Arc<TaskEntry>>,
}

impl Tasks {
    /// Tasks that the framework has not seen end yet.
    pub(crate) fn active(&self) -> &BTreeMap<TaskId, Arc<TaskEntry>> {
        &self.active
    }

    pub(crate) fn completed(&self) -> impl Iterator<Item = &TaskEntry> {
        self.completed.iter().map(|task| &**task)
    }

    pub(crate) fn unreachable(&self) -> &BTreeMap<TaskId, Arc<TaskEntry>> {
        &self.unreachable
    }

    /// All of them: active, then unreachable, then completed.
    pub(crate) fn all(&self) -> impl Iterator<Item = &TaskEntry> {
        let known = self.active.values().chain(self.unreachable.values());
        known.chain(&self.completed).map(|task| &**task)
    }

    pub(crate) fn add(&mut self, id: TaskId, task: TaskEntry) {
        self.take(&id);
        self.unreachable.remove(&id);
        self.by_slave.entry(task.slave.clone()).or_default().insert(id.clone());
        self.active.insert(id, Arc::new(task));
    }

    /// Takes a task off the active ones.
    fn take(&mut self, id: &TaskId) -> Option<Arc<TaskEntry>> {
        let task = self.active.remove(id)?;
        if let Some(here) = self.by_slave.get_mut(&task.slave) {
            here.remove(id);
            if here.is_empty() {
                self.by_slave.remove(&task.slave);
            }
        }
        Some(task)
    }

    pub(crate) fn get(&self, id: &TaskId) -> Option<&TaskEntry> {
        self.active.get(id).map(|task| &**task)
    }

    pub(crate) fn get_mut(&mut self, id: &TaskId) -> Option<&mut TaskEntry> {
        self.active.get_mut(id).map(Arc::make_mut)
    }

    /// Moves a task to the completed ones, of which the newest `keep` stay.
    pub(crate) fn complete(&mut self, id: &TaskId, keep: usize) {
        if let Some(task) = self.take(id) {
            self.completed.push_back(task);
            while self.completed.len() > keep {
                self.completed.pop_front();
            }
        }
    }

    /// Moves a task to the unreachable ones, of which at most `keep` stay.
    pub(crate) fn lose(&mut self, id: &TaskId, keep: usize) {
        if let Some(task) = self.take(id) {
            self.unreachable.insert(id.clone(), task);
            while self.unreachable.len() > keep {
                self.unreachable.pop_first();
            }
        }
    }

    /// Ids of the active tasks on a slave.
    pub(crate) fn on_slave(&self, slave: &SlaveId) -> Vec<TaskId> {
        self.by_slave.get(slave).into_iter().flatten().cloned().collect()
    }

    /// The active tasks on a slave.
    pub(crate) fn here(&self, slave: &SlaveId) -> impl Iterator<Item = (&TaskId, &TaskEntry)> {
        let ids = self.by_slave.get(slave).into_iter().flatten();
        ids.filter_map(|id| Some((id, &**self.active.get(id)?)))
    }

    /// True when the framework was told that the task has ended there.
    pub(crate) fn has_ended(&self, id: &TaskId, slave: &SlaveId) -> bool {
        self.completed
            .iter()
            .any(|task| task.slave == *slave && task.wire.task_id.value == id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesos::TaskState::*;

    fn entry(slave: &str, state: mesos::TaskState) -> TaskEntry {
        TaskEntry::new(mesos::Task {
            task_id: TaskId::new("t").wire(),
            slave_id: SlaveId::new(slave).wire(),
            state: state.into(),
            resources: "cpus:1".parse::<Resources>().unwrap().to_wire(),
            ..Default::default()
        })
    }

    fn status(state: mesos::TaskState) -> mesos::TaskStatus {
        mesos::TaskStatus { state: state.into(), ..Default::default() }
    }

    #[test]
    fn task_terminal_state_never_changes() {
        let mut task = entry("S", TaskRunning);
        assert_eq!(task.update(&status(TaskRunning), None, TaskFinished).cpus(), 1.0);
        assert_eq!((task.state(), task.told_state()), (TaskFinished, TaskRunning));
        assert!(task.update(&status(TaskLost), None, TaskLost).is_empty());
        assert_eq!((task.state(), task.told_state()), (TaskFinished, TaskLost));
    }

    #[test]
    fn task_statuses_keep_one_for_each_run_of_equal_states() {
        let mut task = entry("S", TaskStaging);
        for state in [TaskRunning, TaskRunning, TaskKilling, TaskRunning] {
            task.update(&status(state), None, state);
        }
        assert_eq!(task.wire().statuses.len(), 3);
    }

    #[test]
    fn tasks_leave_the_books_of_their_slave_when_they_end() {
        let (mut tasks, slave) = (Tasks::default(), SlaveId::new("S"));
        for id in ["a", "b", "c"] {
            tasks.add(id.into(), entry("S", TaskRunning));
        }
        tasks.add("a".into(), entry("other", TaskRunning));
        tasks.complete(&"b".into(), 1);
        tasks.lose(&"c".into(), 1);
        assert!(tasks.on_slave(&slave).is_empty());
        assert_eq!(tasks.by_slave.len(), 1);
        assert_eq!((tasks.completed().count(), tasks.unreachable().len()), (1, 1));
        tasks.add("c".into(), entry("S", TaskRunning));
        assert!(tasks.unreachable().is_empty());
        assert_eq!(tasks.here(&slave).count(), 1);
    }

    #[test]
    fn tasks_beyond_the_limit_are_forgotten_oldest_first() {
        let mut tasks = Tasks::default();
        for id in ["a", "b"] {
            tasks.add(id.into(), entry(id, TaskRunning));
            tasks.complete(&id.into(), 1);
        }
        let kept: Vec<_> = tasks.completed().map(|task| task.slave.as_str()).collect();
        assert_eq!(kept, ["b"]);
    }
}
