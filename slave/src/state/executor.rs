//! An executor and its tasks.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use isolators::Allocation;
use isolators::limits::TaskShare;
use libprocess::Pid;
use protos::ids::{ContainerId, ExecutorId, TaskId};
use protos::mesos;
use protos::mesos::TaskState;
use protos::resources::Resources;
use protos::task_state::is_terminal;

use super::Framework;

/// Completed tasks kept for display.
const KEEP_TASKS: usize = 200;

/// Enters a status into a task's books: its state changes unless it is terminal (invariant 3), and
/// one status is kept for each run of equal states. True when the state was taken over.
pub(crate) fn note_status(task: &mut mesos::Task, status: &mesos::TaskStatus) -> bool {
    let live = !is_terminal(task.state());
    if live {
        task.state = status.state;
    }
    let kept = mesos::TaskStatus { data: None, ..status.clone() };
    match task.statuses.last_mut() {
        Some(last) if last.state == kept.state => *last = kept,
        _ => task.statuses.push(kept),
    }
    live
}

/// How far an executor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExecutorState {
    /// Its container is being started; it has not spoken yet.
    Registering,
    /// It takes tasks.
    Running,
    /// It was asked to go.
    Terminating,
    /// Its container is gone.
    Terminated,
}

/// Why an executor is being ended by the slave: what its tasks are told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause {
    pub(crate) state: TaskState,
    pub(crate) reason: mesos::task_status::Reason,
    pub(crate) message: String,
}

/// An executor as a slave knows it.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) id: ExecutorId,
    pub(crate) info: mesos::ExecutorInfo,
    pub(crate) container: ContainerId,
    pub(crate) directory: PathBuf,
    /// Made for a command task: the framework does not know it.
    pub(crate) generated: bool,
    pub(crate) state: ExecutorState,
    pub(crate) pid: Option<Pid>,
    pub(crate) cause: Option<Cause>,
    /// What isolators say of its container, asked for when it registers.
    pub(crate) container_status: mesos::ContainerStatus,
    /// Waits for the executor, in the order of arrival.
    pub(crate) queued: VecDeque<mesos::TaskInfo>,
    /// Were handed to the executor; ended ones stay until their last update is acknowledged.
    pub(crate) launched: BTreeMap<TaskId, mesos::Task>,
    pub(crate) completed: VecDeque<mesos::Task>,
}

impl Executor {
    /// The user that it runs as: its command's, else its framework's.
    pub(crate) fn user<'a>(&'a self, of: &'a Framework) -> &'a str {
        let own = self.info.command.as_ref().and_then(|command| command.user.as_deref());
        own.unwrap_or(&of.info.user)
    }

    pub(crate) fn has(&self, task: &TaskId) -> bool {
        self.launched.contains_key(task) || self.is_queued(task)
    }

    /// True when the task waits or runs.
    pub(crate) fn is_live(&self, task: &TaskId) -> bool {
        let launched = self.launched.get(task).is_some_and(|task| !is_terminal(task.state()));
        launched || self.is_queued(task)
    }

    pub(crate) fn is_queued(&self, task: &TaskId) -> bool {
        self.queued.iter().any(|queued| queued.task_id.value == task.as_str())
    }

    /// Takes a task out of the queue.
    pub(crate) fn unqueue(&mut self, task: &TaskId) -> Option<mesos::TaskInfo> {
        let at = self.queued.iter().position(|queued| queued.task_id.value == task.as_str())?;
        self.queued.remove(at)
    }

    /// The user whom the slave becomes for it; none keeps the slave's own.
    pub(crate) fn runs_as(&self, of: &Framework, switch: bool) -> Option<String> {
        Some(self.user(of).to_owned()).filter(|user| switch && !user.is_empty())
    }

    /// What the executor and its tasks hold, queued ones included.
    pub(crate) fn resources(&self) -> Resources {
        let parse = |wire: &[mesos::Resource]| Resources::from_wire(wire).unwrap_or_default();
        let queued = self.queued.iter().map(|task| parse(&task.resources));
        let live = self.launched.values().filter(|task| !is_terminal(task.state()));
        let launched = live.map(|task| parse(&task.resources));
        parse(&self.info.resources).plus(&queued.chain(launched).sum())
    }

    /// What its container may use: those resources, and the limits that its tasks set.
    pub(crate) fn allocation(&self, enable_cfs: bool) -> Allocation {
        type Limits = std::collections::BTreeMap<String, mesos::value::Scalar>;
        let share = |resources: &[mesos::Resource], limits: &Limits| TaskShare {
            resources: Resources::from_wire(resources).unwrap_or_default(),
            limits: limits.iter().map(|(name, limit)| (name.clone(), limit.value)).collect(),
        };
        let queued = self.queued.iter().map(|task| share(&task.resources, &task.limits));
        let live = self.launched.values().filter(|task| !is_terminal(task.state()));
        let launched = live.map(|task| share(&task.resources, &task.limits));
        let tasks: Vec<TaskShare> = queued.chain(launched).collect();
        let own = Resources::from_wire(&self.info.resources).unwrap_or_default();
        let limits = isolators::limits::total(&own, &tasks, enable_cfs);
        Allocation { resources: self.resources(), limits }
    }

    /// Tasks that have not ended.
    pub(crate) fn live(&self) -> Vec<TaskId> {
        let live = self.launched.iter().filter(|(_, task)| !is_terminal(task.state()));
        live.map(|(id, _)| id.clone()).collect()
    }

    /// True when a task runs or waits.
    pub(crate) fn has_work(&self) -> bool {
        !self.queued.is_empty() || !self.live().is_empty()
    }

    /// True when nothing runs, waits, or has an update on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.launched.is_empty()
    }

    /// Closes the books of a task whose last update was acknowledged.
    pub(crate) fn complete(&mut self, task: &TaskId) {
        if let Some(task) = self.launched.remove(task) {
            self.completed.push_back(task);
            while self.completed.len() > KEEP_TASKS {
                self.completed.pop_front();
            }
        }
    }
}
