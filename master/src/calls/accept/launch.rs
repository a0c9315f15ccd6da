//! LAUNCH: tasks, each judged for itself.

use libprocess::Time;
use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos;
use protos::mesos::internal::{ResourceVersionUuid, RunTaskMessage};
use protos::mesos::task_status::Reason;
use protos::mesos::{TaskInfo, TaskState};

use super::{Consumed, refuse_task};
use crate::effects::Effects;
use crate::security::{Action, user_of};
use crate::state::State;
use crate::validation::task::{Placement, validate};

pub(super) fn launch_task(
    state: &mut State,
    framework_id: &FrameworkId,
    mut task: TaskInfo,
    consumed: &mut Consumed,
    now: Time,
    fx: &mut Effects,
) {
    if let Some(executor) = &mut task.executor {
        executor.framework_id.get_or_insert_with(|| framework_id.wire());
    }
    let Some(framework) = state.frameworks.get(framework_id) else { return };
    let Some(slave) = state.slaves.get(&consumed.slave) else { return };
    let user = user_of(&task, &framework.info);
    if !state.allows(Action::RunTask, framework.info.principal.as_deref(), Some(user)) {
        let why = format!("Not authorized to launch as user '{user}'");
        let reason = Reason::TaskUnauthorized;
        return refuse_task(state, framework_id, &task, &why, reason, now, fx);
    }
    let placement = Placement { framework, slave, role: &consumed.role, free: &consumed.rest };
    let needs = match validate(&task, &placement) {
        Ok(needs) => needs,
        Err(error) => {
            let (why, reason) = (error.to_string(), Reason::TaskInvalid);
            return refuse_task(state, framework_id, &task, &why, reason, now, fx);
        }
    };
    let total = slave.total.clone();
    consumed.take(framework_id, &total, &needs.task.plus(&needs.executor), fx);
    task.resources = needs.task.to_wire();
    if let Some(executor) = &mut task.executor {
        executor.resources = needs.executor_total.to_wire();
    }
    let message = RunTaskMessage {
        framework_id: None,
        framework: framework.info.clone(),
        pid: Some(framework.pid.to_string()),
        task: task.clone(),
        resource_version_uuids: slave.resource_version.iter().map(version_of).collect(),
        launch_executor: Some(task.executor.is_none() || needs.new_executor),
    };
    fx.note(format!(
        "task {} of framework {framework_id} launched on slave {}",
        message.task.task_id.value, slave.id
    ));
    fx.send(&slave.pid, &message);
    book(state, framework_id, &consumed.slave, task);
}

/// The version of the slave's own resources that the task was accepted against.
pub(super) fn version_of(uuid: &mesos::Uuid) -> ResourceVersionUuid {
    ResourceVersionUuid { resource_provider_id: None, uuid: uuid.clone() }
}

/// Enters an accepted task, and its executor if that is new, into the framework's books.
pub(super) fn book(state: &mut State, framework_id: &FrameworkId, slave: &SlaveId, task: TaskInfo) {
    let Some(framework) = state.frameworks.get_mut(framework_id) else { return };
    let executor_id = task.executor.as_ref().map(|executor| executor.executor_id.clone());
    let command = task.command.as_ref().or(task.executor.as_ref().and_then(|e| e.command.as_ref()));
    let user = command.and_then(|c| c.user.clone()).or_else(|| Some(framework.info.user.clone()));
    if let Some(executor) = task.executor {
        let executors = framework.executors.entry(slave.clone()).or_default();
        executors.entry(ExecutorId::from(&executor.executor_id)).or_insert(*executor);
    }
    let id = TaskId::from(&task.task_id);
    let entry = mesos::Task {
        name: task.name,
        task_id: task.task_id,
        framework_id: framework_id.wire(),
        executor_id,
        slave_id: slave.wire(),
        state: TaskState::TaskStaging.into(),
        resources: task.resources,
        labels: task.labels,
        discovery: task.discovery,
        container: task.container,
        user,
        health_check: task.health_check,
        kill_policy: task.kill_policy,
        limits: task.limits,
        ..Default::default()
    };
    framework.tasks.add(id, entry);
}
