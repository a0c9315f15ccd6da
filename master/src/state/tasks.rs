//! The tasks of one framework: active, completed, unreachable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use protos::ids::{SlaveId, TaskId};
use protos::mesos;
use protos::resources::Resources;

use super::task::{Holdings, TaskEntry};

/// All tasks of a framework. Entries are shared with snapshots until they change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    active: BTreeMap<TaskId, Arc<TaskEntry>>,
    /// Ids of the active tasks by slave; no set is empty.
    by_slave: BTreeMap<SlaveId, BTreeSet<TaskId>>,
    /// In the order in which they ended, with their ids.
    completed: VecDeque<(TaskId, Arc<TaskEntry>)>,
    unreachable: BTreeMap<TaskId, Arc<TaskEntry>>,
    /// What active tasks hold, by slave; nothing is empty.
    held: BTreeMap<SlaveId, Resources>,
    holdings: Holdings,
}

impl Tasks {
    /// Tasks that the framework has not seen end yet.
    pub(crate) fn active(&self) -> &BTreeMap<TaskId, Arc<TaskEntry>> {
        &self.active
    }

    pub(crate) fn completed(&self) -> impl Iterator<Item = &TaskEntry> {
        self.completed.iter().map(|(_, task)| &**task)
    }

    pub(crate) fn unreachable(&self) -> &BTreeMap<TaskId, Arc<TaskEntry>> {
        &self.unreachable
    }

    /// All of them: active, then unreachable, then completed.
    pub(crate) fn all(&self) -> impl Iterator<Item = &TaskEntry> {
        self.each().map(|(_, task)| task)
    }

    /// As [`Tasks::all`], with their ids.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&TaskId, &TaskEntry)> {
        let known = self.active.iter().chain(&self.unreachable);
        known.chain(self.completed.iter().map(|(id, task)| (id, task))).map(|(id, t)| (id, &**t))
    }

    pub(crate) fn add(&mut self, id: TaskId, task: mesos::Task) {
        self.take(&id);
        let task = TaskEntry::new(task, &mut self.holdings);
        if let Some(held) = task.held() {
            *self.held.entry(task.slave.clone()).or_default() += held;
        }
        self.unreachable.remove(&id);
        self.by_slave.entry(task.slave.clone()).or_default().insert(id.clone());
        self.active.insert(id, Arc::new(task));
    }

    /// Takes a task off the active ones.
    fn take(&mut self, id: &TaskId) -> Option<Arc<TaskEntry>> {
        let task = self.active.remove(id)?;
        if let Some(held) = task.held() {
            let_go(&mut self.held, &task.slave, held);
        }
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

    /// Takes note of an update of an active task; what that sets free.
    pub(crate) fn update(
        &mut self,
        id: &TaskId,
        status: &mesos::TaskStatus,
        uuid: Option<&bytes::Bytes>,
        latest: mesos::TaskState,
    ) -> Resources {
        let Some(task) = self.active.get_mut(id).map(Arc::make_mut) else {
            return Resources::new();
        };
        let freed = task.update(status, uuid, latest);
        let_go(&mut self.held, &task.slave, &freed);
        freed
    }

    /// An active task holds nothing any more; what it held.
    pub(crate) fn release(&mut self, id: &TaskId) -> Resources {
        let Some(task) = self.active.get_mut(id).map(Arc::make_mut) else {
            return Resources::new();
        };
        let freed = task.release();
        let_go(&mut self.held, &task.slave, &freed);
        freed
    }

    /// What active tasks hold, by slave; allocated.
    pub(crate) fn held(&self) -> &BTreeMap<SlaveId, Resources> {
        &self.held
    }

    /// Moves a task to the completed ones, of which the newest `keep` stay.
    pub(crate) fn complete(&mut self, id: &TaskId, keep: usize) {
        if let Some(task) = self.take(id) {
            self.completed.push_back((id.clone(), task));
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
        self.completed.iter().any(|(ended, task)| ended == id && task.slave == *slave)
    }
}

fn let_go(held: &mut BTreeMap<SlaveId, Resources>, slave: &SlaveId, freed: &Resources) {
    if let Some(sum) = held.get_mut(slave) {
        *sum -= freed;
        if sum.is_empty() {
            held.remove(slave);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesos::TaskState::*;

    fn entry(slave: &str, state: mesos::TaskState) -> mesos::Task {
        let slave_id = SlaveId::new(slave).wire();
        mesos::Task { slave_id, ..crate::testing::task("t", state) }
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
    fn tasks_hold_what_they_were_given_until_they_end_or_go() {
        let (mut tasks, slave) = (Tasks::default(), SlaveId::new("S"));
        let status = crate::testing::status;
        let held = |tasks: &Tasks| tasks.held().get(&slave).map(Resources::cpus);
        for id in ["a", "b", "c"] {
            tasks.add(id.into(), entry("S", TaskRunning));
        }
        tasks.add("done".into(), entry("S", TaskFinished));
        assert_eq!(held(&tasks), Some(3.0));
        assert!(tasks.update(&"a".into(), &status(TaskRunning), None, TaskRunning).is_empty());
        assert_eq!(tasks.update(&"a".into(), &status(TaskKilled), None, TaskKilled).cpus(), 1.0);
        assert_eq!(tasks.release(&"b".into()).cpus(), 1.0);
        assert!(tasks.release(&"b".into()).is_empty());
        assert_eq!(held(&tasks), Some(1.0));
        tasks.lose(&"c".into(), 1);
        assert_eq!(held(&tasks), None);
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
