//! A framework ends: its executors are shut down everywhere and its books are closed.

use libprocess::Time;
use protos::ids::FrameworkId;
use protos::mesos::TaskState;
use protos::mesos::internal::ShutdownFrameworkMessage;
use protos::mesos::task_status::{Reason, Source};
use protos::status;
use protos::task_state::is_terminal;

use super::offers::rescind_all;
use crate::effects::{AllocatorCall, Effect, Effects};
use crate::state::State;

/// Removes a framework: TEARDOWN, `UnregisterFrameworkMessage`, or its failover timeout.
pub(crate) fn remove(state: &mut State, id: &FrameworkId, now: Time, fx: &mut Effects) {
    if state.frameworks.get(id).is_none() {
        return;
    }
    for slave in state.slaves.iter().filter(|slave| slave.connected) {
        fx.send(&slave.pid, &ShutdownFrameworkMessage { framework_id: id.wire() });
    }
    fx.note(format!("framework {id} removed"));
    rescind_all(state, id, false, fx);
    state.offers.forget_inverse(id);
    let keep = state.config.max_completed_tasks;
    let Some(framework) = state.frameworks.get_mut(id) else { return };
    for (slave, held) in framework.used() {
        fx.recover(id, &slave, held, None);
    }
    let ids: Vec<_> = framework.tasks.active().keys().cloned().collect();
    for task_id in ids {
        if let Some(task) = framework.tasks.get(&task_id)
            && !is_terminal(task.state())
        {
            let killed = status::of(&task_id, TaskState::TaskKilled, now.as_secs_f64())
                .source(Source::Master)
                .reason(Reason::FrameworkRemoved)
                .slave(&task.slave)
                .message("Framework removed")
                .build();
            framework.tasks.update(&task_id, &killed, None, TaskState::TaskKilled);
            fx.count_end(id, &killed);
        }
        framework.tasks.complete(&task_id, keep);
    }
    framework.executors.clear();
    fx.allocator(AllocatorCall::RemoveFramework(id.clone()));
    state.frameworks.complete(id, now);
    fx.push(Effect::SettleFrameworks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn framework_removed_is_shut_down_everywhere_and_leaves_nothing_behind() {
        let mut state = cluster();
        running(&mut state, "t");
        offered(&mut state, "cpus:2");
        let fx = decide(&mut state, |state, fx| remove(state, &f(), NOW, fx));
        assert_eq!(fx.sent::<ShutdownFrameworkMessage>()[0].0, home());
        assert_eq!(recovered(&fx), [("cpus:2".to_owned(), 0), ("cpus:1".to_owned(), 0)]);
        assert!(updates(&fx).is_empty());
        let completed = state.frameworks.completed().next().unwrap();
        let states: Vec<_> = completed.tasks.completed().map(|task| task.state()).collect();
        assert_eq!(states, [TaskState::TaskKilled]);
        assert_eq!(state.offers.len(), 0);
        let fx = decide(&mut state, |state, fx| remove(state, &f(), NOW, fx));
        assert!(fx.0.is_empty());
    }
}
