//! Slaves' life: registration, silence, updates, removal.

mod adopt;
pub(crate) mod drain;
mod ended;
pub(crate) mod gone;
pub(crate) mod lost;
pub(crate) mod recovery;
pub(crate) mod register;
pub(crate) mod removal;
pub(crate) mod reregister;
pub(crate) mod update;
mod welcome;

use protos::ids::SlaveId;

use crate::effects::{AfterRegistry, AllocatorCall, Effects};
use crate::security::Action;
use crate::state::State;

/// The allocator hears of the maintenance that is planned for a slave that came.
fn tell_plan(state: &State, id: &SlaveId, fx: &mut Effects) {
    let slave = state.slaves.get(id);
    let plan = slave.and_then(|slave| state.maintenance.unavailability(slave)).copied();
    if plan.is_some() {
        fx.allocator(AllocatorCall::Unavailability(id.clone(), plan));
    }
}

/// Slaves that must prove who they are, or are not wanted, get silence.
fn admit(
    state: &State,
    from: &libprocess::Pid,
    info: &protos::mesos::SlaveInfo,
) -> Result<(), String> {
    let principal = state.authenticated.get(from).map(String::as_str);
    if principal.is_none() && state.config.authenticate_agents {
        return Err("it is not authenticated".to_owned());
    }
    if !state.allows(Action::RegisterAgent, principal, None) {
        return Err("its principal is not authorized to register".to_owned());
    }
    match (&info.domain, &state.config.domain) {
        (None, _) if state.config.require_agent_domain => Err("it tells no domain".to_owned()),
        (Some(_), None) => Err("it tells a domain, but this master has none".to_owned()),
        _ => Ok(()),
    }
}

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
        AfterRegistry::Unreachable(id)
        | AfterRegistry::Removed(id, _)
        | AfterRegistry::Gone(id)
        | AfterRegistry::Drained(id) => state.slaves.end_change(id),
        AfterRegistry::Pruned(_) => {}
    }
}
