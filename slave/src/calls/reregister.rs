//! Executors of an earlier run of the slave come back, or do not.

use libprocess::{Pid, Time};
use protos::ids::{ExecutorId, FrameworkId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::{
    ExecutorReregisteredMessage, ReconnectExecutorMessage, ReregisterExecutorMessage,
    StatusUpdateMessage,
};
use protos::mesos::task_status::{Reason, Source};
use protos::status;

use super::executors::send_away;
use super::run_task::resize;
use super::shutdown::shut_down_executor;
use super::updates::{from_executor, record};
use crate::effects::{Effect, Effects};
use crate::paths;
use crate::state::{Cause, ExecutorState, State};

/// Asks the executors of an earlier run that have not come back to do so.
pub(crate) fn reconnect(state: &State, fx: &mut Effects) {
    let slave_id = state.id().wire();
    let executors = state.frameworks.values().flat_map(|framework| framework.executors.values());
    for executor in executors.filter(|executor| executor.state == ExecutorState::Registering) {
        if let Some(pid) = &executor.pid {
            fx.push(Effect::Link(pid.clone()));
            fx.send(pid, &ReconnectExecutorMessage { slave_id: slave_id.clone() });
        }
    }
}

/// An executor answers a slave that was restarted: what it could not tell meanwhile is taken, and
/// tasks that never reached it are dropped.
pub(crate) fn reregister(
    state: &mut State,
    from: &Pid,
    message: ReregisterExecutorMessage,
    now: Time,
    uuid: impl FnMut() -> [u8; 16],
    fx: &mut Effects,
) {
    let framework_id = FrameworkId::from(&message.framework_id);
    let executor_id = ExecutorId::from(&message.executor_id);
    let (slave_info, slave_id) = (state.info.clone(), state.id().wire());
    let terminating = state.frameworks.get(&framework_id).is_none_or(|it| it.terminating);
    let expected = [ExecutorState::Registering, ExecutorState::Running];
    match state.executor_mut(&framework_id, &executor_id) {
        Some(executor) if !terminating && expected.contains(&executor.state) => {
            executor.state = ExecutorState::Running;
        }
        _ => return send_away(from, "it is unknown or terminating", fx),
    }
    settle(state, &framework_id, &executor_id, from, fx);
    fx.note(format!("executor {executor_id} of framework {framework_id} is back at {from}"));
    fx.send(from, &ExecutorReregisteredMessage { slave_id, slave_info });
    for update in message.updates {
        from_executor(state, from, StatusUpdateMessage { update, pid: None }, fx);
    }
    let known: Vec<_> = message.tasks.iter().map(|task| TaskId::from(&task.task_id)).collect();
    drop_unknown(state, &framework_id, &executor_id, &known, now, uuid, fx);
    resize(state, &framework_id, &executor_id, fx);
}

/// The executor is where it says it is from now on.
pub(super) fn settle(
    state: &mut State,
    framework: &FrameworkId,
    executor: &ExecutorId,
    pid: &Pid,
    fx: &mut Effects,
) {
    let (work_dir, slave) = (state.config.work_dir.clone(), state.id());
    let Some(found) = state.frameworks.get_mut(framework) else { return };
    let checkpoints = found.checkpoints();
    let Some(found) = found.executors.get_mut(executor) else { return };
    let moved = found.pid.as_ref() != Some(pid);
    found.pid = Some(pid.clone());
    if checkpoints && moved {
        let run = paths::meta_run(&work_dir, &slave, framework, executor, &found.container);
        fx.push(Effect::Write(run.join("pids/libprocess.pid"), pid.to_string().into()));
    }
    fx.push(Effect::Link(pid.clone()));
}

/// Tasks that were written down but are not among the `known` ones never reached the executor. They
/// cannot be sent again: only what masters see of them was kept.
pub(super) fn drop_unknown(
    state: &mut State,
    id: &FrameworkId,
    executor_id: &ExecutorId,
    known: &[TaskId],
    now: Time,
    mut uuid: impl FnMut() -> [u8; 16],
    fx: &mut Effects,
) {
    let Some(dropped) = state.frameworks.get(id).map(|it| it.aware(TaskState::TaskDropped)) else {
        return;
    };
    let Some(executor) = state.executor(id, executor_id) else { return };
    let staging = executor
        .launched
        .iter()
        .filter(|(task, books)| books.state() == TaskState::TaskStaging && !known.contains(task));
    let staging: Vec<TaskId> = staging.map(|(task, _)| task.clone()).collect();
    let slave = state.id();
    for task in &staging {
        let update = status::of(task, dropped, now.as_secs_f64())
            .source(Source::Slave)
            .reason(Reason::SlaveRestarted)
            .slave(&slave)
            .executor(executor_id)
            .message("The agent was restarted before the task reached its executor")
            .uuid(uuid())
            .update(id);
        record(state, id, executor_id, task, dropped, update, None, fx);
    }
    // Who was started for a task that it will never get would wait for ever.
    let idle = state.executor(id, executor_id).is_some_and(|it| it.generated && !it.has_work());
    if idle && !staging.is_empty() {
        shut_down_executor(state, id, executor_id, fx);
    }
}

/// The time to come back is over: who has not done so is destroyed.
pub(crate) fn reregistration_timed_out(state: &mut State, fx: &mut Effects) {
    for framework in state.frameworks.values_mut() {
        let gone = framework.aware(TaskState::TaskGone);
        for executor in framework.executors.values_mut() {
            if executor.state != ExecutorState::Registering {
                continue;
            }
            executor.state = ExecutorState::Terminating;
            executor.cause = Some(Cause {
                state: gone,
                reason: Reason::ExecutorReregistrationTimeout,
                message: "Executor did not come back to the restarted agent in time".to_owned(),
            });
            fx.note(format!(
                "executor {} of framework {} did not come back",
                executor.id, framework.id
            ));
            fx.push(Effect::Destroy(executor.container.clone()));
        }
    }
}
