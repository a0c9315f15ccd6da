//! Executors register and come back.

use libprocess::{Pid, Time};
use protos::ids::{ContainerId, ExecutorId, FrameworkId};
use protos::mesos::TaskState;
use protos::mesos::internal::{
    ExecutorRegisteredMessage, RegisterExecutorMessage, ShutdownExecutorMessage,
};
use protos::mesos::task_status::Reason;

use super::reregister::{drop_unknown, settle};
use super::run_task::resize;
use crate::effects::{Effect, Effects};
use crate::state::{ExecutorState, State};

/// An executor speaks for the first time: it gets its tasks. Strangers are told to shut down. While
/// the slave is `recovering`, whatever the executor was started for is of the earlier run.
pub(crate) fn register(
    state: &mut State,
    from: &Pid,
    message: &RegisterExecutorMessage,
    recovering: bool,
    now: Time,
    uuid: impl FnMut() -> [u8; 16],
    fx: &mut Effects,
) {
    let framework_id = FrameworkId::from(&message.framework_id);
    let executor_id = ExecutorId::from(&message.executor_id);
    let (slave_info, slave) = (state.info.clone(), state.id());
    let expected = state.frameworks.get_mut(&framework_id).filter(|f| !f.terminating);
    let Some(framework) = expected else {
        return send_away(from, "its framework is unknown or terminating", fx);
    };
    let framework_info = framework.info.clone();
    let Some(executor) = framework.executors.get_mut(&executor_id) else {
        return send_away(from, "it is unknown", fx);
    };
    match executor.state {
        ExecutorState::Registering => executor.state = ExecutorState::Running,
        // It has not heard the answer yet and asks again.
        ExecutorState::Running if executor.pid.as_ref() == Some(from) => {}
        _ => return send_away(from, "it is registered or terminating already", fx),
    }
    let executor_info = executor.info.clone();
    settle(state, &framework_id, &executor_id, from, fx);
    let registered = ExecutorRegisteredMessage {
        executor_info,
        framework_id: framework_id.wire(),
        framework_info,
        slave_id: slave.wire(),
        slave_info,
    };
    fx.note(format!("executor {executor_id} of framework {framework_id} registered from {from}"));
    fx.send(from, &registered);
    if recovering {
        drop_unknown(state, &framework_id, &executor_id, &[], now, uuid, fx);
    }
    resize(state, &framework_id, &executor_id, fx);
}

pub(super) fn send_away(pid: &Pid, why: &str, fx: &mut Effects) {
    fx.refuse(format!("executor at {pid}: {why}"));
    fx.send(pid, &ShutdownExecutorMessage { executor_id: None, framework_id: None });
}

/// A container could not get other resources: it is destroyed, its tasks are gone.
pub(crate) fn resize_failed(
    state: &mut State,
    framework: &FrameworkId,
    executor: &ExecutorId,
    container: &ContainerId,
    why: &str,
    fx: &mut Effects,
) {
    let Some(found) = state.frameworks.get(framework) else { return };
    let gone = found.aware(TaskState::TaskGone);
    let Some(executor) = state.executor_mut(framework, executor) else { return };
    if executor.state == ExecutorState::Running && executor.container == *container {
        executor.state = ExecutorState::Terminating;
        executor.cause = Some(crate::state::Cause {
            state: gone,
            reason: Reason::ContainerUpdateFailed,
            message: format!("Failed to update the container's resources: {why}"),
        });
        fx.push(Effect::Destroy(container.clone()));
    }
}

/// An executor did not register in time: its container is destroyed, its tasks fail.
pub(crate) fn registration_timed_out(
    state: &mut State,
    framework: &FrameworkId,
    executor: &ExecutorId,
    container: &ContainerId,
    fx: &mut Effects,
) {
    let waiting = state
        .executor_mut(framework, executor)
        .filter(|found| found.state == ExecutorState::Registering && found.container == *container);
    if let Some(executor) = waiting {
        executor.state = ExecutorState::Terminating;
        executor.cause = Some(crate::state::Cause {
            state: TaskState::TaskFailed,
            reason: Reason::ExecutorRegistrationTimeout,
            message: "Executor did not register in time".to_owned(),
        });
        fx.push(Effect::Destroy(container.clone()));
    }
}
