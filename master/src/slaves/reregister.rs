//! A slave that has an id comes back.

use std::collections::btree_map::Entry;
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
    evict(state, &id, from, fx);
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
    if known.info == message.slave {
        return reconnect(state, &id, from, message, now, fx);
    }
    state.slaves.begin_change(&id);
    let operation = Operation::Update(id, message.slave.clone());
    let then = AfterRegistry::Updated(from.clone(), Box::new(message));
    fx.push(Effect::Registry { operation, then });
}

/// Another slave that was at this PID has lost its place and is removed.
fn evict(state: &mut State, id: &SlaveId, from: &Pid, fx: &mut Effects) {
    let Some(other) = state.slaves.by_pid(from).map(|slave| slave.id.clone()) else { return };
    if other != *id && state.slaves.begin_change(&other) {
        let then = AfterRegistry::Removed(other.clone(), None);
        fx.push(Effect::Registry { operation: Operation::Remove(other), then });
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
    let adopted = adopt(state, id, &message, now, fx);
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
    if adopted.news {
        // It runs what the allocator has not heard of, so the allocator starts over with it.
        let used = used_on(state, id);
        fx.allocator(AllocatorCall::RemoveSlave(id.clone()));
        fx.allocator(AllocatorCall::AddSlave { id: id.clone(), spec, total, used });
    } else {
        fx.allocator(AllocatorCall::UpdateSlave(id.clone(), total));
        fx.allocator(AllocatorCall::ActivateSlave(id.clone()));
    }
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
    message: ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) {
    let Some(id) = message.slave.id.as_ref().map(SlaveId::from) else { return };
    state.slaves.end_change(&id);
    let mut slave = Slave::new(id.clone(), message.slave.clone(), from.clone(), now);
    slave.version = message.version.clone().unwrap_or_default();
    slave.capabilities = message.agent_capabilities.clone();
    slave.resource_version = message.resource_version_uuid.clone();
    slave.reregistered = Some(now);
    let (spec, total) = (slave.spec(), slave.total.clone());
    state.slaves.add(slave);
    let adopted = adopt(state, &id, &message, now, fx);
    fx.push(Effect::Link(from.clone()));
    greet(state, &id, from, Vec::new(), fx);
    fx.push(Effect::Observe(id.clone(), from.clone()));
    let used = used_on(state, &id);
    fx.allocator(AllocatorCall::AddSlave { id: id.clone(), spec, total, used });
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

/// What a slave brought along.
#[derive(Default)]
struct Adopted {
    /// Something that this master did not have in its books.
    news: bool,
    /// Tasks that were unreachable.
    reachable: Vec<(FrameworkId, TaskId)>,
    /// Tasks whose end the framework has been told of already.
    kill: Vec<(FrameworkId, TaskId)>,
}

/// Enters what the slave runs and the master does not know.
fn adopt(
    state: &mut State,
    id: &SlaveId,
    message: &ReregisterSlaveMessage,
    now: Time,
    fx: &mut Effects,
) -> Adopted {
    for info in &message.frameworks {
        adopt_framework(state, info, now, fx);
    }
    let mut adopted = Adopted::default();
    for task in &message.tasks {
        let owner = FrameworkId::from(&task.framework_id);
        if let Some(framework) = state.frameworks.get_mut(&owner) {
            adopt_task(framework, id, task, &mut adopted, fx);
        }
    }
    for executor in &message.executor_infos {
        let owner = executor.framework_id.as_ref().map(FrameworkId::from);
        if let Some(framework) = owner.and_then(|id| state.frameworks.get_mut(&id)) {
            let mut executor = executor.clone();
            allocate(&mut executor.resources, framework);
            let executors = framework.executors.entry(id.clone()).or_default();
            let entry = executors.entry(ExecutorId::from(&executor.executor_id));
            adopted.news |= matches!(entry, Entry::Vacant(_));
            entry.or_insert(executor);
        }
    }
    adopted
}

fn adopt_task(
    framework: &mut Framework,
    id: &SlaveId,
    task: &mesos::Task,
    adopted: &mut Adopted,
    fx: &mut Effects,
) {
    let task_id = TaskId::from(&task.task_id);
    if framework.tasks.get(&task_id).is_some() {
        return;
    }
    if framework.tasks.unreachable().contains_key(&task_id) {
        adopted.reachable.push((framework.id.clone(), task_id.clone()));
    } else if framework.tasks.has_ended(&task_id, id) {
        // The framework was told that it has ended (invariant I3): it must not live again.
        if !is_terminal(task.state()) {
            let owner = &framework.id;
            fx.refuse(format!("task {task_id} of framework {owner} runs, but was told ended"));
            adopted.kill.push((framework.id.clone(), task_id));
        }
        return;
    }
    let mut task = task.clone();
    task.slave_id = id.wire();
    allocate(&mut task.resources, framework);
    adopted.news = true;
    framework.tasks.add(task_id, TaskEntry::new(task));
}

/// Resources of slaves that know no allocations belong to the framework's first role.
fn allocate(resources: &mut [mesos::Resource], framework: &Framework) {
    let bare = resources.iter_mut().filter(|resource| resource.allocation_info.is_none());
    for resource in bare {
        let role = framework.roles().into_iter().next();
        resource.allocation_info = Some(mesos::resource::AllocationInfo { role });
    }
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
