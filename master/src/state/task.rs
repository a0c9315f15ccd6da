//! One task in the master's books, kept small: there may be hundreds of thousands.
//!
//! What is asked for often stands in fields; resources are shared by all tasks that have the same;
//! the rest stays encoded until somebody wants to see it.

use std::sync::{Arc, OnceLock};

use bytes::Buf;
use prost::Message;
use protos::documents;
use protos::ids::{ExecutorId, SlaveId};
use protos::mesos;
use protos::resources::Resources;
use protos::task_state::is_terminal;

/// What tasks hold. Equal ones are kept once.
#[derive(Debug)]
pub(crate) struct Holding {
    /// Allocated to the role of the task.
    pub(crate) resources: Resources,
    wire: Vec<mesos::Resource>,
    shown: OnceLock<(String, String)>,
}

impl PartialEq for Holding {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Holding {
    fn new(wire: Vec<mesos::Resource>) -> Self {
        // Validated when the task was accepted, or from a slave that did.
        let resources = Resources::from_wire(&wire).unwrap_or_default();
        Self { resources, wire, shown: OnceLock::new() }
    }

    /// As a JSON object, and the role they are allocated to.
    pub(crate) fn shown(&self) -> &(String, String) {
        self.shown.get_or_init(|| {
            let object = serde_json::Value::Object(self.resources.to_object()).to_string();
            (object, documents::role(&self.resources))
        })
    }
}

/// Holdings that are compared before another is kept.
const KEPT: usize = 8;

/// What tasks came to hold lately: most tasks of a framework hold the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holdings(Vec<Arc<Holding>>);

impl Holdings {
    /// The holding of these resources, kept once if it was seen lately.
    pub(crate) fn of(&mut self, wire: Vec<mesos::Resource>) -> Arc<Holding> {
        if let Some(known) = self.0.iter().find(|known| known.wire == wire) {
            return known.clone();
        }
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        let holding = Arc::new(Holding::new(wire));
        self.0.push(holding.clone());
        holding
    }
}

/// A task as the master knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskEntry {
    pub(crate) slave: SlaveId,
    /// Its executor; None for a command.
    pub(crate) executor: Option<ExecutorId>,
    holding: Arc<Holding>,
    /// It holds nothing any more.
    released: bool,
    state: mesos::TaskState,
    told: Option<mesos::TaskState>,
    told_uuid: Option<Box<[u8]>>,
    /// When the first status was made; 0 without.
    since: f64,
    /// Statuses, each behind its length, one for each run of equal states.
    statuses: Vec<u8>,
    /// Where the last of them begins, and its state.
    last: (usize, i32),
    /// Everything else.
    rest: Box<[u8]>,
}

impl TaskEntry {
    pub(crate) fn new(mut wire: mesos::Task, holdings: &mut Holdings) -> Self {
        let (state, told) = (wire.state(), wire.status_update_state);
        let statuses = std::mem::take(&mut wire.statuses);
        let mut entry = Self {
            slave: SlaveId::from(&wire.slave_id),
            executor: wire.executor_id.take().map(ExecutorId::from),
            holding: holdings.of(std::mem::take(&mut wire.resources)),
            released: is_terminal(state),
            state,
            told: told.and_then(|told| mesos::TaskState::try_from(told).ok()),
            told_uuid: wire.status_update_uuid.take().map(|uuid| uuid[..].into()),
            since: 0.0,
            statuses: Vec::new(),
            last: (0, -1),
            rest: wire.encode_to_vec().into(),
        };
        statuses.iter().for_each(|status| entry.keep(status));
        entry
    }

    /// The whole task, as messages carry it.
    #[cfg(test)]
    pub(crate) fn wire(&self) -> mesos::Task {
        mesos::Task { resources: self.holding.wire.clone(), ..self.without_resources() }
    }

    /// The task, as messages carry it, without its resources.
    pub(crate) fn without_resources(&self) -> mesos::Task {
        // It was encoded above.
        let rest = mesos::Task::decode(&*self.rest).unwrap_or_default();
        let mut statuses = Vec::new();
        let mut left = &*self.statuses;
        while left.has_remaining()
            && let Ok(status) = mesos::TaskStatus::decode_length_delimited(&mut left)
        {
            statuses.push(status);
        }
        mesos::Task {
            executor_id: self.executor.as_ref().map(ExecutorId::wire),
            state: self.state.into(),
            statuses,
            status_update_state: self.told.map(Into::into),
            status_update_uuid: self.told_uuid.as_deref().map(bytes::Bytes::copy_from_slice),
            ..rest
        }
    }

    /// What it was started with, whether it still holds that or not.
    pub(crate) fn holding(&self) -> &Holding {
        &self.holding
    }

    /// What it holds, allocated to its role; None once that is released.
    pub(crate) fn held(&self) -> Option<&Resources> {
        (!self.released).then_some(&self.holding.resources)
    }

    /// It holds nothing any more; what it held.
    pub(crate) fn release(&mut self) -> Resources {
        match std::mem::replace(&mut self.released, true) {
            true => Resources::new(),
            false => self.holding.resources.clone(),
        }
    }

    pub(crate) fn state(&self) -> mesos::TaskState {
        self.state
    }

    /// The state that its framework was told last, which may be older than the latest.
    pub(crate) fn told_state(&self) -> mesos::TaskState {
        self.told.unwrap_or(self.state)
    }

    /// What an acknowledgement of the update told last must name; None when none was told.
    pub(crate) fn told_uuid(&self) -> Option<&[u8]> {
        self.told_uuid.as_deref()
    }

    /// True when the framework was told that the task is over.
    pub(crate) fn is_told_over(&self) -> bool {
        self.told.is_some_and(is_terminal)
    }

    /// When its first status was made, in seconds since the epoch; 0 without.
    pub(crate) fn since(&self) -> f64 {
        self.since
    }

    /// Takes note of an update. The latest state never leaves a terminal one (invariant I3).
    /// Returns what is set free.
    pub(crate) fn update(
        &mut self,
        status: &mesos::TaskStatus,
        uuid: Option<&bytes::Bytes>,
        latest: mesos::TaskState,
    ) -> Resources {
        if !is_terminal(self.state) {
            self.state = latest;
        }
        self.told = Some(status.state());
        // A slice of the message would keep all of it.
        self.told_uuid = uuid.map(|uuid| uuid[..].into());
        self.keep(status);
        if is_terminal(self.state) { self.release() } else { Resources::new() }
    }

    /// Keeps a status without its data; the last of several equal states in a row.
    fn keep(&mut self, status: &mesos::TaskStatus) {
        let (at, state) = self.last;
        if state == status.state && !self.statuses.is_empty() {
            self.statuses.truncate(at);
        }
        if self.statuses.is_empty() {
            self.since = status.timestamp();
        }
        let kept = match &status.data {
            None => status.encode_length_delimited_to_vec(),
            Some(_) => {
                mesos::TaskStatus { data: None, ..status.clone() }.encode_length_delimited_to_vec()
            }
        };
        self.last = (self.statuses.len(), status.state);
        self.statuses.reserve_exact(kept.len());
        self.statuses.extend_from_slice(&kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::status;
    use mesos::TaskState::*;

    fn entry(state: mesos::TaskState) -> TaskEntry {
        TaskEntry::new(crate::testing::task("t", state), &mut Holdings::default())
    }

    #[test]
    fn task_terminal_state_never_changes() {
        let mut task = entry(TaskRunning);
        assert_eq!(task.update(&status(TaskRunning), None, TaskFinished).cpus(), 1.0);
        assert_eq!((task.state(), task.told_state()), (TaskFinished, TaskRunning));
        assert!(task.update(&status(TaskLost), None, TaskLost).is_empty());
        assert_eq!((task.state(), task.told_state()), (TaskFinished, TaskLost));
        assert!(task.is_told_over());
    }

    #[test]
    fn task_statuses_keep_one_for_each_run_of_equal_states() {
        let mut task = entry(TaskStaging);
        for (at, state) in [TaskRunning, TaskRunning, TaskKilling, TaskRunning].iter().enumerate() {
            let made = mesos::TaskStatus { timestamp: Some(at as f64), ..status(*state) };
            task.update(&made, None, *state);
        }
        let kept = task.wire().statuses;
        let kept: Vec<_> = kept.iter().map(|s| (s.state(), s.timestamp())).collect();
        assert_eq!(kept, [(TaskRunning, 1.0), (TaskKilling, 2.0), (TaskRunning, 3.0)]);
        assert_eq!(task.since(), 1.0);
    }

    #[test]
    fn task_comes_out_as_it_went_in() {
        let whole = mesos::Task {
            name: "name".into(),
            executor_id: Some(ExecutorId::new("e").wire()),
            statuses: vec![status(TaskStaging), status(TaskRunning)],
            status_update_state: Some(TaskRunning.into()),
            status_update_uuid: Some(bytes::Bytes::from_static(&[7; 16])),
            user: Some("nobody".into()),
            labels: Some(mesos::Labels::default()),
            ..crate::testing::task("t", TaskRunning)
        };
        let mut holdings = Holdings::default();
        let entries = [(); 2].map(|()| TaskEntry::new(whole.clone(), &mut holdings));
        assert_eq!(entries[0].wire(), whole);
        assert_eq!(entries[0], entries[1]);
        assert!(Arc::ptr_eq(&entries[0].holding, &entries[1].holding));
    }
}
