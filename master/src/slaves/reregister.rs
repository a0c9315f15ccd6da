//! A slave that has an id comes back.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::{Pid, Time};
use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos;
use protos::mesos::internal::{
    KillTaskMessage, ReconcileTasksMessage, ReregisterSlaveMessage, ShutdownFrameworkMessage,
    ShutdownMessage, SlaveReregisteredMessage, UpdateFrameworkMessage,
};
use protos::mesos::task_status::{Reason, Source};
use protos::resources::Resources;
use protos::status;
use protos::task_state::is_terminal;

use super::register::connection;
use crate::calls::offers::rescind;
use crate::calls::tell;
use crate::effects::{AfterRegistry, AllocatorCall, Effect, Effects};
use crate::registrar::Operation;
use crate::state::{Framework, Slave, State, TaskEntry};
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
    if let Err(reason) = validate(&message.slave, message.version.as_deref()) {
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
    let Some(known) = state.slaves.get(&id) else {
        state.slaves.begin_change(&id);
        let operation = Operation::MarkReachable(id, message.slave.clone());
        let then = AfterRegistry::Readmitted(from.clone(), Box::new(message));
        return fx.push(Effect::Registry { operation, then });
    };
    let same_host = known.pid.address().ip() == from.address().ip()
        && known.info.hostname == message.slave.hostname;
    if !same_host {
        let text = format!("slave {id} came back from another host");
        fx.send(from, &ShutdownMessage { message: Some(text.clone()) });
        return fx.refuse(refused(&text));
    }
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
    adopt(state, id, &message, now, fx);
    let Some(slave) = state.slaves.get_mut(id) else { return };
    (slave.connected, slave.active) = (true, true);
    slave.epoch += 1;
    slave.reregistered = Some(now);
    slave.version = message.version.clone().unwrap_or_default();
    slave.capabilities = message.agent_capabilities.clone();
    slave.resource_version = message.resource_version_uuid.clone();
    let total = Resources::from_wire(&message.slave.resources).unwrap_or_default();
    slave.total = total.clone();
    slave.info = message.slave.clone();
    let spec = slave.spec();
    let kills = std::mem::take(&mut slave.pending_kills);
    fx.push(Effect::Link(from.clone()));
    let reconciliations = missing(state, id, &message, now);
    forget_executors(state, id, &message, fx);
    greet(state, id, from, reconciliations, fx);
    fx.push(Effect::ObserverConnected(id.clone(), true));
    // What it runs may be news: the allocator starts over with this slave.
    let used = used_on(state, id);
    fx.allocator(AllocatorCall::RemoveSlave(id.clone()));
    fx.allocator(AllocatorCall::AddSlave { id: id.clone(), spec, total, used });
    for (framework, task) in kills {
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
    message: ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    let Some(id) = message.slave.id.as_ref().map(SlaveId::from) else { return };
    state.slaves.end_change(&id);
    let mut slave = Slave::new(id.clone(), message.slave.clone(), from.clone(), now);
    slave.version = message.version.clone().unwrap_or_default();
    slave.capabilities = message.agent_capabilities.clone();
    slave.reregistered = Some(now);
    let (spec, total) = (slave.spec(), slave.total.clone());
    state.slaves.add(slave);
    let reachable = adopt(state, &id, &message, now, fx);
    fx.push(Effect::Link(from.clone()));
    greet(state, &id, from, Vec::new(), fx);
    fx.push(Effect::Observe(id.clone(), from.clone()));
    let used = used_on(state, &id);
    fx.allocator(AllocatorCall::AddSlave { id: id.clone(), spec, total, used });
    tell_frameworks(state, from, &message, fx);
    for (framework_id, task_id) in reachable {
        tell_reachable(state, &framework_id, &task_id, now, fx);
    }
    fx.count("master/slave_reregistrations");
}

fn used_on(state: &State, slave: &SlaveId) -> BTreeMap<FrameworkId, Resources> {
    let held = state.frameworks.iter().map(|f| (f.id.clone(), f.used_on(slave)));
    held.filter(|(_, held)| !held.is_empty()).collect()
}

/// Enters what the slave runs and the master does not know. Returns tasks that were unreachable.
fn adopt(
    state: &mut State,
    id: &SlaveId,
    message: &ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) -> Vec<(FrameworkId, TaskId)> {
    for info in &message.frameworks {
        adopt_framework(state, info, now, fx);
    }
    let mut reachable = Vec::new();
    for task in &message.tasks {
        let (framework, task_id) =
            (FrameworkId::from(&task.framework_id), TaskId::from(&task.task_id));
        let Some(framework) = state.frameworks.get_mut(&framework) else { continue };
        if framework.tasks.get(&task_id).is_some() {
            continue;
        }
        if framework.tasks.unreachable().contains_key(&task_id) {
            reachable.push((framework.id.clone(), task_id.clone()));
        }
        framework.tasks.add(task_id, TaskEntry::new(task.clone()));
    }
    for executor in &message.executor_infos {
        let owner = executor.framework_id.as_ref().map(FrameworkId::from);
        if let Some(framework) = owner.and_then(|id| state.frameworks.get_mut(&id)) {
            let executors = framework.executors.entry(id.clone()).or_default();
            executors.entry(ExecutorId::from(&executor.executor_id)).or_insert(executor.clone());
        }
    }
    reachable
}

/// A framework that only slaves have told of yet: it waits, inactive, for its scheduler.
fn adopt_framework(state: &mut State, info: &mesos::FrameworkInfo, now: Time, fx: &mut Effects) {
    let Some(id) = info.id.as_ref().map(FrameworkId::from) else { return };
    if state.frameworks.get(&id).is_some() || state.frameworks.is_completed(&id) {
        return;
    }
    let mut framework = Framework::new(id.clone(), info.clone(), Pid::empty(), now);
    (framework.connected, framework.active, framework.recovered) = (false, false, true);
    let spec = framework.spec();
    state.frameworks.add(framework);
    let used = BTreeMap::new();
    fx.allocator(AllocatorCall::AddFramework { id, spec, active: false, used });
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
        let absent = framework.tasks.active().iter().filter(|(task_id, task)| {
            task.slave == *id && !told.contains(&(framework.id.as_str(), task_id.as_str()))
        });
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

fn greet(
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
fn tell_frameworks(state: &State, to: &Pid, message: &ReregisterSlaveMessage, fx: &mut Effects) {
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

fn tell_reachable(
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
