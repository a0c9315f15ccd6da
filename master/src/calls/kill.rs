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
