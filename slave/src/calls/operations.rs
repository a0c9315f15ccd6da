//! Operations on resources. This slave carries none out: it says so, and the master corrects its
//! books.

use protos::mesos;
use protos::mesos::OperationState;
use protos::mesos::internal::{
    ApplyOperationMessage, ReconcileOperationsMessage, UpdateOperationStatusMessage,
};

use crate::effects::Effects;
use crate::state::State;

/// An operation is to be carried out.
pub(crate) fn apply(
    state: &State,
    message: &ApplyOperationMessage,
    uuid: [u8; 16],
    fx: &mut Effects,
) {
    fx.refuse("operation on resources: not supported");
    let (framework, operation) = (&message.framework_id, &message.operation_uuid);
    tell_dropped(state, framework, Some(operation), message.operation_info.id.as_ref(), uuid, fx);
}

/// The master asks for operations that it believes here: there are none.
pub(crate) fn reconcile(
    state: &State,
    message: &ReconcileOperationsMessage,
    uuids: &[[u8; 16]],
    fx: &mut Effects,
) {
    for (operation, uuid) in message.operations.iter().zip(uuids) {
        let (id, of) = (operation.operation_id.as_ref(), operation.operation_uuid.as_ref());
        tell_dropped(state, &message.framework_id, of, id, *uuid, fx);
    }
}

fn tell_dropped(
    state: &State,
    framework: &Option<mesos::FrameworkId>,
    operation: Option<&mesos::Uuid>,
    id: Option<&mesos::OperationId>,
    uuid: [u8; 16],
    fx: &mut Effects,
) {
    let Some(master) = &state.master else { return };
    let status = mesos::OperationStatus {
        operation_id: id.cloned(),
        state: OperationState::OperationDropped.into(),
        message: Some("The agent does not have this operation".to_owned()),
        uuid: Some(mesos::Uuid { value: uuid.to_vec().into() }),
        slave_id: Some(state.id().wire()),
        ..Default::default()
    };
    let update = UpdateOperationStatusMessage {
        framework_id: framework.clone(),
        slave_id: Some(state.id().wire()),
        latest_status: Some(status.clone()),
        status,
        operation_uuid: operation.cloned(),
    };
    fx.send(master, &update);
}
