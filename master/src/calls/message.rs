//! Messages between schedulers and executors that go by the master.

use bytes::Bytes;
use protos::ids::{ExecutorId, FrameworkId, SlaveId};
use protos::mesos::internal::{ExecutorToFrameworkMessage, FrameworkToExecutorMessage};

use crate::effects::Effects;
use crate::state::State;

/// MESSAGE: to an executor, as well as possible.
pub(crate) fn to_executor(
    state: &State,
    framework: &FrameworkId,
    slave: &SlaveId,
    executor: &ExecutorId,
    data: Bytes,
    fx: &mut Effects,
) {
    let Some(target) = state.slaves.get(slave).filter(|slave| slave.connected) else {
        return fx
            .refuse(format!("message of framework {framework}: slave {slave} is not connected"));
    };
    let message = FrameworkToExecutorMessage {
        slave_id: slave.wire(),
        framework_id: framework.wire(),
        executor_id: executor.wire(),
        data,
    };
    fx.send(&target.pid, &message);
    fx.count("master/valid_framework_to_executor_messages");
}

/// From an executor, by its slave.
pub(crate) fn to_framework(state: &State, message: &ExecutorToFrameworkMessage, fx: &mut Effects) {
    let id = FrameworkId::from(&message.framework_id);
    match state.frameworks.get(&id).filter(|framework| framework.connected) {
        Some(framework) => {
            fx.send(&framework.pid, message);
            fx.count("master/valid_executor_to_framework_messages");
        }
        None => fx.refuse(format!("message of an executor: framework {id} is not connected")),
    }
}
