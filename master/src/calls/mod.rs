//! What frameworks may ask for: one call in a file, each a function from state to effects.

pub(crate) mod accept;
pub(crate) mod acknowledge;
pub(crate) mod decline;
pub(crate) mod disconnect;
pub(crate) mod inverse;
pub(crate) mod kill;
pub(crate) mod message;
pub(crate) mod offers;
pub(crate) mod operation_status;
pub(crate) mod reconcile;
pub(crate) mod revive;
pub(crate) mod shutdown;
pub(crate) mod subscribe;
pub(crate) mod teardown;
pub(crate) mod update;

use protos::mesos::TaskState;
use protos::mesos::internal::StatusUpdateMessage;
use protos::status::Builder;

use crate::effects::Effects;
use crate::state::Framework;

/// Sends a framework an update that the master made itself: no uuid, nothing to acknowledge.
pub(crate) fn tell(framework: &Framework, status: Builder, fx: &mut Effects) {
    if framework.connected {
        let update = status.update(&framework.id);
        fx.send(&framework.pid, &StatusUpdateMessage { update, pid: None });
    }
}

/// The state for partition-aware frameworks, or its older stand-in for the others.
pub(crate) fn aware(framework: &Framework, state: TaskState) -> TaskState {
    if framework.partition_aware() { state } else { TaskState::TaskLost }
}
