//! SHUTDOWN of one executor.

use protos::ids::{ExecutorId, FrameworkId, SlaveId};
use protos::mesos::internal::ShutdownExecutorMessage;

use crate::effects::Effects;
use crate::state::State;

/// Asks the slave to shut the executor down.
pub(crate) fn shutdown(
    state: &State,
    framework: &FrameworkId,
    slave: &SlaveId,
    executor: &ExecutorId,
    fx: &mut Effects,
) {
    match state.slaves.get(slave).filter(|slave| slave.connected) {
        Some(slave) => fx.send(
            &slave.pid,
            &ShutdownExecutorMessage {
                executor_id: Some(executor.wire()),
                framework_id: Some(framework.wire()),
            },
        ),
        None => {
            fx.refuse(format!("shutdown of executor {executor}: slave {slave} is not connected"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn shutdown_goes_to_connected_slaves_only() {
        let (mut state, executor) = (cluster(), ExecutorId::new("e"));
        let fx = decide(&mut state, |state, fx| shutdown(state, &f(), &s(), &executor, fx));
        assert_eq!(fx.sent::<ShutdownExecutorMessage>()[0].0, home());
        state.slaves.get_mut(&s()).unwrap().connected = false;
        let fx = decide(&mut state, |state, fx| shutdown(state, &f(), &s(), &executor, fx));
        assert_eq!(refusals(&fx).len(), 1);
    }
}
