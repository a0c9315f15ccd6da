//! A scheduler's connection broke, or it aborted.

use libprocess::Pid;
use protos::ids::FrameworkId;
use protos::mesos::internal::FrameworkErrorMessage;

use super::offers::rescind_all;
use super::teardown::remove;
use crate::effects::{AllocatorCall, Effect, Effects, Reminder};
use crate::state::State;
use libprocess::Time;

/// The link to a scheduler broke: no offers, and after its failover timeout it is removed.
pub(crate) fn exited(state: &mut State, pid: &Pid, fx: &mut Effects) {
    state.frameworks.disconnected_at(pid);
    // One scheduler process may hold several frameworks, one after another.
    while let Some(id) = state.frameworks.by_pid(pid).map(|framework| framework.id.clone()) {
        deactivate(state, &id, fx);
        let Some(framework) = state.frameworks.get_mut(&id) else { return };
        fx.note(format!("framework {id} disconnected from {pid}"));
        framework.connected = false;
        fx.push(Effect::SettleFrameworks);
        framework.epoch += 1;
        // A scheduler that lives on behind the broken connection must not wait for ever.
        let message = "Framework disconnected".to_owned();
        fx.send(pid, &FrameworkErrorMessage { message });
        let reminder = Reminder::FrameworkFailover(id, framework.epoch);
        fx.push(Effect::Remind(framework.failover_timeout(), reminder));
    }
}

/// The framework gets no offers any more; its tasks go on (`DeactivateFrameworkMessage`).
pub(crate) fn deactivate(state: &mut State, id: &FrameworkId, fx: &mut Effects) {
    rescind_all(state, id, true, fx);
    if let Some(framework) = state.frameworks.get_mut(id)
        && framework.active
    {
        framework.active = false;
        fx.allocator(AllocatorCall::DeactivateFramework(id.clone()));
    }
}

/// The time that a disconnected scheduler had to come back is over.
pub(crate) fn failover_timed_out(
    state: &mut State,
    id: &FrameworkId,
    epoch: u64,
    now: Time,
    fx: &mut Effects,
) {
    let due = state.frameworks.get(id).is_some_and(|f| !f.connected && f.epoch == epoch);
    if due {
        remove(state, id, now, fx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn scheduler_gone_loses_its_offers_at_once_and_its_tasks_after_the_timeout() {
        let mut state = cluster();
        running(&mut state, "t");
        offered(&mut state, "cpus:1");
        let fx = decide(&mut state, |state, fx| exited(state, &scheduler(), fx));
        let framework = state.frameworks.get(&f()).unwrap();
        assert!(!framework.connected && !framework.active);
        assert_eq!(state.offers.len(), 0);
        let reminder = Reminder::FrameworkFailover(f(), framework.epoch);
        assert!(fx.0.contains(&Effect::Remind(framework.failover_timeout(), reminder)));
        let epoch = framework.epoch;
        decide(&mut state, |state, fx| failover_timed_out(state, &f(), epoch - 1, NOW, fx));
        assert!(state.frameworks.get(&f()).is_some());
        decide(&mut state, |state, fx| failover_timed_out(state, &f(), epoch, NOW, fx));
        assert!(state.frameworks.is_completed(&f()));
    }

    #[test]
    fn scheduler_deactivated_keeps_its_tasks() {
        let mut state = cluster();
        running(&mut state, "t");
        let fx = decide(&mut state, |state, fx| deactivate(state, &f(), fx));
        assert!(fx.calls().contains(&&AllocatorCall::DeactivateFramework(f())));
        assert!(state.frameworks.task(&f(), &"t".into()).is_some());
    }
}
