//! A slave registers for the first time.

use libprocess::{Pid, Time};
use protos::mesos::internal::{
    MasterSlaveConnection, RegisterSlaveMessage, ShutdownMessage, SlaveRegisteredMessage,
};

use protos::resources::Resources;

use crate::effects::{AfterRegistry, AllocatorCall, Effect, Effects};
use crate::registrar::Operation;
use crate::state::{Slave, State};
use crate::validation::slave::validate;

/// Starts the admission of a slave. Nothing is visible before the registry holds it.
pub(crate) fn register(
    state: &mut State,
    from: &Pid,
    message: RegisterSlaveMessage,
    fx: &mut Effects,
) {
    if !from.is_complete() {
        return fx.refuse(format!("registration of slave at '{from}': it cannot be answered"));
    }
    let checked = validate(&message.slave, message.version.as_deref())
        .and_then(|()| super::admit(state, from, &message.slave));
    if let Err(reason) = checked {
        return fx.refuse(format!("registration of slave at {from}: {reason}"));
    }
    if state.maintenance.is_down(&message.slave.hostname, from) {
        let text = "the machine is down for maintenance".to_owned();
        fx.refuse(format!("registration of slave at {from}: {text}"));
        return fx.send(from, &ShutdownMessage { message: Some(text) });
    }
    if let Some(known) = state.slaves.by_pid(from) {
        if known.connected {
            // Our answer was lost.
            return greet(state, from, fx);
        }
        let id = known.id.clone();
        if state.slaves.begin_change(&id) {
            // Another slave has taken the place of this one.
            let then = AfterRegistry::Removed(id.clone(), Some((from.clone(), Box::new(message))));
            fx.registry(Operation::Remove(id), then);
        }
        return;
    }
    if !state.slaves.begin_registration(from) {
        return;
    }
    let id = state.slaves.new_id();
    let mut message = message;
    message.slave.id = Some(id.wire());
    let operation = Operation::Admit(id, message.slave.clone());
    let then = AfterRegistry::Admitted(from.clone(), Box::new(message));
    fx.registry(operation, then);
}

/// The registry holds the slave: it joins the cluster.
pub(crate) fn admitted(
    state: &mut State,
    from: &Pid,
    message: RegisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    state.slaves.end_registration(from);
    let Some(id) = message.slave.id.clone() else { return };
    let mut slave = Slave::new(id.into(), message.slave, from.clone(), now);
    slave.version = message.version.unwrap_or_default();
    slave.capabilities = message.agent_capabilities;
    slave.resource_version = message.resource_version_uuid;
    let checkpointed = Resources::from_wire(&message.checkpointed_resources).unwrap_or_default();
    if let Some(total) = slave.total.with_checkpointed(&checkpointed) {
        slave.total = total;
    }
    let (id, spec, total) = (slave.id.clone(), slave.spec(), slave.total.clone());
    state.slaves.add(slave);
    fx.note(format!("slave {id} registered from {from}: {total}"));
    fx.push(Effect::Link(from.clone()));
    greet(state, from, fx);
    fx.push(Effect::Observe(id.clone(), from.clone()));
    let used = Default::default();
    fx.allocator(AllocatorCall::AddSlave { id: id.clone(), spec, total, used });
    super::tell_plan(state, &id, fx);
    fx.count("master/slave_registrations");
}

fn greet(state: &State, to: &Pid, fx: &mut Effects) {
    if let Some(slave) = state.slaves.by_pid(to) {
        let (slave_id, connection) = (slave.id.wire(), Some(connection(state)));
        fx.send(to, &SlaveRegisteredMessage { slave_id, connection });
    }
}

/// What slaves are told of how long silence may last.
pub(crate) fn connection(state: &State) -> MasterSlaveConnection {
    let seconds = state.config.total_ping_timeout().as_secs_f64();
    MasterSlaveConnection { total_ping_timeout_seconds: Some(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use protos::mesos;

    fn message() -> RegisterSlaveMessage {
        let slave = mesos::SlaveInfo { id: None, ..slave_info() };
        RegisterSlaveMessage { slave, version: Some("1.11.0".into()), ..Default::default() }
    }

    fn run(state: &mut State, message: RegisterSlaveMessage) -> Effects {
        decide(state, |state, fx| register(state, &home(), message, fx))
    }

    /// The only effect, if it is a change of the registry.
    fn change(fx: Effects) -> Option<(Operation, AfterRegistry)> {
        match <[Effect; 1]>::try_from(fx.0) {
            Ok([Effect::Registry { operation, then }]) => Some((*operation, then)),
            _ => None,
        }
    }

    #[test]
    fn slave_is_seen_once_the_registry_holds_it() {
        let mut state = empty();
        let (operation, then) = change(run(&mut state, message())).unwrap();
        assert!(matches!(operation, Operation::Admit(id, _) if id.as_str() == "M-S0"));
        assert_eq!(state.slaves.iter().count(), 0);
        assert!(run(&mut state, message()).0.is_empty(), "a repeated one waits");
        let AfterRegistry::Admitted(from, admission) = then else { panic!("{then:?}") };
        let fx = decide(&mut state, |state, fx| admitted(state, &from, *admission, NOW, fx));
        let (to, greeting) = fx.sent::<SlaveRegisteredMessage>().remove(0);
        assert_eq!((to, greeting.slave_id.value.as_str()), (home(), "M-S0"));
        assert_eq!(greeting.connection.unwrap().total_ping_timeout_seconds, Some(75.0));
        assert!(fx.0.contains(&Effect::Observe("M-S0".into(), home())));
        let again = run(&mut state, message());
        assert_eq!(again.sent::<SlaveRegisteredMessage>()[0].1.slave_id.value, "M-S0");
    }

    #[test]
    fn slave_refused_by_the_registry_may_try_again() {
        let mut state = empty();
        let (_, then) = change(run(&mut state, message())).unwrap();
        decide(&mut state, |state, fx| crate::slaves::registry_refused(state, &then, fx));
        assert_eq!(state.slaves.iter().count(), 0);
        assert!(change(run(&mut state, message())).is_some());
    }

    #[test]
    fn slave_in_the_place_of_a_disconnected_one_waits_for_its_removal() {
        let mut state = cluster();
        state.slaves.get_mut(&s()).unwrap().connected = false;
        let (operation, then) = change(run(&mut state, message())).unwrap();
        assert_eq!(operation, Operation::Remove(s()));
        assert!(matches!(then, AfterRegistry::Removed(_, Some(_))));
    }

    #[test]
    fn slave_too_old_gets_silence() {
        let message = RegisterSlaveMessage { version: Some("0.28.0".into()), ..message() };
        let fx = run(&mut empty(), message);
        assert_eq!((refusals(&fx).len(), fx.0.len()), (1, 1));
    }
}
