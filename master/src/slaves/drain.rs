//! A slave is emptied: its tasks are killed, then it is marked drained or gone. Deactivation alone
//! keeps new tasks away.

use libprocess::Time;
use protos::ids::SlaveId;
use protos::mesos::internal::DrainSlaveMessage;
use protos::mesos::slave_info::capability::Type as SlaveCapability;
use protos::mesos::{DrainConfig, DrainInfo, DrainState};

use super::gone;
use crate::calls::offers::rescind;
use crate::effects::{AfterRegistry, AllocatorCall, Effects};
use crate::registrar::Operation;
use crate::state::State;

/// Checks that a slave may be emptied now.
///
/// # Errors
/// Why not.
pub(crate) fn validate(state: &State, id: &SlaveId) -> Result<(), String> {
    if let Some(slave) = state.slaves.get(id) {
        if !slave.has(SlaveCapability::AgentDraining) {
            return Err(format!("slave {id} lacks the capability AGENT_DRAINING"));
        }
        if state.maintenance.unavailability(slave).is_some() {
            return Err(format!("slave {id} is in a maintenance window"));
        }
        return Ok(());
    }
    known_elsewhere(state, id)
}

/// Checks that a slave is known.
///
/// # Errors
/// When it is not.
pub(crate) fn known(state: &State, id: &SlaveId) -> Result<(), String> {
    if state.slaves.get(id).is_some() { Ok(()) } else { known_elsewhere(state, id) }
}

fn known_elsewhere(state: &State, id: &SlaveId) -> Result<(), String> {
    let slaves = &state.slaves;
    match slaves.is_recovered(id) || slaves.unreachable_since(id).is_some() {
        true => Ok(()),
        false => Err(format!("slave {id} is unknown")),
    }
}

/// Checks that a slave was deactivated and is not being emptied.
///
/// # Errors
/// Why it cannot be reactivated.
pub(crate) fn may_reactivate(state: &State, id: &SlaveId) -> Result<(), String> {
    known(state, id)?;
    let Some(slave) = state.slaves.get(id) else { return Ok(()) };
    if !slave.deactivated {
        return Err(format!("slave {id} is not deactivated"));
    }
    match slave.drain.as_ref().is_some_and(|info| info.state() == DrainState::Draining) {
        true => Err(format!("slave {id} is still being emptied")),
        false => Ok(()),
    }
}

/// The registry has the slave to be emptied.
pub(crate) fn started(
    state: &mut State,
    id: &SlaveId,
    config: &DrainConfig,
    now: Time,
    fx: &mut Effects,
) {
    let info = DrainInfo { state: DrainState::Draining.into(), config: *config };
    let Some(slave) = state.slaves.get_mut(id) else {
        return state.slaves.plan(id, Some(info), true);
    };
    slave.drain = Some(info);
    slave.drain_started = Some(now);
    fx.note(format!("slave {id} is to be emptied"));
    fx.send(&slave.pid, &DrainSlaveMessage { config: *config });
    state.slaves.note_draining(id);
    deactivated(state, id, fx);
}

/// The registry has the slave deactivated: no offers of it any more.
pub(crate) fn deactivated(state: &mut State, id: &SlaveId, fx: &mut Effects) {
    let Some(slave) = state.slaves.get_mut(id) else {
        return state.slaves.plan(id, None, true);
    };
    (slave.deactivated, slave.active) = (true, false);
    fx.allocator(AllocatorCall::DeactivateSlave(id.clone()));
    for offer in state.offers.of_slave(id) {
        rescind(state, &offer, true, fx);
    }
}

/// The registry has the slave active again.
pub(crate) fn reactivated(state: &mut State, id: &SlaveId, fx: &mut Effects) {
    let Some(slave) = state.slaves.get_mut(id) else {
        return state.slaves.plan(id, None, false);
    };
    (slave.deactivated, slave.drain, slave.drain_started) = (false, None, None);
    if slave.connected {
        slave.active = true;
        fx.allocator(AllocatorCall::ActivateSlave(id.clone()));
    }
    fx.note(format!("slave {id} takes tasks again"));
}

/// Goes on when a slave that is to be emptied has neither tasks nor operations left.
pub(crate) fn check(state: &mut State, id: &SlaveId, now: Time, fx: &mut Effects) {
    let Some(slave) = state.slaves.get(id).filter(|slave| slave.connected) else { return };
    let busy = state.frameworks.iter().any(|framework| framework.is_on(id))
        || state.operations.here(id).next().is_some();
    if busy || state.slaves.is_changing(id) {
        return;
    }
    if slave.drain.as_ref().is_some_and(|info| info.config.mark_gone()) {
        gone::start(state, id, now, fx);
    } else if state.slaves.begin_change(id) {
        let operation = Operation::MarkDrained(id.clone());
        fx.registry(operation, AfterRegistry::Drained(id.clone()));
    }
}

/// The registry has the slave as empty.
pub(crate) fn drained(state: &mut State, id: &SlaveId, fx: &mut Effects) {
    state.slaves.end_change(id);
    let Some(slave) = state.slaves.get_mut(id) else { return };
    if let Some(info) = &mut slave.drain {
        info.state = DrainState::Drained.into();
        fx.note(format!("slave {id} is empty"));
    }
}

/// A slave that comes back and is to be emptied is told so again.
pub(super) fn remind(state: &State, id: &SlaveId, fx: &mut Effects) {
    let Some(slave) = state.slaves.get(id) else { return };
    if let Some(info) = &slave.drain
        && info.state() == DrainState::Draining
    {
        fx.send(&slave.pid, &DrainSlaveMessage { config: info.config });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn draining(mark_gone: bool) -> State {
        let mut state = cluster();
        running(&mut state, "t");
        offered(&mut state, "cpus:1");
        let config = DrainConfig { mark_gone: Some(mark_gone), ..Default::default() };
        let fx = decide(&mut state, |state, fx| started(state, &s(), &config, NOW, fx));
        assert_eq!(fx.sent::<DrainSlaveMessage>()[0].0, home());
        assert!(fx.calls().contains(&&AllocatorCall::DeactivateSlave(s())));
        assert_eq!(state.offers.len(), 0);
        state
    }

    #[test]
    fn slave_to_be_emptied_is_drained_or_gone_once_its_tasks_are_over() {
        for mark_gone in [false, true] {
            let mut state = draining(mark_gone);
            assert_eq!(state.slaves.draining(), [s()]);
            assert!(decide(&mut state, |state, fx| check(state, &s(), NOW, fx)).0.is_empty());
            state.frameworks.get_mut(&f()).unwrap().tasks.complete(&"t".into(), 1);
            let fx = decide(&mut state, |state, fx| check(state, &s(), NOW, fx));
            let expected =
                if mark_gone { AfterRegistry::Gone(s()) } else { AfterRegistry::Drained(s()) };
            assert!(
                matches!(&fx.0[..], [crate::effects::Effect::Registry { then, .. }] if *then == expected)
            );
        }
    }

    #[test]
    fn slave_drained_stays_inactive_until_it_is_reactivated() {
        let mut state = draining(false);
        decide(&mut state, |state, fx| drained(state, &s(), fx));
        assert!(state.slaves.draining().is_empty());
        assert!(!state.slaves.get(&s()).unwrap().active);
        let fx = decide(&mut state, |state, fx| reactivated(state, &s(), fx));
        assert!(fx.calls().contains(&&AllocatorCall::ActivateSlave(s())));
        assert!(state.slaves.get(&s()).unwrap().drain.is_none());
    }

    #[test]
    fn slave_that_is_away_is_emptied_when_it_is_back() {
        let mut state = cluster();
        let slave = state.slaves.lose(&s(), NOW).unwrap();
        let config = DrainConfig::default();
        decide(&mut state, |state, fx| started(state, &s(), &config, NOW, fx));
        state.slaves.add(slave);
        let slave = state.slaves.get(&s()).unwrap();
        assert!(slave.deactivated && !slave.active);
        let fx = decide(&mut state, |state, fx| remind(state, &s(), fx));
        assert_eq!(fx.sent::<DrainSlaveMessage>().len(), 1);
    }

    #[test]
    fn slave_that_cannot_be_emptied_is_refused() {
        let state = cluster();
        assert!(validate(&state, &s()).unwrap_err().contains("AGENT_DRAINING"));
        assert!(validate(&state, &"other".into()).unwrap_err().contains("unknown"));
    }
}
