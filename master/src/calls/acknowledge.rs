//! ACKNOWLEDGE: the framework has an update; its slave may send the next.

use bytes::Bytes;
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::StatusUpdateAcknowledgementMessage;

use crate::effects::Effects;
use crate::state::State;

/// Passes the acknowledgement on; that of a terminal update completes the task.
pub(crate) fn acknowledge(
    state: &mut State,
    framework_id: &FrameworkId,
    slave_id: &SlaveId,
    task_id: &TaskId,
    uuid: &Bytes,
    fx: &mut Effects,
) {
    let refused = |why: &str| {
        format!("acknowledgement for task {task_id} of framework {framework_id}: {why}")
    };
    if uuid.len() != 16 {
        fx.count("master/invalid_status_update_acknowledgements");
        return fx.refuse(refused("uuid is not 16 bytes long"));
    }
    let Some(slave) = state.slaves.get(slave_id).filter(|slave| slave.connected) else {
        fx.count("master/invalid_status_update_acknowledgements");
        return fx.refuse(refused("slave is unknown or disconnected"));
    };
    let slave_pid = slave.pid.clone();
    let keep = state.config.max_completed_tasks;
    let Some(framework) = state.frameworks.get_mut(framework_id) else { return };
    if let Some(task) = framework.tasks.get(task_id).filter(|task| task.slave == *slave_id) {
        let Some(sent) = task.told_uuid() else {
            fx.count("master/invalid_status_update_acknowledgements");
            return fx.refuse(refused("no update was sent"));
        };
        if sent == &uuid[..] && task.is_told_over() {
            framework.tasks.complete(task_id, keep);
        }
    }
    let message = StatusUpdateAcknowledgementMessage {
        slave_id: slave_id.wire(),
        framework_id: framework_id.wire(),
        task_id: task_id.wire(),
        uuid: uuid.clone(),
    };
    fx.send(&slave_pid, &message);
    fx.count("master/valid_status_update_acknowledgements");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use protos::mesos;

    fn told(state: &mut State, told: mesos::TaskState) -> Bytes {
        running(state, "t");
        let uuid = Bytes::from_static(&[7; 16]);
        let status = mesos::TaskStatus { state: told.into(), ..Default::default() };
        let framework = state.frameworks.get_mut(&f()).unwrap();
        framework.tasks.update(&"t".into(), &status, Some(&uuid), told);
        uuid
    }

    fn run(state: &mut State, uuid: &Bytes) -> Effects {
        decide(state, |state, fx| acknowledge(state, &f(), &s(), &"t".into(), uuid, fx))
    }

    #[test]
    fn acknowledgement_of_a_terminal_update_completes_the_task() {
        for (state_told, completed) in
            [(mesos::TaskState::TaskRunning, 0), (mesos::TaskState::TaskFinished, 1)]
        {
            let mut state = cluster();
            let uuid = told(&mut state, state_told);
            let fx = run(&mut state, &uuid);
            assert_eq!(fx.sent::<StatusUpdateAcknowledgementMessage>()[0].0, home());
            let framework = state.frameworks.get(&f()).unwrap();
            assert_eq!(framework.tasks.completed().count(), completed, "{state_told:?}");
        }
    }

    #[test]
    fn acknowledgement_of_another_update_leaves_the_task() {
        let mut state = cluster();
        told(&mut state, mesos::TaskState::TaskFinished);
        run(&mut state, &Bytes::from_static(&[8; 16]));
        assert!(state.frameworks.task(&f(), &"t".into()).is_some());
    }

    #[test]
    fn acknowledgement_that_cannot_be_passed_on_is_refused() {
        type Spoil = fn(&mut State, &mut Bytes);
        let spoil: [Spoil; 3] = [
            |_, uuid| *uuid = Bytes::from_static(b"short"),
            |state, _| state.slaves.get_mut(&s()).unwrap().connected = false,
            |state, _| running(state, "t"),
        ];
        for (number, spoil) in spoil.into_iter().enumerate() {
            let mut state = cluster();
            let mut uuid = told(&mut state, mesos::TaskState::TaskFinished);
            spoil(&mut state, &mut uuid);
            let fx = run(&mut state, &uuid);
            assert_eq!((refusals(&fx).len(), fx.0.len()), (1, 2), "case {number}");
        }
    }
}
