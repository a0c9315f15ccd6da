//! KILL.

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos;
use protos::mesos::internal::KillTaskMessage;

use super::reconcile::{Query, explicit};
use crate::effects::Effects;
use crate::state::State;

/// Passes a kill on; of an unknown task the framework is told the state instead.
pub(crate) fn kill(
    state: &mut State,
    framework_id: &FrameworkId,
    task_id: &TaskId,
    slave_id: Option<&SlaveId>,
    policy: Option<mesos::KillPolicy>,
    now: Time,
    fx: &mut Effects,
) {
    let Some(task) = state.frameworks.task(framework_id, task_id) else {
        let query = Query { task: task_id.clone(), slave: slave_id.cloned() };
        return explicit(state, framework_id, &[query], now, fx);
    };
    if slave_id.is_some_and(|given| *given != task.slave) {
        return fx.refuse(format!("kill of task {task_id}: it runs on slave {}", task.slave));
    }
    let home = task.slave.clone();
    let Some(slave) = state.slaves.get_mut(&home) else { return };
    if !slave.connected {
        slave.pending_kills.insert((framework_id.clone(), task_id.clone()));
        return;
    }
    let message = KillTaskMessage {
        framework_id: framework_id.wire(),
        task_id: task_id.wire(),
        kill_policy: policy,
    };
    fx.send(&slave.pid, &message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn run(state: &mut State, task: &str, slave: Option<&str>) -> Effects {
        let slave = slave.map(SlaveId::from);
        decide(state, |state, fx| {
            kill(state, &f(), &task.into(), slave.as_ref(), None, NOW, fx);
        })
    }

    #[test]
    fn kill_of_a_known_task_goes_to_its_slave() {
        let mut state = cluster();
        running(&mut state, "t");
        assert_eq!(run(&mut state, "t", None).sent::<KillTaskMessage>()[0].0, home());
        let fx = run(&mut state, "t", Some("other"));
        assert_eq!((refusals(&fx).len(), fx.0.len()), (1, 1));
    }

    #[test]
    fn kill_on_a_disconnected_slave_is_remembered() {
        let mut state = cluster();
        running(&mut state, "t");
        state.slaves.get_mut(&s()).unwrap().connected = false;
        assert!(run(&mut state, "t", None).0.is_empty());
        assert!(state.slaves.get(&s()).unwrap().pending_kills.contains(&(f(), "t".into())));
    }

    #[test]
    fn kill_of_an_unknown_task_is_answered_as_a_reconciliation() {
        let mut state = cluster();
        let reason = mesos::task_status::Reason::Reconciliation.into();
        let lost = ("t".to_owned(), mesos::TaskState::TaskLost, reason);
        assert_eq!(updates(&run(&mut state, "t", Some("S"))), [lost]);
    }
}
