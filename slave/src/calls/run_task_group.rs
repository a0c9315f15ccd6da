//! A task group is to be run: it would need an executor of the v1 API, which this slave does not
//! serve.

use libprocess::Time;
use protos::ids::{ExecutorId, FrameworkId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::RunTaskGroupMessage;
use protos::mesos::task_status::{Reason, Source};
use protos::status;

use super::terminated::tell_exited;
use crate::effects::{Effect, Effects};
use crate::state::State;

/// Ends each task of the group; `uuids` has one for each.
pub(crate) fn refuse(
    state: &State,
    message: &RunTaskGroupMessage,
    now: Time,
    uuids: &[[u8; 16]],
    fx: &mut Effects,
) {
    let Some(id) = message.framework.id.as_ref().map(FrameworkId::from) else {
        return fx.refuse("task group of a framework without id");
    };
    fx.refuse(format!("task group of framework {id}: task groups are not supported"));
    let executor = ExecutorId::from(&message.executor.executor_id);
    for (task, uuid) in message.task_group.tasks.iter().zip(uuids) {
        let task = TaskId::from(&task.task_id);
        let update = status::of(&task, TaskState::TaskError, now.as_secs_f64())
            .source(Source::Slave)
            .reason(Reason::TaskGroupInvalid)
            .slave(&state.id())
            .executor(&executor)
            .message("Task groups need an executor of the v1 API, which this agent does not serve")
            .uuid(*uuid)
            .update(&id);
        fx.push(Effect::Update { update: Box::new(update), path: None, executor: None });
    }
    if message.launch_executor == Some(true) && state.executor(&id, &executor).is_none() {
        tell_exited(state, &id, &executor, None, fx);
    }
}
