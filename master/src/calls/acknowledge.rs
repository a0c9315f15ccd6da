//! ACKNOWLEDGE: the framework has an update; its slave may send the next.

use bytes::Bytes;
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::StatusUpdateAcknowledgementMessage;
use protos::task_state::{from_wire, is_terminal};

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
        return fx.refuse(refused("uuid is not 16 bytes long"));
    }
    let Some(slave) = state.slaves.get(slave_id).filter(|slave| slave.connected) else {
        return fx.refuse(refused("slave is unknown or disconnected"));
    };
    let slave_pid = slave.pid.clone();
    let keep = state.config.max_completed_tasks;
    let Some(framework) = state.frameworks.get_mut(framework_id) else { return };
    if let Some(task) = framework.tasks.get(task_id).filter(|task| task.slave == *slave_id) {
        let wire = task.wire();
        let Some(sent) = &wire.status_update_uuid else {
            return fx.refuse(refused("no update was sent"));
        };
        let told = wire.status_update_state.and_then(from_wire);
        if sent == uuid && told.is_some_and(is_terminal) {
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
