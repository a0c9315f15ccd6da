//! Executors and frameworks are asked to go.

use std::time::Duration;

use protos::ids::{ContainerId, ExecutorId, FrameworkId};
use protos::mesos::internal::ShutdownExecutorMessage;

use crate::effects::{Effect, Effects, Reminder};
use crate::state::{Executor, ExecutorState, State};

/// Asks an executor to go; its container is destroyed when it takes too long.
pub(crate) fn shut_down_executor(
    state: &mut State,
    framework: &FrameworkId,
    executor_id: &ExecutorId,
    fx: &mut Effects,
) {
    let default = state.config.executor_shutdown_grace;
    let Some(executor) = state.executor_mut(framework, executor_id) else { return };
    if matches!(executor.state, ExecutorState::Terminating | ExecutorState::Terminated) {
        return;
    }
    executor.state = ExecutorState::Terminating;
    let container = executor.container.clone();
    match &executor.pid {
        // Who never spoke cannot be asked.
        None => fx.push(Effect::Destroy(container)),
        Some(pid) => {
            let message = ShutdownExecutorMessage { executor_id: None, framework_id: None };
            fx.send(pid, &message);
            let grace = grace(executor, default);
            let (framework, executor) = (framework.clone(), executor_id.clone());
            let reminder = Reminder::ExecutorShutdown(framework, executor, container);
            fx.push(Effect::Remind(grace, reminder));
        }
    }
}

/// The executor is still there after its grace period.
pub(crate) fn shutdown_timed_out(
    state: &State,
    framework: &FrameworkId,
    executor: &ExecutorId,
    container: &ContainerId,
    fx: &mut Effects,
) {
    let there = state.executor(framework, executor).is_some_and(|executor| {
        executor.state == ExecutorState::Terminating && executor.container == *container
    });
    if there {
        fx.push(Effect::Destroy(container.clone()));
    }
}

/// A framework has ended: all its executors go, and their updates are of no interest any more.
pub(crate) fn shut_down_framework(state: &mut State, id: &FrameworkId, fx: &mut Effects) {
    let Some(framework) = state.frameworks.get_mut(id) else { return };
    framework.terminating = true;
    fx.push(Effect::ForgetUpdates(id.clone()));
    let executors: Vec<_> = framework.executors.keys().cloned().collect();
    for executor in &executors {
        shut_down_executor(state, id, executor, fx);
    }
    // Executors that ended before were kept for their updates only.
    for executor in executors {
        if state.executor(id, &executor).is_some_and(|it| it.state == ExecutorState::Terminated) {
            state.complete(id, &executor, fx);
        }
    }
    state.forget_if_idle(id, fx);
}

/// How long an executor may take: what it says itself, else the slave's `default`.
fn grace(executor: &Executor, default: Duration) -> Duration {
    let own = executor.info.shutdown_grace_period.as_ref();
    let own = own.and_then(|grace| u64::try_from(grace.nanoseconds).ok());
    own.map_or(default, Duration::from_nanos)
}

/// How long the executors that are there may take to go.
pub(crate) fn longest_grace(state: &State) -> Duration {
    let default = state.config.executor_shutdown_grace;
    let executors = state.frameworks.values().flat_map(|framework| framework.executors.values());
    executors.map(|executor| grace(executor, default)).max().unwrap_or(default)
}

/// The slave itself is to go: all frameworks do.
pub(crate) fn shut_down_all(state: &mut State, fx: &mut Effects) {
    let ids: Vec<_> = state.frameworks.keys().cloned().collect();
    for id in ids {
        shut_down_framework(state, &id, fx);
    }
}
