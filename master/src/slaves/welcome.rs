//! What a slave that is back, and the frameworks on it, are told.

use libprocess::{Pid, Time};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{
    ReconcileTasksMessage, ReregisterSlaveMessage, ShutdownFrameworkMessage,
    SlaveReregisteredMessage, UpdateFrameworkMessage,
};
use protos::mesos::task_status::{Reason, Source};
use protos::status;
use protos::task_state::is_terminal;

use super::register::connection;
use crate::calls::tell;
use crate::effects::Effects;
use crate::state::State;

pub(super) fn greet(
    state: &State,
    id: &SlaveId,
    to: &Pid,
    reconciliations: Vec<ReconcileTasksMessage>,
    fx: &mut Effects,
) {
    let connection = Some(connection(state));
    fx.send(to, &SlaveReregisteredMessage { slave_id: id.wire(), reconciliations, connection });
}

/// The slave learns where schedulers are now, and which frameworks have ended.
pub(super) fn tell_frameworks(
    state: &State,
    to: &Pid,
    message: &ReregisterSlaveMessage,
    fx: &mut Effects,
) {
    for info in &message.frameworks {
        let Some(id) = info.id.as_ref().map(FrameworkId::from) else { continue };
        if state.frameworks.is_completed(&id) {
            fx.send(to, &ShutdownFrameworkMessage { framework_id: id.wire() });
        } else if let Some(framework) = state.frameworks.get(&id).filter(|f| f.connected) {
            let message = UpdateFrameworkMessage {
                framework_id: id.wire(),
                pid: Some(framework.pid.to_string()),
                framework_info: Some(framework.info.clone()),
            };
            fx.send(to, &message);
        }
    }
}

pub(super) fn tell_reachable(
    state: &State,
    framework: &FrameworkId,
    task_id: &TaskId,
    now: Time,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get(framework) else { return };
    let Some(task) = framework.tasks.get(task_id).filter(|t| !is_terminal(t.state())) else {
        return;
    };
    let answer = status::of(task_id, task.state(), now.as_secs_f64())
        .source(Source::Master)
        .reason(Reason::SlaveReregistered)
        .slave(&task.slave)
        .message("Slave reregistered");
    tell(framework, answer, fx);
}
