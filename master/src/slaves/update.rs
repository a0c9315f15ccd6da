//! What slaves report: status updates, executors that ended, changed resources.

use libprocess::Pid;
use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{ExitedExecutorMessage, StatusUpdateMessage, UpdateSlaveMessage};
use protos::resources::Resources;
use protos::task_state;

use crate::calls::{offers::rescind, operation_status};
use crate::effects::{AllocatorCall, Effects};
use crate::state::State;

/// Passes an update on to the framework and takes note of the task's state.
pub(crate) fn status_update(state: &mut State, message: StatusUpdateMessage, fx: &mut Effects) {
    let update = &message.update;
    let (framework_id, task_id) =
        (FrameworkId::from(&update.framework_id), TaskId::from(&update.status.task_id));
    let slave_id = update.slave_id.as_ref().map(SlaveId::from);
    let refused =
        |why: &str| format!("update of task {task_id} of framework {framework_id}: {why}");
    let invalid = |fx: &mut Effects, why: &str| {
        fx.refuse(refused(why));
        fx.count("master/invalid_status_updates");
    };
    let Some(slave) = slave_id.as_ref().and_then(|id| state.slaves.get(id)) else {
        return invalid(fx, "it comes from an unknown slave");
    };
    let latest = update.latest_state.unwrap_or(update.status.state);
    let Some(latest) = task_state::from_wire(latest) else {
        return invalid(fx, "its state is unknown");
    };
    let slave_id = slave.id.clone();
    let Some(framework) = state.frameworks.get_mut(&framework_id) else {
        return invalid(fx, "the framework is unknown");
    };
    if framework.connected {
        fx.send(&framework.pid, &message);
    }
    let uuid = update.uuid.as_ref().or(update.status.uuid.as_ref());
    match framework.tasks.get(&task_id).filter(|task| task.slave == slave_id) {
        Some(task) => {
            let told = update.status.state().as_str_name();
            fx.note(format!("task {task_id} of framework {framework_id}: {told}"));
            let was_over = task_state::is_terminal(task.state());
            let freed = framework.tasks.update(&task_id, &update.status, uuid, latest);
            if !was_over && task_state::is_terminal(latest) {
                let mut status = update.status.clone();
                status.set_state(latest);
                fx.count_end(&framework_id, &status);
            }
            fx.recover(&framework_id, &slave_id, freed, None);
            fx.count("master/valid_status_updates");
        }
        // The framework must see it all the same: its slave waits for the acknowledgement.
        None => invalid(fx, "the task is unknown; passed on"),
    }
}

/// An executor ended: what it held is free, and its framework is told.
pub(crate) fn exited_executor(
    state: &mut State,
    message: &ExitedExecutorMessage,
    fx: &mut Effects,
) {
    let slave = SlaveId::from(&message.slave_id);
    let executor = ExecutorId::from(&message.executor_id);
    let id = FrameworkId::from(&message.framework_id);
    if state.slaves.get(&slave).is_none() {
        return fx.refuse(format!("exit of executor {executor}: slave {slave} is unknown"));
    }
    let Some(framework) = state.frameworks.get_mut(&id) else {
        return fx.refuse(format!("exit of executor {executor}: framework {id} is unknown"));
    };
    if let Some(held) = framework.remove_executor(&slave, &executor) {
        fx.recover(&id, &slave, held, None);
    }
    if framework.connected {
        fx.send(&framework.pid, message);
    }
}

/// The slave's oversubscribed resources changed.
pub(crate) fn update_slave(
    state: &mut State,
    from: &Pid,
    message: &UpdateSlaveMessage,
    fx: &mut Effects,
) {
    let id = SlaveId::from(&message.slave_id);
    let Some(slave) = state.slaves.get_mut(&id).filter(|slave| slave.pid == *from) else {
        return fx.refuse(format!("update of slave {id} by {from}: it is not registered there"));
    };
    slave.resource_version =
        message.resource_version_uuid.clone().or(slave.resource_version.take());
    operation_status::missing(state, &id, message, fx);
    let Some(slave) = state.slaves.get_mut(&id) else { return };
    if !message.update_oversubscribed_resources() && message.oversubscribed_resources.is_empty() {
        return;
    }
    match Resources::from_wire(&message.oversubscribed_resources) {
        Err(error) => fx.refuse(format!("update of slave {id}: {error}")),
        Ok(revocable) => {
            let total = slave.total.non_revocable().plus(&revocable.revocable());
            slave.total = total.clone();
            let stale = state.offers.of_slave(&id).into_iter().filter(|offer| {
                state.offers.get(offer).is_some_and(|o| !o.resources.revocable().is_empty())
            });
            for offer in stale.collect::<Vec<_>>() {
                rescind(state, &offer, true, fx);
            }
            fx.allocator(AllocatorCall::UpdateSlave(id, total));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use libprocess::Time;
    use protos::mesos::internal::StatusUpdate;
    use protos::mesos::{self, TaskState};
    use protos::status;

    fn update(state: TaskState, latest: Option<TaskState>) -> StatusUpdateMessage {
        let update = status::of(&"t".into(), state, 0.0).slave(&s()).uuid([1; 16]).update(&f());
        let latest_state = latest.map(Into::into);
        let update = StatusUpdate { latest_state, slave_id: Some(s().wire()), ..update };
        StatusUpdateMessage { update, pid: Some(home().to_string()) }
    }

    #[test]
    fn update_with_terminal_latest_state_frees_resources_before_the_framework_sees_it() {
        let mut state = cluster();
        running(&mut state, "t");
        let message = update(TaskState::TaskRunning, Some(TaskState::TaskFinished));
        let fx = decide(&mut state, |state, fx| status_update(state, message, fx));
        assert_eq!(updates(&fx), [("t".into(), TaskState::TaskRunning, 0)]);
        assert_eq!(recovered(&fx), [("cpus:1".to_owned(), 0)]);
        let task = state.frameworks.task(&f(), &"t".into()).unwrap();
        assert_eq!(task.state(), TaskState::TaskFinished);
        assert_eq!(task.told_state(), TaskState::TaskRunning);
    }

    #[test]
    fn update_of_unknown_slaves_and_frameworks_is_dropped() {
        for lacks_slave in [true, false] {
            let mut state = cluster();
            if lacks_slave {
                state.slaves.remove(&s());
            } else {
                state.frameworks.complete(&f(), Time::EPOCH);
            }
            let message = update(TaskState::TaskRunning, None);
            let fx = decide(&mut state, |state, fx| status_update(state, message, fx));
            assert!(updates(&fx).is_empty());
            assert_eq!(refusals(&fx).len(), 1);
        }
    }

    #[test]
    fn update_of_an_unknown_task_is_passed_on() {
        let mut state = cluster();
        let message = update(TaskState::TaskRunning, None);
        let fx = decide(&mut state, |state, fx| status_update(state, message, fx));
        assert_eq!(updates(&fx).len(), 1);
    }

    #[test]
    fn executor_that_ended_gives_back_what_it_held() {
        let mut state = cluster();
        let framework = state.frameworks.get_mut(&f()).unwrap();
        let executors = framework.executors.entry(s()).or_default();
        executors.insert("e".into(), executor_info("e"));
        let message = ExitedExecutorMessage {
            slave_id: s().wire(),
            framework_id: f().wire(),
            executor_id: ExecutorId::new("e").wire(),
            status: -1,
        };
        let fx = decide(&mut state, |state, fx| {
            exited_executor(state, &message, fx);
            exited_executor(state, &message, fx);
        });
        assert_eq!(recovered(&fx), [("cpus:0.5;mem:32".to_owned(), 0)]);
        assert_eq!(fx.sent::<ExitedExecutorMessage>()[0].0, scheduler());
    }

    #[test]
    fn oversubscribed_resources_replace_earlier_ones() {
        let mut state = cluster();
        let mut revocable = resources("cpus:2").to_wire();
        revocable[0].revocable = Some(mesos::resource::RevocableInfo::default());
        let message = UpdateSlaveMessage {
            slave_id: s().wire(),
            oversubscribed_resources: revocable,
            ..Default::default()
        };
        for _ in 0..2 {
            decide(&mut state, |state, fx| update_slave(state, &home(), &message, fx));
            assert_eq!(state.slaves.get(&s()).unwrap().total.revocable().cpus(), 2.0);
        }
        let fx = decide(&mut state, |state, fx| update_slave(state, &scheduler(), &message, fx));
        assert_eq!((refusals(&fx).len(), fx.0.len()), (1, 1));
    }
}
