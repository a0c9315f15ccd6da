//! A task is to be killed.

use libprocess::Time;
use protos::ids::{FrameworkId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::KillTaskMessage;
use protos::mesos::task_status::{Reason, Source};
use protos::status;

use super::shutdown::shut_down_executor;
use super::updates::record;
use crate::effects::{Effect, Effects};
use crate::state::State;

/// Passes a kill on, or ends a task that no executor has yet.
pub(crate) fn kill(
    state: &mut State,
    message: &KillTaskMessage,
    uuid: [u8; 16],
    now: Time,
    fx: &mut Effects,
) {
    let id = FrameworkId::from(&message.framework_id);
    let task = TaskId::from(&message.task_id);
    let slave = state.id();
    let Some(framework) = state.frameworks.get(&id) else {
        return fx.refuse(format!("kill of task {task}: framework {id} is unknown"));
    };
    let lost = framework.aware(TaskState::TaskDropped);
    let answer = |state: TaskState, reason: Reason, text: &str| {
        status::of(&task, state, now.as_secs_f64())
            .source(Source::Slave)
            .reason(reason)
            .slave(&slave)
            .message(text)
            .uuid(uuid)
            .update(&id)
    };
    let Some(executor) = state.executor_of(&id, &task) else {
        let update = answer(lost, Reason::ExecutorTerminated, "No executor has this task");
        return fx.push(Effect::Update { update: Box::new(update), path: None, executor: None });
    };
    if executor.is_queued(&task) {
        let text = "Killed before it was handed to the executor";
        let killed = TaskState::TaskKilled;
        let update = answer(killed, Reason::TaskKilledDuringLaunch, text);
        let executor_id = executor.id.clone();
        record(state, &id, &executor_id, &task, killed, update, None, fx);
        // An executor that is left with nothing goes; its books stay open for the update.
        if state.executor(&id, &executor_id).is_some_and(|left| !left.has_work()) {
            shut_down_executor(state, &id, &executor_id, fx);
        }
        return;
    }
    match &executor.pid {
        Some(pid) => fx.send(pid, message),
        None => fx.refuse(format!("kill of task {task}: its executor is not connected")),
    }
}
