//! An executor's container is gone.

use libprocess::Time;
use libprocess::subprocess::ExitStatus;
use protos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use protos::mesos::internal::ExitedExecutorMessage;
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{self, TaskState};
use protos::status;

use super::updates::record;
use crate::containerizer::Termination;
use crate::effects::{Effect, Effects};
use crate::state::{Executor, ExecutorState, State};

/// What is known of a container's end.
pub(crate) struct End {
    pub(crate) framework: FrameworkId,
    pub(crate) executor: ExecutorId,
    pub(crate) container: ContainerId,
    pub(crate) termination: Termination,
    /// The container was never started.
    pub(crate) launch_failed: bool,
}

impl End {
    /// The end of a container of which nothing else is known yet.
    pub(crate) fn of(framework: FrameworkId, executor: ExecutorId, container: ContainerId) -> Self {
        let (termination, launch_failed) = (Termination::default(), false);
        Self { framework, executor, container, termination, launch_failed }
    }
}

/// Ends the executor's tasks and tells who must know.
pub(crate) fn terminated(
    state: &mut State,
    end: &End,
    now: Time,
    mut uuid: impl FnMut() -> [u8; 16],
    fx: &mut Effects,
) {
    let (id, executor_id) = (&end.framework, &end.executor);
    let Some(executor) = state.executor_mut(id, executor_id) else { return };
    if executor.container != end.container || executor.state == ExecutorState::Terminated {
        return;
    }
    executor.state = ExecutorState::Terminated;
    let generated = executor.generated;
    let queued = executor.queued.iter().map(|task| TaskId::from(&task.task_id));
    let tasks: Vec<TaskId> = executor.live().into_iter().chain(queued).collect();
    let (new, reason, message) = verdict(executor.cause.clone(), end);
    let terminating = state.frameworks.get(id).is_some_and(|framework| framework.terminating);
    for task in tasks.iter().filter(|_| !terminating) {
        let mut update = status::of(task, new, now.as_secs_f64())
            .source(Source::Slave)
            .reason(reason)
            .slave(&state.id())
            .executor(executor_id)
            .message(message.clone())
            .uuid(uuid())
            .update(id);
        let limited = &end.termination.limited_resources;
        update.status.limitation = (!limited.is_empty())
            .then(|| mesos::TaskResourceLimitation { resources: limited.clone() });
        record(state, id, executor_id, task, new, update, None, fx);
    }
    if !generated {
        tell_exited(state, id, executor_id, end.termination.status, fx);
    }
    if end.launch_failed {
        fx.push(Effect::Count("slave/container_launch_errors"));
    }
    fx.note(format!("executor {executor_id} of framework {id} ended: {}", shown(&end.termination)));
    fx.push(Effect::Count("slave/executors_terminated"));
    // Its books stay open until its tasks' last updates are acknowledged.
    if terminating || state.executor(id, executor_id).is_some_and(Executor::is_idle) {
        state.complete(id, executor_id, fx);
    }
}

/// How a container ended, for the log.
fn shown(termination: &Termination) -> String {
    match termination.status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("exit code {code}"),
        Some((None, Some(signal))) => format!("signal {signal}"),
        _ if termination.message.is_empty() => "status unknown".to_owned(),
        _ => termination.message.clone(),
    }
}

/// Tells the master that an executor is gone; without a status nothing is known of its end.
pub(crate) fn tell_exited(
    state: &State,
    framework: &FrameworkId,
    executor: &ExecutorId,
    status: Option<ExitStatus>,
    fx: &mut Effects,
) {
    let Some(master) = &state.master else { return };
    let message = ExitedExecutorMessage {
        slave_id: state.id().wire(),
        framework_id: framework.wire(),
        executor_id: executor.wire(),
        status: status.map_or(-1, |status| status.raw),
    };
    fx.send(master, &message);
}

/// What the tasks are told: a limitation, else why the slave ended it, else that it ended.
fn verdict(cause: Option<crate::state::Cause>, end: &End) -> (TaskState, Reason, String) {
    let termination = &end.termination;
    let mut messages = Vec::new();
    messages.extend(cause.as_ref().map(|cause| cause.message.clone()));
    messages.extend(Some(termination.message.clone()).filter(|message| !message.is_empty()));
    let message =
        if messages.is_empty() { "Executor terminated".to_owned() } else { messages.join("; ") };
    let fallback = if end.launch_failed {
        (TaskState::TaskFailed, Reason::ContainerLaunchFailed)
    } else {
        cause.map_or((TaskState::TaskFailed, Reason::ExecutorTerminated), |c| (c.state, c.reason))
    };
    let state = termination.state.unwrap_or(fallback.0);
    (state, termination.reason.unwrap_or(fallback.1), message)
}
