//! Tasks of an ACCEPT.

use protos::ids::{self, ExecutorId, SlaveId, TaskId};
use protos::mesos;
use protos::resources::{ResourceError, Resources};

use crate::state::{Framework, Slave};

/// Where a task is to run, and on what.
pub(crate) struct Placement<'a> {
    pub(crate) framework: &'a Framework,
    pub(crate) slave: &'a Slave,
    /// The role of the offers.
    pub(crate) role: &'a str,
    /// What of the offers is left, allocated to the role.
    pub(crate) free: &'a Resources,
}

/// What a valid task takes; allocated to the role of the offers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Needs {
    pub(crate) task: Resources,
    /// What starting its executor takes: nothing when that runs already.
    pub(crate) executor: Resources,
    /// What its executor holds altogether.
    pub(crate) executor_total: Resources,
    pub(crate) new_executor: bool,
}

/// Why a task is refused: `TASK_ERROR` with `REASON_TASK_INVALID`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("task {0}")]
    Id(#[from] ids::IdError),
    #[error("task has the id of another active or unreachable task")]
    Duplicate,
    #[error("task names slave {named}, but the offers are of slave {offered}")]
    Slave { named: SlaveId, offered: SlaveId },
    #[error("task must have exactly one of command and executor")]
    CommandOrExecutor,
    #[error("{0}")]
    Resources(#[from] ResourceError),
    #[error("task uses no resources")]
    NoResources,
    #[error("task and its executor need {needed}, but the offers hold {offered}")]
    TooMuch { needed: String, offered: String },
    #[error("executor's framework id is another framework's")]
    ForeignExecutor,
    #[error("executor has no command")]
    ExecutorCommand,
    #[error("executor info differs from that of the running executor {0}")]
    ExecutorDiffers(ExecutorId),
    #[error("{0} must not be negative")]
    Negative(&'static str),
    #[error("limits may be set for cpus and mem only, not below what is requested: {0}")]
    Limit(String),
    #[error("environment variable '{0}' has no value")]
    Environment(String),
}

/// Checks a task against the rules and what is left of the offers.
///
/// # Errors
/// The first rule broken.
pub(crate) fn validate(task: &mesos::TaskInfo, at: &Placement<'_>) -> Result<Needs, TaskError> {
    let id = TaskId::from(&task.task_id);
    ids::validate(id.as_str())?;
    if at.framework.tasks.get(&id).is_some() || at.framework.tasks.unreachable().contains_key(&id) {
        return Err(TaskError::Duplicate);
    }
    let named = SlaveId::from(&task.slave_id);
    if named != at.slave.id {
        return Err(TaskError::Slave { named, offered: at.slave.id.clone() });
    }
    if task.command.is_some() == task.executor.is_some() {
        return Err(TaskError::CommandOrExecutor);
    }
    if let Some(command) = &task.command {
        validate_command(command)?;
    }
    not_negative(
        task.kill_policy.as_ref().and_then(|p| p.grace_period.as_ref()),
        "kill policy grace",
    )?;
    not_negative(task.max_completion_time.as_ref(), "max_completion_time")?;
    let own = allocated(&task.resources, at.role)?;
    if own.is_empty() {
        return Err(TaskError::NoResources);
    }
    validate_limits(task, &own)?;
    let (executor, executor_total, new_executor) = match &task.executor {
        None => (Resources::new(), Resources::new(), true),
        Some(executor) => executor_needs(executor, at)?,
    };
    let needed = own.plus(&executor);
    if !at.free.contains(&needed) {
        let (needed, offered) = (needed.to_string(), at.free.to_string());
        return Err(TaskError::TooMuch { needed, offered });
    }
    Ok(Needs { task: own, executor, executor_total, new_executor })
}

fn allocated(wire: &[mesos::Resource], role: &str) -> Result<Resources, ResourceError> {
    let info = mesos::resource::AllocationInfo { role: Some(role.to_owned()) };
    let allocate = |resource: &mesos::Resource| mesos::Resource {
        allocation_info: Some(info.clone()),
        ..resource.clone()
    };
    Resources::from_wire(&wire.iter().map(allocate).collect::<Vec<_>>())
}

fn executor_needs(
    executor: &mesos::ExecutorInfo,
    at: &Placement<'_>,
) -> Result<(Resources, Resources, bool), TaskError> {
    let id = ExecutorId::from(&executor.executor_id);
    ids::validate(id.as_str())?;
    if executor.framework_id.as_ref().is_some_and(|f| f.value != at.framework.id.as_str()) {
        return Err(TaskError::ForeignExecutor);
    }
    let default = mesos::executor_info::Type::Default.into();
    match &executor.command {
        Some(command) => validate_command(command)?,
        None if executor.r#type == Some(default) => {}
        None => return Err(TaskError::ExecutorCommand),
    }
    not_negative(executor.shutdown_grace_period.as_ref(), "shutdown grace period")?;
    let total = allocated(&executor.resources, at.role)?;
    let running = at.framework.executors.get(&at.slave.id).and_then(|known| known.get(&id));
    match running {
        None => Ok((total.clone(), total, true)),
        Some(known) => {
            let same = mesos::ExecutorInfo { resources: total.to_wire(), ..executor.clone() };
            if same != *known {
                return Err(TaskError::ExecutorDiffers(id));
            }
            Ok((Resources::new(), total, false))
        }
    }
}

fn validate_command(command: &mesos::CommandInfo) -> Result<(), TaskError> {
    let variables = command.environment.iter().flat_map(|environment| &environment.variables);
    for variable in variables {
        if variable.value.is_none() && variable.secret.is_none() {
            return Err(TaskError::Environment(variable.name.clone()));
        }
    }
    Ok(())
}

fn not_negative(
    duration: Option<&mesos::DurationInfo>,
    what: &'static str,
) -> Result<(), TaskError> {
    match duration {
        Some(duration) if duration.nanoseconds < 0 => Err(TaskError::Negative(what)),
        _ => Ok(()),
    }
}

fn validate_limits(task: &mesos::TaskInfo, own: &Resources) -> Result<(), TaskError> {
    for (name, limit) in &task.limits {
        let allowed = ["cpus", "mem"].contains(&name.as_str());
        if !allowed || limit.value.is_nan() || limit.value < own.scalar(name) {
            return Err(TaskError::Limit(name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use libprocess::{Pid, Time};

    fn framework() -> Framework {
        Framework::new("F".into(), mesos::FrameworkInfo::default(), Pid::empty(), Time::EPOCH)
    }

    fn slave() -> Slave {
        Slave::new("S".into(), mesos::SlaveInfo::default(), Pid::empty(), Time::EPOCH)
    }

    fn check(change: fn(&mut mesos::TaskInfo)) -> Result<Needs, TaskError> {
        let resources: Resources = "cpus:1;mem:64".parse().unwrap();
        let mut task = mesos::TaskInfo {
            task_id: TaskId::new("t").wire(),
            slave_id: SlaveId::new("S").wire(),
            resources: resources.to_wire(),
            command: Some(mesos::CommandInfo::default()),
            ..Default::default()
        };
        change(&mut task);
        let free = "cpus:2;mem:128".parse::<Resources>().unwrap().allocated_to("*");
        let (framework, slave) = (framework(), slave());
        validate(&task, &Placement { framework: &framework, slave: &slave, role: "*", free: &free })
    }

    #[test]
    fn task_valid_takes_what_it_asks_for() {
        let needs = check(|_| {}).unwrap();
        assert_eq!(needs.task.to_string(), "cpus:1;mem:64");
        assert!(needs.executor.is_empty());
    }

    #[test]
    fn task_executor_counts_when_it_is_new() {
        let needs = check(|task| {
            task.command = None;
            let resources: Resources = "cpus:0.5".parse().unwrap();
            task.executor = Some(Box::new(mesos::ExecutorInfo {
                executor_id: ExecutorId::new("e").wire(),
                command: Some(mesos::CommandInfo::default()),
                resources: resources.to_wire(),
                ..Default::default()
            }));
        });
        assert_eq!(needs.unwrap().executor.cpus(), 0.5);
    }

    #[test]
    fn task_invalid_is_refused_with_its_reason() {
        type Change = fn(&mut mesos::TaskInfo);
        let cases: [(Change, &str); 9] = [
            (|t| t.task_id.value = "a/b".into(), "slash"),
            (|t| t.slave_id.value = "other".into(), "slave other"),
            (|t| t.command = None, "exactly one"),
            (|t| t.executor = Some(Box::default()), "exactly one"),
            (|t| t.resources.clear(), "no resources"),
            (|t| t.resources[0].scalar = Some(mesos::value::Scalar { value: 9.0 }), "cpus:9"),
            (|t| t.resources[0].scalar = Some(mesos::value::Scalar { value: -1.0 }), "amount"),
            (|t| t.max_completion_time = Some(mesos::DurationInfo { nanoseconds: -1 }), "negative"),
            (
                |t| {
                    t.limits.insert("disk".into(), mesos::value::Scalar { value: 9.0 });
                },
                "limits",
            ),
        ];
        for (change, expected) in cases {
            let error = check(change).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }
}
