//! Messages between schedulers and executors.

use protos::ids::{ExecutorId, FrameworkId};
use protos::mesos::internal::{ExecutorToFrameworkMessage, FrameworkToExecutorMessage};

use crate::effects::{Effect, Effects};
use crate::state::{ExecutorState, State};

/// To an executor that runs; to nobody else.
pub(crate) fn to_executor(state: &State, message: &FrameworkToExecutorMessage, fx: &mut Effects) {
    let framework = FrameworkId::from(&message.framework_id);
    let executor = ExecutorId::from(&message.executor_id);
    let running = state.executor(&framework, &executor);
    let running = running.filter(|found| found.state == ExecutorState::Running);
    match running.and_then(|found| found.pid.as_ref()) {
        Some(pid) => {
            fx.send(pid, message);
            fx.push(Effect::Count("slave/valid_framework_messages"));
        }
        None => {
            fx.refuse(format!(
                "message for executor {executor} of framework {framework}: not running"
            ));
            fx.push(Effect::Count("slave/invalid_framework_messages"));
        }
    }
}

/// To a framework: straight to its scheduler, or by the master.
pub(crate) fn to_framework(state: &State, message: &ExecutorToFrameworkMessage, fx: &mut Effects) {
    let id = FrameworkId::from(&message.framework_id);
    let Some(framework) = state.frameworks.get(&id).filter(|f| !f.terminating) else {
        fx.push(Effect::Count("slave/invalid_framework_messages"));
        return fx.refuse(format!("message of an executor: framework {id} is unknown"));
    };
    fx.push(Effect::Count("slave/valid_framework_messages"));
    match framework.pid.as_ref().or(state.master.as_ref()) {
        Some(to) => fx.send(to, message),
        None => fx.refuse(format!("message for framework {id}: no master")),
    }
}
