//! Status updates: from executors to their streams, and acknowledgements back.

use libprocess::{Pid, Time};
use protos::ids::{ExecutorId, FrameworkId, TaskId};
use protos::mesos::internal::{
    ReconcileTasksMessage, StatusUpdate, StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{self, TaskState};
use protos::status;
use protos::task_state::{from_wire, is_terminal};

use super::run_task::{meta_task, resize, task_of};
use super::shutdown::shut_down_executor;
use crate::effects::{Effect, Effects};
use crate::state::{ExecutorState, State, note_status};

/// An executor reports on a task.
pub(crate) fn from_executor(
    state: &mut State,
    from: &Pid,
    message: StatusUpdateMessage,
    fx: &mut Effects,
) {
    let mut update = message.update;
    let id = FrameworkId::from(&update.framework_id);
    let task_id = TaskId::from(&update.status.task_id);
    let invalid = |fx: &mut Effects, why: &str| {
        fx.refuse(format!("update of task {task_id} of framework {id}: {why}"));
        fx.push(Effect::Count("slave/invalid_status_updates"));
    };
    update.uuid = update.uuid.or_else(|| update.status.uuid.clone());
    let Some(uuid) = update.uuid.clone().filter(|uuid| uuid.len() == 16) else {
        return invalid(fx, "it has no uuid of 16 bytes");
    };
    if update.slave_id.as_ref().is_some_and(|slave| slave.value != state.id().as_str()) {
        return invalid(fx, "it names another slave");
    }
    let Some(new) = from_wire(update.status.state) else {
        return invalid(fx, "its state is unknown");
    };
    if state.frameworks.get(&id).is_none_or(|framework| framework.terminating) {
        return invalid(fx, "the framework is unknown or terminating");
    }
    let Some(executor) = state.executor_of(&id, &task_id) else {
        // Known to nobody any more: the executor need not say it again.
        acknowledge_executor(state, from, &id, &task_id, &uuid, fx);
        return invalid(fx, "the task is unknown");
    };
    if new == TaskState::TaskStaging {
        let executor_id = executor.id.clone();
        invalid(fx, "an executor must not stage tasks");
        return shut_down_executor(state, &id, &executor_id, fx);
    }
    if executor.state == ExecutorState::Registering {
        // It has yet to come back, and says then what it could not tell meanwhile: this, and what was before.
        return fx.refuse(format!("update of task {task_id}: its executor has yet to come back"));
    }
    let executor_id = executor.id.clone();
    let stale = match executor.launched.get(&task_id) {
        Some(task) => is_terminal(task.state()),
        None => !is_terminal(new),
    };
    if stale {
        acknowledge_executor(state, from, &id, &task_id, &uuid, fx);
        return invalid(fx, "the task has ended, or has not begun");
    }
    let container = executor.container_status.clone();
    complete(state, container, &mut update, &uuid);
    record(state, &id, &executor_id, &task_id, new, update, Some(from.clone()), fx);
    fx.push(Effect::Count("slave/valid_status_updates"));
}

/// Fills in what the executor may have left out, its container's status included.
fn complete(
    state: &State,
    container: mesos::ContainerStatus,
    update: &mut StatusUpdate,
    uuid: &bytes::Bytes,
) {
    update.slave_id = Some(state.id().wire());
    let status = &mut update.status;
    status.slave_id = Some(state.id().wire());
    status.uuid = Some(uuid.clone());
    status.source = Some(Source::Executor.into());
    status.timestamp.get_or_insert(update.timestamp);
    if status.executor_id.is_none() {
        status.executor_id = update.executor_id.clone();
    }
    let told = status.container_status.get_or_insert_default();
    told.container_id = told.container_id.take().or(container.container_id);
    told.executor_pid = told.executor_pid.or(container.executor_pid);
    told.cgroup_info = told.cgroup_info.take().or(container.cgroup_info);
    let networks = &mut told.network_infos;
    if networks.is_empty() {
        *networks = container.network_infos;
    }
    if networks.is_empty() {
        let ip_address = Some(state.pid.address().ip().to_string());
        let address = mesos::network_info::IpAddress { ip_address, ..Default::default() };
        networks.push(mesos::NetworkInfo { ip_addresses: vec![address], ..Default::default() });
    }
}

/// Enters an update into the books and hands it to its stream. A terminal state stays (I3).
#[allow(clippy::too_many_arguments, reason = "an update's whole address")]
pub(crate) fn record(
    state: &mut State,
    id: &FrameworkId,
    executor_id: &ExecutorId,
    task_id: &TaskId,
    new: TaskState,
    update: StatusUpdate,
    from: Option<Pid>,
    fx: &mut Effects,
) {
    let path = meta_task(state, id, executor_id, task_id).map(|path| path.join("task.updates"));
    let Some(executor) = state.executor_mut(id, executor_id) else { return };
    let container = executor.container.clone();
    let mut update = update;
    if let Some(status) = &mut update.status.container_status {
        status.container_id.get_or_insert_with(|| container.wire());
    }
    // A task that was never handed over ends all the same.
    if let Some(info) = executor.unqueue(task_id) {
        let wire = task_of(&info, id, (!executor.generated).then_some(executor_id));
        executor.launched.insert(task_id.clone(), wire);
    }
    let Some(task) = executor.launched.get_mut(task_id) else { return };
    if note_status(task, &update.status) {
        ended(new).into_iter().for_each(|metric| fx.push(Effect::Count(metric)));
    }
    if is_terminal(new) && executor.state == ExecutorState::Running {
        resize(state, id, executor_id, fx);
    }
    fx.note(format!("task {task_id} of framework {id}: {}", new.as_str_name()));
    fx.push(Effect::Update { update: Box::new(update), path, executor: from });
}

/// The metric that counts tasks which end in that state.
fn ended(state: TaskState) -> Option<&'static str> {
    match state {
        TaskState::TaskFinished => Some("slave/tasks_finished"),
        TaskState::TaskFailed => Some("slave/tasks_failed"),
        TaskState::TaskKilled => Some("slave/tasks_killed"),
        TaskState::TaskLost => Some("slave/tasks_lost"),
        TaskState::TaskGone => Some("slave/tasks_gone"),
        _ => None,
    }
}

/// Tells an executor that its update is safe.
pub(crate) fn acknowledge_executor(
    state: &State,
    to: &Pid,
    framework: &FrameworkId,
    task: &TaskId,
    uuid: &bytes::Bytes,
    fx: &mut Effects,
) {
    let message = StatusUpdateAcknowledgementMessage {
        slave_id: state.id().wire(),
        framework_id: framework.wire(),
        task_id: task.wire(),
        uuid: uuid.clone(),
    };
    fx.send(to, &message);
}

/// The framework has a task's last update: the books of the task are closed.
pub(crate) fn closed(state: &mut State, id: &FrameworkId, task: &TaskId, fx: &mut Effects) {
    let Some(executor) = state.executor_of(id, task) else { return };
    executor.complete(task);
    let done = executor.state == ExecutorState::Terminated && executor.is_idle();
    let executor_id = executor.id.clone();
    if done {
        state.complete(id, &executor_id, fx);
    }
}

/// The newest state that is known of a task, for what masters account.
pub(crate) fn latest_state(state: &mut State, id: &FrameworkId, task: &TaskId) -> Option<i32> {
    let executor = state.executor_of(id, task)?;
    executor.launched.get(task).map(|task| task.state)
}

/// The master asks for tasks that it believes here: unknown ones are lost.
pub(crate) fn reconcile(
    state: &mut State,
    message: &ReconcileTasksMessage,
    now: Time,
    mut uuid: impl FnMut() -> [u8; 16],
    fx: &mut Effects,
) {
    let id = FrameworkId::from(&message.framework_id);
    let aware = message.framework.as_ref().is_some_and(|info| {
        let capability = mesos::framework_info::capability::Type::PartitionAware;
        info.capabilities.iter().any(|c| c.r#type() == capability)
    });
    let lost = if aware { TaskState::TaskDropped } else { TaskState::TaskLost };
    for asked in &message.statuses {
        let task = TaskId::from(&asked.task_id);
        if state.executor_of(&id, &task).is_some() {
            continue;
        }
        let update = status::of(&task, lost, now.as_secs_f64())
            .source(Source::Slave)
            .reason(Reason::Reconciliation)
            .slave(&state.id())
            .message("Task is unknown to the agent")
            .uuid(uuid())
            .update(&id);
        fx.push(Effect::Update { update: Box::new(update), path: None, executor: None });
    }
}
