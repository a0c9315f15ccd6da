//! Members of a task group.

use protos::mesos;
use protos::mesos::executor_info::Type as ExecutorType;
use protos::resources::Resources;

use super::task::{Needs, Placement, TaskError, validate};

/// Why a member of a group is refused: `REASON_TASK_GROUP_INVALID` for all of them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum GroupError {
    #[error("executor's type is not set")]
    ExecutorType,
    #[error("the default executor has no command of its own")]
    DefaultCommand,
    #[error("executor of the task differs from the group's")]
    OtherExecutor,
    #[error("network infos belong to the executor of a group")]
    NetworkInfos,
    #[error("members of groups cannot be Docker containers")]
    Docker,
    #[error("{0}")]
    Task(#[from] TaskError),
}

/// Checks one task of a group. The executor's resources count with the `first` alone.
///
/// # Errors
/// The first rule broken.
pub(crate) fn validate_member(
    task: &mesos::TaskInfo,
    executor: &mesos::ExecutorInfo,
    first: bool,
    at: &Placement<'_>,
) -> Result<Needs, GroupError> {
    match (executor.r#type(), &executor.command) {
        (ExecutorType::Unknown, _) => return Err(GroupError::ExecutorType),
        (ExecutorType::Default, Some(_)) => return Err(GroupError::DefaultCommand),
        _ => {}
    }
    let same = |own: &mesos::ExecutorInfo| {
        let own_id = own.framework_id.clone().or_else(|| executor.framework_id.clone());
        mesos::ExecutorInfo { framework_id: own_id, ..own.clone() } == *executor
    };
    if task.executor.as_ref().is_some_and(|own| !same(own)) {
        return Err(GroupError::OtherExecutor);
    }
    if let Some(container) = &task.container {
        if !container.network_infos.is_empty() {
            return Err(GroupError::NetworkInfos);
        }
        if container.r#type() == mesos::container_info::Type::Docker {
            return Err(GroupError::Docker);
        }
    }
    // The other rules are those of a task with that executor. Its own command stays out of it.
    let alone = mesos::TaskInfo {
        command: None,
        executor: Some(Box::new(executor.clone())),
        ..task.clone()
    };
    let free = match first {
        true => at.free.clone(),
        // Paid for already.
        false => at.free.plus(&executor_part(executor, at.role)?),
    };
    Ok(validate(&alone, &Placement { free: &free, ..*at })?)
}

fn executor_part(executor: &mesos::ExecutorInfo, role: &str) -> Result<Resources, TaskError> {
    Ok(Resources::from_wire(&executor.resources)?.unallocated().allocated_to(role))
}
