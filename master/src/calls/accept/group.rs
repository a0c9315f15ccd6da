//! LAUNCH_GROUP: all tasks of a group start together in one executor, or none does.

use std::collections::BTreeSet;

use libprocess::Time;
use protos::ids::FrameworkId;
use protos::mesos::internal::RunTaskGroupMessage;
use protos::mesos::offer::operation::LaunchGroup;
use protos::mesos::task_status::Reason;
use protos::mesos::{ExecutorInfo, TaskGroupInfo, TaskInfo};
use protos::resources::Resources;

use super::launch::{book, version_of};
use super::{Consumed, refuse_task};
use crate::effects::Effects;
use crate::security::{Action, user_of};
use crate::state::State;
use crate::validation::group::validate_member;
use crate::validation::task::{Needs, Placement};

/// A group that passed all checks.
struct Ready {
    tasks: Vec<TaskInfo>,
    executor: ExecutorInfo,
    held: Resources,
    new_executor: bool,
}

pub(super) fn launch_group(
    state: &mut State,
    framework_id: &FrameworkId,
    group: &LaunchGroup,
    consumed: &mut Consumed,
    now: Time,
    fx: &mut Effects,
) {
    if let Err(why) = authorize(state, framework_id, group) {
        for task in &group.task_group.tasks {
            let reason = Reason::TaskGroupUnauthorized;
            refuse_task(state, framework_id, task, &why, reason, now, fx);
        }
        return;
    }
    let ready = match check(state, framework_id, group, consumed) {
        Ok(ready) => ready,
        Err(why) => {
            for task in &group.task_group.tasks {
                let reason = Reason::TaskGroupInvalid;
                refuse_task(state, framework_id, task, &why, reason, now, fx);
            }
            return;
        }
    };
    let Some(framework) = state.frameworks.get(framework_id) else { return };
    let Some(slave) = state.slaves.get(&consumed.slave) else { return };
    let message = RunTaskGroupMessage {
        framework: framework.info.clone(),
        executor: ready.executor.clone(),
        task_group: TaskGroupInfo { tasks: ready.tasks.clone() },
        resource_version_uuids: slave.resource_version.iter().map(version_of).collect(),
        launch_executor: Some(ready.new_executor),
    };
    fx.note(format!(
        "group of {} tasks of framework {framework_id} launched on slave {}",
        ready.tasks.len(),
        slave.id
    ));
    fx.send(&slave.pid, &message);
    let total = slave.total.clone();
    consumed.take(framework_id, &total, &ready.held, fx);
    for mut task in ready.tasks {
        task.executor = Some(Box::new(ready.executor.clone()));
        book(state, framework_id, &consumed.slave, task);
    }
}

/// Every member must be allowed to run as its user.
fn authorize(state: &State, id: &FrameworkId, group: &LaunchGroup) -> Result<(), String> {
    let Some(framework) = state.frameworks.get(id) else { return Ok(()) };
    let principal = framework.info.principal.as_deref();
    for task in &group.task_group.tasks {
        let user = user_of(task, &framework.info);
        if !state.allows(Action::RunTask, principal, Some(user)) {
            let task = &task.task_id.value;
            return Err(format!("Not authorized to launch task '{task}' as user '{user}'"));
        }
    }
    Ok(())
}

/// All rules; the first broken one is the group's.
fn check(
    state: &State,
    framework_id: &FrameworkId,
    group: &LaunchGroup,
    consumed: &Consumed,
) -> Result<Ready, String> {
    let framework = state.frameworks.get(framework_id).ok_or("framework is unknown")?;
    let slave = state.slaves.get(&consumed.slave).ok_or("slave was removed")?;
    if group.task_group.tasks.is_empty() {
        return Err("task group is empty".to_owned());
    }
    let mut executor = group.executor.clone();
    executor.framework_id.get_or_insert_with(|| framework_id.wire());
    let mut ids = BTreeSet::new();
    let (mut tasks, mut rest, mut held) = (Vec::new(), consumed.rest.clone(), Resources::new());
    let mut first: Option<Needs> = None;
    for task in &group.task_group.tasks {
        let id = &task.task_id.value;
        if !ids.insert(id) {
            return Err(format!("task '{id}' is in the group twice"));
        }
        let at = Placement { framework, slave, role: &consumed.role, free: &rest };
        let needs = validate_member(task, &executor, first.is_none(), &at)
            .map_err(|error| format!("task '{id}': {error}"))?;
        let taken = match first {
            None => needs.task.plus(&needs.executor),
            Some(_) => needs.task.clone(),
        };
        rest = rest.minus(&taken.non_shared());
        held += &taken;
        tasks.push(TaskInfo { resources: needs.task.to_wire(), ..task.clone() });
        first.get_or_insert(needs);
    }
    let first = first.ok_or("task group is empty")?;
    executor.resources = first.executor_total.to_wire();
    Ok(Ready { tasks, executor, held, new_executor: first.new_executor })
}
