//! A task is to be run.

use std::path::PathBuf;

use libprocess::{Pid, Time};
use protos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use protos::mesos;
use protos::mesos::internal::{RunTaskMessage, StatusUpdate};
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{TaskState, container_info};
use protos::resources::Resources;
use protos::status;

use crate::checkpoint;
use crate::effects::{Effect, Effects};
use crate::paths;
use crate::state::{Executor, ExecutorState, State};

use super::{framework, resources, terminated};

/// What a command executor needs besides its task.
const COMMAND_EXECUTOR: &str = "cpus:0.1;mem:32";
/// Characters of a command that an executor's name shows.
const SHOWN_COMMAND: usize = 15;

/// Random values that a launch needs.
pub(crate) struct Fresh {
    pub(crate) container: ContainerId,
    pub(crate) uuid: [u8; 16],
    pub(crate) now: Time,
}

/// Queues a task for its executor, which is started if it is new.
pub(crate) fn run_task(
    state: &mut State,
    message: RunTaskMessage,
    fresh: &Fresh,
    fx: &mut Effects,
) {
    let Some(id) = message.framework.id.as_ref().or(message.framework_id.as_ref()) else {
        return fx.refuse("task of a framework without id");
    };
    let id = FrameworkId::from(id);
    let task_id = TaskId::from(&message.task.task_id);
    for name in [id.as_str(), task_id.as_str()] {
        if let Err(error) = protos::ids::validate(name) {
            return fx.refuse(format!("task {task_id} of framework {id}: {error}"));
        }
    }
    if message.task.slave_id.value != state.id().as_str() {
        return fx.refuse(format!("task {task_id} is for slave {}", message.task.slave_id.value));
    }
    if state.frameworks.get(&id).is_some_and(|framework| framework.terminating) {
        return fx.refuse(format!("task {task_id}: framework {id} is terminating"));
    }
    let executor_id = match &message.task.executor {
        Some(executor) => ExecutorId::from(&executor.executor_id),
        None => ExecutorId::new(task_id.as_str()),
    };
    let found = state.executor(&id, &executor_id);
    if found.is_some_and(|executor| executor.is_live(&task_id)) {
        return fx.refuse(format!("task {task_id} of framework {id} is here already"));
    }
    let known = found.map(|executor| executor.state);
    let unknown = (!resources::knows(state, &message.task)).then_some((
        Reason::ResourcesUnknown,
        "its reserved resources or volumes are not known here",
    ));
    let unlimited = (!limits_hold(state, &message.task))
        .then_some((Reason::GcError, "its limits need the isolators cgroups/cpu and cgroups/mem"));
    let objection = objection(found, &message, &task_id).or(unknown).or(unlimited);
    let pid = message.pid.as_deref().and_then(|pid| pid.parse::<Pid>().ok());
    framework::learn(state, &id, &message.framework, pid, fx);
    if let Some((reason, why)) = objection {
        return refuse(state, &id, &message, why, reason, fresh, fx);
    }
    match known {
        None => start_executor(state, &id, &executor_id, message, fresh, fx),
        Some(_) => queue(state, &id, &executor_id, message.task, fx),
    }
    if known == Some(ExecutorState::Running) {
        resize(state, &id, &executor_id, fx);
    }
}

/// True when somebody sees to the limits that a task sets: an isolator of that resource, or docker.
fn limits_hold(state: &State, task: &mesos::TaskInfo) -> bool {
    let docker = |info: &mesos::ContainerInfo| info.r#type() == container_info::Type::Docker;
    if task.container.as_deref().is_some_and(docker) {
        return true;
    }
    let has = |name: &str| state.config.isolation.split(',').any(|own| own.trim() == name);
    task.limits.keys().all(|limit| {
        let own = if limit == "cpus" { "cgroups/cpu" } else { "cgroups/mem" };
        ["cgroups", "cgroups/all", own].into_iter().any(has)
    })
}

/// Why the task cannot be run, if it cannot.
fn objection(
    executor: Option<&Executor>,
    message: &RunTaskMessage,
    task: &TaskId,
) -> Option<(Reason, &'static str)> {
    let Some(executor) = executor else {
        let gone = message.launch_executor == Some(false);
        return gone.then_some((Reason::ExecutorTerminated, "the executor is gone"));
    };
    if matches!(executor.state, ExecutorState::Terminating | ExecutorState::Terminated) {
        return Some((Reason::ExecutorTerminated, "the executor is terminating"));
    }
    if executor.generated || message.task.executor.is_none() {
        return Some((Reason::TaskInvalid, "a command task and another need the same executor id"));
    }
    if executor.has(task) {
        return Some((
            Reason::TaskInvalid,
            "updates of an earlier task of that id are on their way",
        ));
    }
    let unexpected = message.launch_executor == Some(true);
    unexpected.then_some((Reason::ExecutorTerminated, "the executor is there already"))
}

fn start_executor(
    state: &mut State,
    id: &FrameworkId,
    executor_id: &ExecutorId,
    message: RunTaskMessage,
    fresh: &Fresh,
    fx: &mut Effects,
) {
    if let Err(error) = protos::ids::validate(executor_id.as_str()) {
        let why = error.to_string();
        return refuse(state, id, &message, &why, Reason::TaskInvalid, fresh, fx);
    }
    let task = message.task;
    let generated = task.executor.is_none();
    let mut info = match &task.executor {
        Some(executor) => (**executor).clone(),
        None => command_executor(state, id, &task),
    };
    // Masters that hear of the executor from this slave alone must know whose it is.
    info.framework_id.get_or_insert_with(|| id.wire());
    let slave = state.id();
    let container = fresh.container.clone();
    let directory = paths::sandbox(&state.config.work_dir, &slave, id, executor_id, &container);
    let executor = Executor {
        id: executor_id.clone(),
        info,
        container: container.clone(),
        directory,
        generated,
        state: ExecutorState::Registering,
        pid: None,
        cause: None,
        container_status: Default::default(),
        queued: Default::default(),
        launched: Default::default(),
        completed: Default::default(),
    };
    let all = paths::all_of_executor(&state.config.work_dir, &slave, id, executor_id);
    fx.push(Effect::Keep(all.to_vec()));
    // Its sandbox is made before the checkpoints are written, which takes longer.
    let launch = fx.0.len();
    let Some(framework) = state.frameworks.get_mut(id) else { return };
    if framework.checkpoints() {
        let meta = paths::meta_executor(&state.config.work_dir, &slave, id, executor_id);
        fx.push(Effect::Write(meta.join("executor.info"), checkpoint::encode(&executor.info)));
        let marker = if generated { "1" } else { "0" };
        fx.push(Effect::Write(meta.join("executor_generated_for_command_task"), marker.into()));
    }
    framework.executors.insert(executor_id.clone(), executor);
    queue(state, id, executor_id, task, fx);
    fx.note(format!("container {container} for executor {executor_id} of framework {id}"));
    fx.0.insert(launch, Effect::Launch(id.clone(), executor_id.clone()));
}

/// The executor of a command task.
fn command_executor(
    state: &State,
    framework: &FrameworkId,
    task: &mesos::TaskInfo,
) -> mesos::ExecutorInfo {
    let command = task.command.clone().unwrap_or_default();
    let shown = match command.value.as_deref().unwrap_or_default() {
        long if long.chars().count() > SHOWN_COMMAND => {
            format!("{}...", long.chars().take(SHOWN_COMMAND - 3).collect::<String>())
        }
        short => short.to_owned(),
    };
    let name =
        format!("Command Executor (Task: {}) (Command: sh -c '{shown}')", task.task_id.value);
    let argv = state.config.helpers.executor.clone();
    let role = Resources::from_wire(&task.resources).unwrap_or_default();
    let role = role.allocations().into_keys().next().unwrap_or_default();
    // A constant of this file that parses.
    let mut own: Resources = COMMAND_EXECUTOR.parse().unwrap_or_default();
    if !role.is_empty() {
        own = own.allocated_to(&role);
    }
    mesos::ExecutorInfo {
        executor_id: ExecutorId::new(task.task_id.value.as_str()).wire(),
        framework_id: Some(framework.wire()),
        name: Some(name),
        source: Some(task.task_id.value.clone()),
        command: Some(mesos::CommandInfo {
            uris: command.uris,
            environment: None,
            value: argv.first().cloned(),
            user: command.user,
            shell: Some(false),
            arguments: argv,
        }),
        container: task.container.clone(),
        discovery: task.discovery.clone(),
        labels: task.labels.clone(),
        resources: own.to_wire(),
        ..Default::default()
    }
}

fn queue(
    state: &mut State,
    id: &FrameworkId,
    executor_id: &ExecutorId,
    task: mesos::TaskInfo,
    fx: &mut Effects,
) {
    let path = meta_task(state, id, executor_id, &TaskId::from(&task.task_id));
    let Some(executor) = state.executor_mut(id, executor_id) else { return };
    if let Some(path) = path {
        let wire = task_of(&task, id, (!executor.generated).then_some(executor_id));
        fx.push(Effect::Write(path.join("task.info"), checkpoint::encode(&wire)));
    }
    executor.queued.push_back(task);
}

/// Where a task's checkpoints lie; none when its framework does not checkpoint.
pub(crate) fn meta_task(
    state: &State,
    id: &FrameworkId,
    executor_id: &ExecutorId,
    task: &TaskId,
) -> Option<PathBuf> {
    let framework = state.frameworks.get(id).filter(|framework| framework.checkpoints())?;
    let executor = framework.executors.get(executor_id)?;
    let (work_dir, slave) = (&state.config.work_dir, state.id());
    let run = paths::meta_run(work_dir, &slave, id, executor_id, &executor.container);
    Some(paths::task_dir(&run, task))
}

/// The container gets what its tasks need, queued ones included; then they are handed over.
pub(crate) fn resize(state: &State, id: &FrameworkId, executor: &ExecutorId, fx: &mut Effects) {
    if let Some(found) = state.executor(id, executor) {
        fx.push(Effect::Resize {
            framework: id.clone(),
            executor: executor.clone(),
            container: found.container.clone(),
            allocation: found.allocation(state.config.cgroups_enable_cfs),
        });
    }
}

/// The container has been resized: queued tasks go to the executor.
pub(crate) fn hand_over(
    state: &mut State,
    id: &FrameworkId,
    executor_id: &ExecutorId,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get_mut(id) else { return };
    let (info, pid) = (framework.info.clone(), framework.pid.clone().unwrap_or_default());
    let Some(executor) = framework.executors.get_mut(executor_id) else { return };
    let Some(to) = executor.pid.clone() else { return };
    if executor.state != ExecutorState::Running {
        return;
    }
    let named = (!executor.generated).then(|| executor_id.clone());
    for task in std::mem::take(&mut executor.queued) {
        let wire = task_of(&task, id, named.as_ref());
        executor.launched.insert(TaskId::from(&task.task_id), wire);
        let message = RunTaskMessage {
            framework_id: Some(id.wire()),
            framework: info.clone(),
            pid: Some(pid.to_string()),
            task,
            resource_version_uuids: Vec::new(),
            launch_executor: None,
        };
        fx.send(&to, &message);
    }
}

/// A task as masters and operators see it.
pub(crate) fn task_of(
    task: &mesos::TaskInfo,
    framework: &FrameworkId,
    executor: Option<&ExecutorId>,
) -> mesos::Task {
    mesos::Task {
        name: task.name.clone(),
        task_id: task.task_id.clone(),
        framework_id: framework.wire(),
        executor_id: executor.map(ExecutorId::wire),
        slave_id: task.slave_id.clone(),
        state: TaskState::TaskStaging.into(),
        resources: task.resources.clone(),
        labels: task.labels.clone(),
        discovery: task.discovery.clone(),
        container: task.container.clone(),
        user: task.command.as_ref().and_then(|command| command.user.clone()),
        health_check: task.health_check.clone(),
        kill_policy: task.kill_policy,
        limits: task.limits.clone(),
        ..Default::default()
    }
}

/// Tells the framework that the task is not run, and a master that expected a new executor for it
/// that there is none.
fn refuse(
    state: &mut State,
    id: &FrameworkId,
    message: &RunTaskMessage,
    why: &str,
    reason: Reason,
    fresh: &Fresh,
    fx: &mut Effects,
) {
    let task_id = TaskId::from(&message.task.task_id);
    if message.launch_executor == Some(true)
        && let Some(executor) = &message.task.executor
    {
        let executor_id = ExecutorId::from(&executor.executor_id);
        let known = state.executor(id, &executor_id);
        if known.is_none_or(|executor| executor.state == ExecutorState::Terminated) {
            terminated::tell_exited(state, id, &executor_id, None, fx);
        }
    }
    fx.refuse(format!("task {task_id} of framework {id}: {why}"));
    let Some(framework) = state.frameworks.get(id) else { return };
    let update: StatusUpdate =
        status::of(&task_id, framework.aware(TaskState::TaskDropped), fresh.now.as_secs_f64())
            .source(Source::Slave)
            .reason(reason)
            .slave(&state.id())
            .message(why)
            .uuid(fresh.uuid)
            .update(id);
    fx.push(Effect::Update { update: Box::new(update), path: None, executor: None });
    state.forget_if_idle(id, fx);
}
