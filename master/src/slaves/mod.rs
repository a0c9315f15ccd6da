//! Slaves' life: registration, silence, updates, removal.

mod adopt;
mod ended;
pub(crate) mod lost;
pub(crate) mod register;
pub(crate) mod reregister;
pub(crate) mod update;
mod welcome;

use protos::ids::SlaveId;

use crate::effects::{AfterRegistry, Effects};
use crate::state::State;

/// The registry did not take a change: nothing has happened, and another attempt may be made.
pub(crate) fn registry_refused(state: &mut State, then: &AfterRegistry, fx: &mut Effects) {
    fx.refuse(format!("registry refused a change: {then:?}"));
    match then {
        AfterRegistry::Admitted(from, _) => state.slaves.end_registration(from),
        AfterRegistry::Readmitted(_, message) | AfterRegistry::Updated(_, message) => {
            if let Some(id) = &message.slave.id {
                state.slaves.end_change(&SlaveId::from(id));
            }
        }
        AfterRegistry::Unreachable(id) | AfterRegistry::Removed(id, _) => {
            state.slaves.end_change(id);
        }
    }
}
