//! A slave that has an id comes back.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::{Pid, Time};
use protos::ids::{ExecutorId, FrameworkId, SlaveId};
use protos::mesos::internal::{
    CheckpointResourcesMessage, KillTaskMessage, ReconcileTasksMessage, ReregisterSlaveMessage,
    ShutdownMessage,
};
use protos::mesos::slave_info::capability::Type as SlaveCapability;
use protos::mesos::task_status::{Reason, Source};
use protos::resources::Resources;
use protos::status;

use super::adopt::adopt;
use super::ended::close_ended;
use super::welcome::{greet, tell_frameworks, tell_reachable};
use crate::calls::offers::rescind;
use crate::effects::{AfterRegistry, AllocatorCall, Effect, Effects};
use crate::registrar::Operation;
use crate::state::{Slave, State};
use crate::validation::slave::validate;

/// Takes a slave back: at once when it is registered, else by the registry.
pub(crate) fn reregister(
    state: &mut State,
    from: &Pid,
    message: ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    let refused = |why: &str| format!("re-registration of slave at {from}: {why}");
    if !from.is_complete() {
        return fx.refuse(format!("re-registration of slave at '{from}': it cannot be answered"));
    }
    let checked = validate(&message.slave, message.version.as_deref())
        .and_then(|()| super::admit(state, from, &message.slave));
    if let Err(reason) = checked {
        return fx.refuse(refused(&reason));
    }
    let Some(id) = message.slave.id.as_ref().map(SlaveId::from) else {
        return fx.refuse(refused("it has no id"));
    };
    if state.slaves.is_changing(&id) {
        return;
    }
    if state.slaves.is_removed(&id) {
        let text = format!("slave {id} was removed");
        fx.send(from, &ShutdownMessage { message: Some(text.clone()) });
        return fx.refuse(refused(&text));
    }
    if let Err(text) = may_return(state, &id, from, &message) {
        fx.send(from, &ShutdownMessage { message: Some(text.clone()) });
        return fx.refuse(refused(&text));
    }
    evict(state, &id, from, fx);
    let Some(known) = state.slaves.get(&id) else {
        return return_absent(state, id, from, message, now, fx);
    };
    let same_host = known.pid.address().ip() == from.address().ip()
        && known.info.hostname == message.slave.hostname;
    if !same_host {
        let text = format!("slave {id} came back from another host");
        fx.send(from, &ShutdownMessage { message: Some(text.clone()) });
        return fx.refuse(refused(&text));
    }
    if known.info == message.slave {
        return reconnect(state, &id, from, message, now, fx);
    }
    state.slaves.begin_change(&id);
    let operation = Operation::Update(id, message.slave.clone());
    let then = AfterRegistry::Updated(from.clone(), Box::new(message));
    fx.registry(operation, then);
}

/// Slaves that must never come back are told to shut down.
fn may_return(
    state: &State,
    id: &SlaveId,
    from: &Pid,
    message: &ReregisterSlaveMessage,
) -> Result<(), String> {
    if state.slaves.is_gone(id) {
        return Err(format!("slave {id} has been marked gone"));
    }
    if state.maintenance.is_down(&message.slave.hostname, from) {
        return Err("the machine is down for maintenance".to_owned());
    }
    let admitted = state.slaves.get(id).is_some() || state.slaves.is_recovered(id);
    if state.config.registry_strict && !admitted {
        return Err(format!("slave {id} is not in the registry"));
    }
    Ok(())
}

/// A slave that is not registered: expected back, unreachable, or not known at all.
fn return_absent(
    state: &mut State,
    id: SlaveId,
    from: &Pid,
    message: ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    let recovered = state.slaves.recovered().get(&id);
    if recovered.is_some_and(|info| *info == message.slave) {
        return readmitted(state, from, message, now, fx);
    }
    let info = message.slave.clone();
    let operation = match recovered {
        Some(_) => Operation::Update(id.clone(), info),
        None => Operation::MarkReachable(id.clone(), info),
    };
    state.slaves.begin_change(&id);
    state.slaves.spare(&id);
    let then = AfterRegistry::Readmitted(from.clone(), Box::new(message));
    fx.registry(operation, then);
}

/// A slave's resources with what it remembers in its place.
fn total_of(
    message: &ReregisterSlaveMessage,
    checkpointed: &Resources,
    fx: &mut Effects,
) -> Resources {
    let total = Resources::from_wire(&message.slave.resources).unwrap_or_default();
    total.with_checkpointed(checkpointed).unwrap_or_else(|| {
        fx.refuse(format!("checkpointed resources {checkpointed} do not fit into {total}"));
        total
    })
}

/// Another slave that was at this PID has lost its place and is removed.
fn evict(state: &mut State, id: &SlaveId, from: &Pid, fx: &mut Effects) {
    let Some(other) = state.slaves.by_pid(from).map(|slave| slave.id.clone()) else { return };
    if other != *id && state.slaves.begin_change(&other) {
        let then = AfterRegistry::Removed(other.clone(), None);
        fx.registry(Operation::Remove(other), then);
    }
}

/// The registry holds what the slave tells of itself now.
pub(crate) fn updated(
    state: &mut State,
    from: &Pid,
    message: ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    let Some(id) = message.slave.id.as_ref().map(SlaveId::from) else { return };
    state.slaves.end_change(&id);
    reconnect(state, &id, from, message, now, fx);
}

fn reconnect(
    state: &mut State,
    id: &SlaveId,
    from: &Pid,
    message: ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    for offer in state.offers.of_slave(id) {
        rescind(state, &offer, true, fx);
    }
    state.slaves.moved(id, from.clone());
    let adopted = adopt(state, id, &message, message.tasks.clone(), now, fx);
    let Some(slave) = state.slaves.get_mut(id) else { return };
    (slave.connected, slave.active) = (true, !slave.deactivated);
    slave.epoch += 1;
    slave.reregistered = Some(now);
    slave.version = message.version.clone().unwrap_or_default();
    slave.capabilities = message.agent_capabilities.clone();
    slave.resource_version = message.resource_version_uuid.clone();
    // A slave that takes operations knows best; one that is told the whole outcome is told it again.
    let knows = slave.has(SlaveCapability::ResourceProvider);
    let checkpointed = match knows {
        true => Resources::from_wire(&message.checkpointed_resources).unwrap_or_default(),
        false => slave.total.checkpointed(),
    };
    let revocable = slave.total.revocable();
    let total = total_of(&message, &checkpointed, fx).plus(&revocable);
    slave.total = total.clone();
    slave.info = message.slave.clone();
    let active = slave.active;
    let spec = slave.spec();
    slave.restarted |= adopted.news;
    let kills = std::mem::take(&mut slave.pending_kills);
    fx.note(format!("slave {id} registered again from {from}"));
    fx.push(Effect::Link(from.clone()));
    close_ended(state, id, &message, now, fx);
    let reconciliations = missing(state, id, &message, now);
    forget_executors(state, id, &message, fx);
    greet(state, id, from, reconciliations, fx);
    fx.push(Effect::ObserverConnected(id.clone(), true));
    if adopted.news {
        // It runs what the allocator has not heard of, so the allocator starts over with it.
        let used = used_on(state, id);
        fx.allocator(AllocatorCall::RemoveSlave(id.clone()));
        fx.allocator(AllocatorCall::AddSlave { id: id.clone(), spec, total, used });
        if !active {
            fx.allocator(AllocatorCall::DeactivateSlave(id.clone()));
        }
    } else {
        fx.allocator(AllocatorCall::UpdateSlave(id.clone(), total));
        if active {
            fx.allocator(AllocatorCall::ActivateSlave(id.clone()));
        }
    }
    if !knows {
        let resources = checkpointed.to_wire();
        fx.send(from, &CheckpointResourcesMessage { resources });
    }
    super::drain::remind(state, id, fx);
    for (framework, task) in kills.into_iter().chain(adopted.kill) {
        let (framework_id, task_id) = (framework.wire(), task.wire());
        fx.send(from, &KillTaskMessage { framework_id, task_id, kill_policy: None });
    }
    tell_frameworks(state, from, &message, fx);
    fx.count("master/slave_reregistrations");
}

/// The registry has a slave back that was unreachable, or that this master did not know.
pub(crate) fn readmitted(
    state: &mut State,
    from: &Pid,
    mut message: ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    let Some(id) = message.slave.id.as_ref().map(SlaveId::from) else { return };
    state.slaves.end_change(&id);
    let mut slave = Slave::new(id.clone(), message.slave.clone(), from.clone(), now);
    slave.version = message.version.clone().unwrap_or_default();
    slave.capabilities = message.agent_capabilities.clone();
    slave.resource_version = message.resource_version_uuid.clone();
    let checkpointed = Resources::from_wire(&message.checkpointed_resources).unwrap_or_default();
    slave.total = total_of(&message, &checkpointed, fx);
    slave.reregistered = Some(now);
    slave.restarted = state.slaves.unreachable_since(&id).is_some();
    let (spec, total) = (slave.spec(), slave.total.clone());
    state.slaves.add(slave);
    let tasks = std::mem::take(&mut message.tasks);
    let adopted = adopt(state, &id, &message, tasks, now, fx);
    fx.note(format!("slave {id} admitted again from {from}"));
    fx.push(Effect::Link(from.clone()));
    greet(state, &id, from, Vec::new(), fx);
    fx.push(Effect::Observe(id.clone(), from.clone()));
    let used = used_on(state, &id);
    fx.allocator(AllocatorCall::AddSlave { id: id.clone(), spec, total, used });
    if state.slaves.get(&id).is_some_and(|slave| !slave.active) {
        fx.allocator(AllocatorCall::DeactivateSlave(id.clone()));
    }
    super::tell_plan(state, &id, fx);
    super::drain::remind(state, &id, fx);
    tell_frameworks(state, from, &message, fx);
    for (framework, task) in adopted.kill {
        let (framework_id, task_id) = (framework.wire(), task.wire());
        fx.send(from, &KillTaskMessage { framework_id, task_id, kill_policy: None });
    }
    for (framework_id, task_id) in adopted.reachable {
        tell_reachable(state, &framework_id, &task_id, now, fx);
    }
    fx.count("master/slave_reregistrations");
}

fn used_on(state: &State, slave: &SlaveId) -> BTreeMap<FrameworkId, Resources> {
    let held = state.frameworks.iter().map(|f| (f.id.clone(), f.used_on(slave)));
    held.filter(|(_, held)| !held.is_empty()).collect()
}

/// For each framework the tasks here that the slave did not mention.
fn missing(
    state: &State,
    id: &SlaveId,
    message: &ReregisterSlaveMessage,
    now: Time,
) -> Vec<ReconcileTasksMessage> {
    let told: BTreeSet<(&str, &str)> = message
        .tasks
        .iter()
        .map(|task| (task.framework_id.value.as_str(), task.task_id.value.as_str()))
        .collect();
    let mut reconciliations = Vec::new();
    for framework in state.frameworks.iter() {
        let absent = framework
            .tasks
            .here(id)
            .filter(|(task_id, _)| !told.contains(&(framework.id.as_str(), task_id.as_str())));
        let statuses: Vec<_> = absent
            .map(|(task_id, task)| {
                status::of(task_id, task.state(), now.as_secs_f64())
                    .source(Source::Master)
                    .reason(Reason::Reconciliation)
                    .slave(id)
                    .build()
            })
            .collect();
        if !statuses.is_empty() {
            let (framework_id, framework) = (framework.id.wire(), Some(framework.info.clone()));
            reconciliations.push(ReconcileTasksMessage { framework_id, statuses, framework });
        }
    }
    reconciliations
}

/// Executors that the slave does not know any more give back what they held.
fn forget_executors(
    state: &mut State,
    id: &SlaveId,
    message: &ReregisterSlaveMessage,
    fx: &mut Effects,
) {
    let told: BTreeSet<(String, String)> = message
        .executor_infos
        .iter()
        .map(|e| (e.framework_id.clone().unwrap_or_default().value, e.executor_id.value.clone()))
        .collect();
    for framework in state.frameworks.iter_mut() {
        let here = framework.executors.get(id).map(|executors| executors.keys().cloned());
        let here: Vec<ExecutorId> = here.into_iter().flatten().collect();
        for executor in here {
            if !told.contains(&(framework.id.to_string(), executor.to_string()))
                && let Some(held) = framework.remove_executor(id, &executor)
            {
                fx.recover(&framework.id, id, held, None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
