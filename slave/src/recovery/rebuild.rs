//! The slave's books, made of what was found on disk.

use std::collections::VecDeque;

use protos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};

use super::{FoundExecutor, FoundFramework, FoundTask};
use crate::containerizer::RecoveredContainer;
use crate::effects::Effects;
use crate::paths;
use crate::state::{Executor, ExecutorState, Framework, State};
use crate::status_updates::{RecoveredStream, Stream};

/// What is to be done once the books are there.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Containers that may still run.
    pub(crate) containers: Vec<RecoveredContainer>,
    /// Executors whose books are open.
    pub(crate) executors: Vec<(FrameworkId, ExecutorId, ContainerId)>,
    /// Streams of updates that are not over.
    pub(crate) streams: Vec<RecoveredStream>,
}

/// Enters frameworks, executors and tasks. After a reboot nothing runs any more, whatever the
/// checkpoints say.
pub(crate) fn rebuild(state: &mut State, found: Vec<FoundFramework>, rebooted: bool) -> Plan {
    let mut plan = Plan::default();
    // What is over is collected with everything else that earlier runs left.
    let mut unneeded = Effects::default();
    for FoundFramework { id, info, pid, executors } in found {
        let mut framework = Framework::new(id.clone(), info, pid);
        for found in executors {
            let executor = executor(state, &framework, found, rebooted, &mut plan);
            if executor.state == ExecutorState::Terminated {
                framework.completed.push_back(executor);
            } else {
                framework.executors.insert(executor.id.clone(), executor);
            }
        }
        let keep = state.config.max_completed_executors;
        let excess = framework.completed.len().saturating_sub(keep);
        framework.completed.drain(..excess);
        state.frameworks.insert(id.clone(), framework);
        state.forget_if_idle(&id, &mut unneeded);
    }
    plan
}

fn executor(
    state: &State,
    framework: &Framework,
    found: FoundExecutor,
    rebooted: bool,
    plan: &mut Plan,
) -> Executor {
    let (work_dir, slave, id) = (&state.config.work_dir, state.id(), &framework.id);
    let run = paths::meta_run(work_dir, &slave, id, &found.id, &found.container);
    let directory = paths::sandbox(work_dir, &slave, id, &found.id, &found.container);
    let mut executor = Executor {
        id: found.id,
        info: found.info,
        container: found.container,
        directory,
        generated: found.generated,
        state: if found.over { ExecutorState::Terminated } else { ExecutorState::Registering },
        pid: found.pid.filter(|_| !rebooted),
        cause: None,
        container_status: Default::default(),
        queued: VecDeque::new(),
        launched: Default::default(),
        completed: VecDeque::new(),
    };
    for found in found.tasks {
        task(&mut executor, id, found, &run, plan);
    }
    if !found.over {
        plan.executors.push((id.clone(), executor.id.clone(), executor.container.clone()));
        plan.containers.extend(found.forked.filter(|_| !rebooted).map(|pid| RecoveredContainer {
            id: executor.container.clone(),
            pid,
            directory: executor.directory.clone(),
            allocation: executor.allocation(state.config.cgroups_enable_cfs),
            executor_info: executor.info.clone(),
            user: executor.runs_as(framework, state.config.switch_user),
            is_command_task: executor.generated,
        }));
    }
    executor
}

fn task(
    executor: &mut Executor,
    id: &FrameworkId,
    found: FoundTask,
    run: &std::path::Path,
    plan: &mut Plan,
) {
    let task_id = TaskId::from(&found.task.task_id);
    let mut task = found.task;
    for update in &found.updates {
        crate::state::note_status(&mut task, &update.status);
    }
    executor.launched.insert(task_id.clone(), task);
    let stream = Stream::recovered(found.updates, &found.acknowledged);
    match stream.filter(|_| executor.state != ExecutorState::Terminated) {
        Some(stream) => {
            let path = paths::task_dir(run, &task_id).join("task.updates");
            plan.streams.push(RecoveredStream {
                framework: id.clone(),
                task: task_id,
                path,
                stream,
            });
        }
        None => executor.complete(&task_id),
    }
}
