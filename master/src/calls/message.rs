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
        fx.count("master/invalid_framework_to_executor_messages");
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
        None => {
            fx.count("master/invalid_executor_to_framework_messages");
            fx.refuse(format!("message of an executor: framework {id} is not connected"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn message_goes_both_ways_between_the_connected() {
        let mut state = cluster();
        let (executor, data) = (ExecutorId::new("e"), Bytes::from_static(b"hi"));
        let back = ExecutorToFrameworkMessage {
            slave_id: s().wire(),
            framework_id: f().wire(),
            executor_id: executor.wire(),
            data: data.clone(),
        };
        let fx = decide(&mut state, |state, fx| {
            to_executor(state, &f(), &s(), &executor, data.clone(), fx);
            to_framework(state, &back, fx);
        });
        assert_eq!(fx.sent::<FrameworkToExecutorMessage>()[0].0, home());
        assert_eq!(fx.sent::<ExecutorToFrameworkMessage>(), [(scheduler(), back.clone())]);
        state.slaves.get_mut(&s()).unwrap().connected = false;
        state.frameworks.get_mut(&f()).unwrap().connected = false;
        let fx = decide(&mut state, |state, fx| {
            to_executor(state, &f(), &s(), &executor, data, fx);
            to_framework(state, &back, fx);
        });
        assert_eq!((refusals(&fx).len(), fx.0.len()), (2, 4));
    }
}
