//! A slave registers for the first time.

use libprocess::{Pid, Time};
use protos::mesos::internal::{
    MasterSlaveConnection, RegisterSlaveMessage, SlaveRegisteredMessage,
};

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
    if let Err(reason) = validate(&message.slave, message.version.as_deref()) {
        return fx.refuse(format!("registration of slave at {from}: {reason}"));
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
            fx.push(Effect::Registry { operation: Operation::Remove(id), then });
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
    fx.push(Effect::Registry { operation, then });
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
    let (id, spec, total) = (slave.id.clone(), slave.spec(), slave.total.clone());
    state.slaves.add(slave);
    fx.push(Effect::Link(from.clone()));
    greet(state, from, fx);
    fx.push(Effect::Observe(id.clone(), from.clone()));
    fx.allocator(AllocatorCall::AddSlave { id, spec, total, used: Default::default() });
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
