//! Slaves that fall silent, break off, or leave.

use libprocess::{Pid, Time};
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::internal::{LostSlaveMessage, ShutdownMessage};
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{MachineId, OperationState, TaskState};
use protos::status;
use protos::task_state::is_terminal;

use super::removal;
use crate::calls::offers::rescind;
use crate::calls::{aware, operation_status, tell};
use crate::effects::{AfterRegistry, AllocatorCall, Effect, Effects, Reminder};
use crate::registrar::Operation;
use crate::state::{Maintenance, Slave, State};

/// The link to a slave broke: no offers of it until it is back.
pub(crate) fn exited(state: &mut State, pid: &Pid, now: Time, fx: &mut Effects) {
    let Some(slave) = state.slaves.by_pid(pid).filter(|slave| slave.connected) else { return };
    let id = slave.id.clone();
    if let Some(slave) = state.slaves.get_mut(&id) {
        (slave.connected, slave.active) = (false, false);
        slave.epoch += 1;
        let reminder = Reminder::SlaveReregister(id.clone(), slave.epoch);
        fx.push(Effect::Remind(state.config.reregister_timeout, reminder));
    }
    fx.note(format!("slave {id} at {pid} disconnected"));
    fx.allocator(AllocatorCall::DeactivateSlave(id.clone()));
    fx.push(Effect::ObserverConnected(id.clone(), false));
    for offer in state.offers.of_slave(&id) {
        rescind(state, &offer, true, fx);
    }
    // What runs for frameworks that do not checkpoint dies with the slave.
    let doomed = state.frameworks.iter().filter(|f| !f.info.checkpoint()).map(|f| f.id.clone());
    for framework in doomed.collect::<Vec<_>>() {
        end_tasks(state, &framework, &id, Ending::disconnected(), now, fx);
    }
}

/// A slave stayed silent for too long, or did not come back in time.
pub(crate) fn silent(state: &mut State, id: &SlaveId, now: Time, fx: &mut Effects) {
    if state.slaves.get(id).is_some() {
        removal::schedule(state, id, now, fx);
    }
}

/// A disconnected slave's time to come back is over, unless it has come back meanwhile.
pub(crate) fn reregister_timed_out(
    state: &mut State,
    id: &SlaveId,
    epoch: u64,
    now: Time,
    fx: &mut Effects,
) {
    if state.slaves.get(id).is_some_and(|slave| !slave.connected && slave.epoch == epoch) {
        silent(state, id, now, fx);
    }
}

/// A slave unregisters itself.
pub(crate) fn unregister(state: &mut State, from: &Pid, id: &SlaveId, fx: &mut Effects) {
    match state.slaves.get(id) {
        Some(slave) if slave.pid == *from => {
            if state.slaves.begin_change(id) {
                let operation = Operation::Remove(id.clone());
                let then = AfterRegistry::Removed(id.clone(), None);
                fx.registry(operation, then);
            }
        }
        _ => {
            fx.refuse(format!("unregistration of slave {id} by {from}: it is not registered there"))
        }
    }
}

/// Machines are down: their slaves are told to shut down, and removed.
pub(crate) fn machines_down(state: &mut State, machines: &[MachineId], fx: &mut Effects) {
    let is_there =
        |slave: &&Slave| machines.iter().any(|machine| Maintenance::is_on(machine, slave));
    let there: Vec<_> =
        state.slaves.iter().filter(is_there).map(|s| (s.id.clone(), s.pid.clone())).collect();
    for (id, pid) in there {
        let message = Some("The machine goes down for maintenance".to_owned());
        fx.send(&pid, &ShutdownMessage { message });
        if state.slaves.begin_change(&id) {
            let then = AfterRegistry::Removed(id.clone(), None);
            fx.registry(Operation::Remove(id), then);
        }
    }
}

/// The registry lists the slave as unreachable.
pub(crate) fn unreachable(state: &mut State, id: &SlaveId, now: Time, fx: &mut Effects) {
    state.slaves.end_change(id);
    operation_status::slave_lost(state, id, OperationState::OperationUnreachable, fx);
    leave(state, id, Ending::unreachable(), now, fx);
    if state.slaves.lose(id, now).is_none() {
        state.slaves.lose_recovered(id, now);
    }
    fx.note(format!("slave {id} is unreachable"));
    fx.count("master/slave_unreachable_completed");
    fx.count("master/slave_shutdowns_completed");
    fx.count("master/slave_removals");
    fx.count("master/slave_removals/reason_unhealthy");
}

/// The registry has forgotten the slave, `replaced` by another or not.
pub(crate) fn removed(
    state: &mut State,
    id: &SlaveId,
    replaced: bool,
    now: Time,
    fx: &mut Effects,
) {
    state.slaves.end_change(id);
    operation_status::slave_lost(state, id, OperationState::OperationUnknown, fx);
    leave(state, id, Ending::removed(), now, fx);
    state.slaves.remove(id);
    let why = if replaced { "registered" } else { "unregistered" };
    fx.count(format!("master/slave_removals/reason_{why}"));
    fx.note(format!("slave {id} removed"));
    fx.count("master/slave_removals");
}

/// What becomes of the tasks on a slave that is lost.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    aware: TaskState,
    reason: Reason,
    message: &'static str,
    /// Kept as unreachable rather than completed.
    may_return: bool,
}

impl Ending {
    fn disconnected() -> Self {
        let (aware, reason) = (TaskState::TaskLost, Reason::SlaveDisconnected);
        Self { aware, reason, message: "Slave disconnected", may_return: false }
    }

    fn unreachable() -> Self {
        let (aware, reason) = (TaskState::TaskUnreachable, Reason::SlaveRemoved);
        Self {
            aware,
            reason,
            message: "Slave is unreachable: health check timed out",
            may_return: true,
        }
    }

    pub(super) fn gone() -> Self {
        let (aware, reason) = (TaskState::TaskGoneByOperator, Reason::SlaveRemovedByOperator);
        Self { aware, reason, message: "Slave marked gone by operator", may_return: false }
    }

    fn removed() -> Self {
        let (aware, reason) = (TaskState::TaskLost, Reason::SlaveRemoved);
        Self { aware, reason, message: "Slave removed", may_return: false }
    }
}

pub(super) fn leave(state: &mut State, id: &SlaveId, ending: Ending, now: Time, fx: &mut Effects) {
    for offer in state.offers.of_slave(id) {
        rescind(state, &offer, true, fx);
    }
    for framework in state.frameworks.ids() {
        end_tasks(state, &framework, id, ending, now, fx);
    }
    fx.allocator(AllocatorCall::RemoveSlave(id.clone()));
    fx.push(Effect::Unobserve(id.clone()));
    for framework in state.frameworks.iter().filter(|framework| framework.connected) {
        fx.send(&framework.pid, &LostSlaveMessage { slave_id: id.wire() });
    }
}

/// Ends the tasks and executors of one framework on a slave.
fn end_tasks(
    state: &mut State,
    framework_id: &FrameworkId,
    slave: &SlaveId,
    ending: Ending,
    now: Time,
    fx: &mut Effects,
) {
    let keep = (state.config.max_completed_tasks, state.config.max_unreachable_tasks);
    let Some(framework) = state.frameworks.get_mut(framework_id) else { return };
    let end = aware(framework, ending.aware);
    for task_id in framework.tasks.on_slave(slave) {
        let Some(task) = framework.tasks.get(&task_id) else { continue };
        let over = is_terminal(task.state());
        let mut told = status::of(&task_id, end, now.as_secs_f64())
            .source(Source::Master)
            .reason(ending.reason)
            .slave(slave)
            .message(ending.message);
        if ending.may_return {
            told = told.unreachable_since(now.as_nanos());
        }
        if !over {
            let freed = framework.tasks.release(&task_id);
            let status = told.clone().build();
            framework.tasks.update(&task_id, &status, None, end);
            if is_terminal(end) {
                fx.count_end(framework_id, &status);
            }
            fx.recover(framework_id, slave, freed, None);
        }
        if ending.may_return && !over {
            framework.tasks.lose(&task_id, keep.1);
        } else {
            framework.tasks.complete(&task_id, keep.0);
        }
        if !over {
            tell(framework, told, fx);
        }
    }
    let here = framework.executors.get(slave).map(|e| e.keys().cloned().collect::<Vec<_>>());
    for executor in here.unwrap_or_default() {
        if let Some(held) = framework.remove_executor(slave, &executor) {
            fx.recover(framework_id, slave, held, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::testing::*;
    use protos::mesos::framework_info::capability::Type as Capability;

    #[test]
    fn slave_broken_off_ends_tasks_of_frameworks_without_checkpoints_only() {
        for (checkpoint, left) in [(false, 0), (true, 1)] {
            let mut state = cluster();
            state.frameworks.get_mut(&f()).unwrap().info.checkpoint = Some(checkpoint);
            running(&mut state, "t");
            offered(&mut state, "cpus:2");
            let fx = decide(&mut state, |state, fx| exited(state, &home(), NOW, fx));
            let framework = state.frameworks.get(&f()).unwrap();
            assert_eq!(framework.tasks.active().len(), left);
            assert_eq!(updates(&fx).len(), 1 - left);
            assert_eq!(state.offers.len(), 0);
            let slave = state.slaves.get(&s()).unwrap();
            assert!(!slave.connected && !slave.active);
            assert!(fx.sent::<LostSlaveMessage>().is_empty());
        }
    }

    #[test]
    fn slave_silent_is_unreachable_after_the_registry_knows() {
        let cases = [
            (vec![], TaskState::TaskLost),
            (vec![Capability::PartitionAware], TaskState::TaskUnreachable),
        ];
        for (capabilities, expected) in cases {
            let mut state = cluster_with(&capabilities);
            running(&mut state, "t");
            let fx = decide(&mut state, |state, fx| silent(state, &s(), NOW, fx));
            assert!(matches!(
                fx.0[..],
                [Effect::Count(_), Effect::Count(_), Effect::Registry { .. }]
            ));
            assert!(decide(&mut state, |state, fx| silent(state, &s(), NOW, fx)).0.is_empty());
            let fx = decide(&mut state, |state, fx| unreachable(state, &s(), NOW, fx));
            assert_eq!(updates(&fx), [("t".into(), expected, Reason::SlaveRemoved.into())]);
            assert_eq!(fx.sent::<LostSlaveMessage>()[0].0, scheduler());
            assert_eq!(state.frameworks.get(&f()).unwrap().tasks.unreachable().len(), 1);
            assert_eq!(state.slaves.unreachable_since(&s()), Some(NOW));
        }
    }

    #[test]
    fn slave_back_in_time_is_not_lost() {
        let mut state = cluster();
        decide(&mut state, |state, fx| exited(state, &home(), NOW, fx));
        let slave = state.slaves.get_mut(&s()).unwrap();
        let old = slave.epoch;
        slave.epoch += 1;
        let fx = decide(&mut state, |state, fx| reregister_timed_out(state, &s(), old, NOW, fx));
        assert!(fx.0.is_empty());
    }

    #[test]
    fn slave_unregistering_is_removed_when_it_speaks_for_itself() {
        let mut state = cluster();
        let fx = decide(&mut state, |state, fx| unregister(state, &scheduler(), &s(), fx));
        assert_eq!((refusals(&fx).len(), fx.0.len()), (1, 1));
        let fx = decide(&mut state, |state, fx| unregister(state, &home(), &s(), fx));
        assert!(matches!(fx.0[..], [Effect::Registry { .. }]));
        decide(&mut state, |state, fx| removed(state, &s(), false, NOW, fx));
        assert!(state.slaves.is_removed(&s()) && state.slaves.by_pid(&home()).is_none());
    }
}
