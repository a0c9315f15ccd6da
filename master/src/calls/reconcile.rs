//! RECONCILE: what became of tasks.

use libprocess::Time;
use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::task_status::{Reason, Source};
use protos::status;

use super::{aware, tell};
use crate::effects::Effects;
use crate::state::{Framework, State, TaskEntry};

/// One task that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) task: TaskId,
    pub(crate) slave: Option<SlaveId>,
}

/// Tells a framework the state of all its tasks that are known and active.
pub(crate) fn implicit(state: &State, id: &FrameworkId, now: Time, fx: &mut Effects) {
    let Some(framework) = state.frameworks.get(id) else { return };
    for (task_id, task) in framework.tasks.active() {
        tell_known(framework, task_id, task, now, fx);
    }
}

/// Tells a framework the state of the tasks it asks for.
pub(crate) fn explicit(
    state: &State,
    id: &FrameworkId,
    queries: &[Query],
    now: Time,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get(id) else { return };
    for query in queries {
        match framework.tasks.get(&query.task) {
            Some(task) => tell_known(framework, &query.task, task, now, fx),
            None => tell_unknown(state, framework, query, now, fx),
        }
    }
}

fn tell_known(framework: &Framework, id: &TaskId, task: &TaskEntry, now: Time, fx: &mut Effects) {
    let mut answer = status::of(id, task.told_state(), now.as_secs_f64())
        .source(Source::Master)
        .reason(Reason::Reconciliation)
        .slave(&task.slave)
        .message("Reconciliation: Latest task state");
    if let Some(executor) = &task.wire().executor_id {
        answer = answer.executor(&ExecutorId::from(executor));
    }
    tell(framework, answer, fx);
}

fn tell_unknown(state: &State, framework: &Framework, query: &Query, now: Time, fx: &mut Effects) {
    let slave = query.slave.as_ref();
    // While a registry change is under way the truth is not known yet.
    if slave.is_some_and(|id| state.slaves.is_changing(id)) {
        return;
    }
    let (found, message) = match slave {
        Some(id) if state.slaves.get(id).is_some() => {
            (TaskState::TaskGone, "Reconciliation: Task is unknown to the agent")
        }
        Some(id) if state.slaves.unreachable_since(id).is_some() => {
            (TaskState::TaskUnreachable, "Reconciliation: Task is unreachable")
        }
        _ => (TaskState::TaskUnknown, "Reconciliation: Task is unknown"),
    };
    let mut answer = status::of(&query.task, aware(framework, found), now.as_secs_f64())
        .source(Source::Master)
        .reason(Reason::Reconciliation)
        .message(message);
    if let Some(slave) = slave {
        answer = answer.slave(slave);
    }
    tell(framework, answer, fx);
}
