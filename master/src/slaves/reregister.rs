//! A slave that has an id comes back.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::{Pid, Time};
use protos::ids::{ExecutorId, FrameworkId, SlaveId};
use protos::mesos::internal::{
    KillTaskMessage, ReconcileTasksMessage, ReregisterSlaveMessage, ShutdownMessage,
};
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
    slave.restarted = state.slaves.unreachable_since(&id).is_some();
    let (spec, total) = (slave.spec(), slave.total.clone());
    state.slaves.add(slave);
    let adopted = adopt(state, &id, &message, now, fx);
    fx.note(format!("slave {id} admitted again from {from}"));
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
mod tests {
    use super::*;
    use crate::testing::*;
    use protos::mesos::internal::{ShutdownFrameworkMessage, SlaveReregisteredMessage};
    use protos::mesos::{self, TaskState};

    fn message(tasks: Vec<mesos::Task>) -> ReregisterSlaveMessage {
        let version = Some("1.11.0".into());
        let mut info = framework_info();
        info.id = Some(f().wire());
        let (slave, frameworks) = (slave_info(), vec![info]);
        ReregisterSlaveMessage { slave, version, tasks, frameworks, ..Default::default() }
    }

    fn run(state: &mut State, message: ReregisterSlaveMessage) -> Effects {
        decide(state, |state, fx| reregister(state, &home(), message, NOW, fx))
    }

    #[test]
    fn slave_registered_is_told_what_it_did_not_mention() {
        let mut state = cluster();
        for id in ["kept", "missing"] {
            running(&mut state, id);
        }
        state.slaves.get_mut(&s()).unwrap().pending_kills.insert((f(), "kept".into()));
        let fx = run(&mut state, message(vec![task("kept", TaskState::TaskRunning)]));
        let (to, greeting) = fx.sent::<SlaveReregisteredMessage>().remove(0);
        assert_eq!(to, home());
        assert_eq!(greeting.reconciliations[0].statuses[0].task_id.value, "missing");
        assert_eq!(greeting.reconciliations[0].statuses.len(), 1);
        assert_eq!(fx.sent::<KillTaskMessage>()[0].1.task_id.value, "kept");
        assert!(fx.0.contains(&Effect::Allocator(AllocatorCall::ActivateSlave(s()))));
    }

    #[test]
    fn task_that_had_ended_is_told_again_and_never_lost() {
        let mut state = cluster();
        running(&mut state, "ended");
        let framework = state.frameworks.get_mut(&f()).unwrap();
        let entry = framework.tasks.get_mut(&"ended".into()).unwrap();
        let finished = status::of(&"ended".into(), TaskState::TaskFinished, 1.0).build();
        entry.update(&finished, None, TaskState::TaskFinished);
        let fx = run(&mut state, message(vec![]));
        let (_, greeting) = fx.sent::<SlaveReregisteredMessage>().remove(0);
        assert!(greeting.reconciliations.is_empty());
        let told = fx.sent::<protos::mesos::internal::StatusUpdateMessage>();
        assert_eq!(told[0].1.update.status.state(), TaskState::TaskFinished);
        let tasks = &state.frameworks.get(&f()).unwrap().tasks;
        assert!(tasks.active().is_empty());
        assert_eq!(tasks.completed().count(), 1);
    }

    #[test]
    fn slave_with_another_description_waits_for_the_registry() {
        let mut state = cluster();
        let mut message = message(vec![]);
        message.slave.resources = resources("cpus:8;mem:1024").to_wire();
        let fx = run(&mut state, message.clone());
        let [Effect::Registry { operation: Operation::Update(..), .. }] = &fx.0[..] else {
            panic!("{fx:?}")
        };
        assert_eq!(state.slaves.get(&s()).unwrap().total.cpus(), 4.0);
        let fx = decide(&mut state, |state, fx| updated(state, &home(), message, NOW, fx));
        assert_eq!(fx.sent::<SlaveReregisteredMessage>().len(), 1);
        assert_eq!(state.slaves.get(&s()).unwrap().total.cpus(), 8.0);
    }

    #[test]
    fn slave_unknown_is_let_in_with_its_tasks_and_their_framework() {
        let mut state = empty();
        let message = message(vec![task("t", TaskState::TaskRunning)]);
        let fx = run(&mut state, message.clone());
        assert!(matches!(fx.0[..], [Effect::Registry { .. }]));
        assert!(run(&mut state, message.clone()).0.is_empty(), "a repeated one waits");
        assert!(state.frameworks.get(&f()).is_none());
        let fx = decide(&mut state, |state, fx| readmitted(state, &home(), message, NOW, fx));
        let framework = state.frameworks.get(&f()).unwrap();
        assert!(framework.recovered && !framework.active);
        assert!(framework.tasks.get(&"t".into()).is_some());
        let used: BTreeMap<_, _> = [(f(), resources("cpus:1").allocated_to("*"))].into();
        assert!(fx.0.iter().any(|effect| matches!(effect,
            Effect::Allocator(AllocatorCall::AddSlave { used: told, .. }) if *told == used)));
    }

    #[test]
    fn slave_unreachable_brings_its_tasks_back() {
        let mut state = cluster();
        running(&mut state, "t");
        decide(&mut state, |state, fx| super::super::lost::unreachable(state, &s(), NOW, fx));
        let message = message(vec![task("t", TaskState::TaskRunning)]);
        let fx = decide(&mut state, |state, fx| readmitted(state, &home(), message, NOW, fx));
        let reason = Reason::SlaveReregistered.into();
        assert_eq!(updates(&fx), [("t".to_owned(), TaskState::TaskRunning, reason)]);
        assert!(state.slaves.unreachable_since(&s()).is_none());
    }

    #[test]
    fn task_told_ended_does_not_live_again() {
        let mut state = cluster();
        running(&mut state, "t");
        decide(&mut state, |state, fx| super::super::lost::exited(state, &home(), NOW, fx));
        let fx = run(&mut state, message(vec![task("t", TaskState::TaskRunning)]));
        assert_eq!(fx.sent::<KillTaskMessage>()[0].1.task_id.value, "t");
        assert!(state.frameworks.get(&f()).unwrap().tasks.active().is_empty());
        assert!(state.slaves.get(&s()).unwrap().connected);
    }

    #[test]
    fn framework_completed_is_shut_down_on_the_slave() {
        let mut state = cluster();
        state.frameworks.complete(&f(), NOW);
        let fx = run(&mut state, message(vec![task("t", TaskState::TaskRunning)]));
        assert_eq!(fx.sent::<ShutdownFrameworkMessage>().len(), 1);
        assert!(state.frameworks.get(&f()).is_none());
    }

    #[test]
    fn slave_removed_or_moved_is_shut_down() {
        type Spoil = fn(&mut State, &mut ReregisterSlaveMessage);
        let spoil: [Spoil; 2] = [
            |state, _| drop(state.slaves.remove(&s())),
            |_, message| message.slave.hostname = "elsewhere".into(),
        ];
        for spoil in spoil {
            let (mut state, mut message) = (cluster(), message(vec![]));
            spoil(&mut state, &mut message);
            assert_eq!(run(&mut state, message).sent::<ShutdownMessage>()[0].0, home());
        }
    }
}
