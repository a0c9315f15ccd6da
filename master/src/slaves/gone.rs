//! A slave is gone for good, says an operator: it never comes back, and its tasks are over.

use libprocess::Time;
use protos::ids::SlaveId;
use protos::mesos::OperationState;
use protos::mesos::internal::ShutdownMessage;

use super::lost::{Ending, leave};
use crate::calls::operation_status;
use crate::effects::{AfterRegistry, Effects};
use crate::registrar::Operation;
use crate::state::State;

/// What became of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The registry is asked.
    Now,
    /// It is gone already.
    Already,
    /// Another transition of the slave is under way.
    Busy,
    /// No such slave.
    Unknown,
}

/// Asks the registry to mark a slave gone, wherever it is listed.
pub(crate) fn start(state: &mut State, id: &SlaveId, now: Time, fx: &mut Effects) -> Begun {
    if state.slaves.is_gone(id) {
        return Begun::Already;
    }
    let slaves = &state.slaves;
    let known = slaves.get(id).is_some()
        || slaves.is_recovered(id)
        || slaves.unreachable_since(id).is_some();
    if !known {
        return Begun::Unknown;
    }
    if !state.slaves.begin_change(id) {
        return Begun::Busy;
    }
    let operation = Operation::MarkGone(id.clone(), now);
    fx.registry(operation, AfterRegistry::Gone(id.clone()));
    Begun::Now
}

/// The registry lists the slave as gone.
pub(crate) fn gone(state: &mut State, id: &SlaveId, now: Time, fx: &mut Effects) {
    state.slaves.end_change(id);
    if let Some(slave) = state.slaves.get(id) {
        let message = Some("Agent has been marked gone".to_owned());
        fx.send(&slave.pid, &ShutdownMessage { message });
    }
    operation_status::slave_lost(state, id, OperationState::OperationGoneByOperator, fx);
    leave(state, id, Ending::gone(), now, fx);
    state.slaves.mark_gone(id, now);
    fx.note(format!("slave {id} is gone"));
    fx.count("master/slave_removals");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use protos::mesos::TaskState;
    use protos::mesos::framework_info::capability::Type as Capability;
    use protos::mesos::internal::LostSlaveMessage;
    use protos::mesos::task_status::Reason;

    #[test]
    fn slave_gone_takes_its_tasks_along_and_never_comes_back() {
        let cases = [
            (vec![], TaskState::TaskLost),
            (vec![Capability::PartitionAware], TaskState::TaskGoneByOperator),
        ];
        for (capabilities, expected) in cases {
            let mut state = cluster_with(&capabilities);
            running(&mut state, "t");
            let mut begun = Vec::new();
            decide(&mut state, |state, fx| {
                begun.push(start(state, &"other".into(), NOW, fx));
                begun.push(start(state, &s(), NOW, fx));
                begun.push(start(state, &s(), NOW, fx));
            });
            assert_eq!(begun, [Begun::Unknown, Begun::Now, Begun::Busy]);
            let fx = decide(&mut state, |state, fx| gone(state, &s(), NOW, fx));
            let reason = Reason::SlaveRemovedByOperator.into();
            assert_eq!(updates(&fx), [("t".into(), expected, reason)]);
            assert_eq!(fx.sent::<ShutdownMessage>()[0].0, home());
            assert_eq!(fx.sent::<LostSlaveMessage>().len(), 1);
            assert!(state.slaves.is_gone(&s()));
            let mut fx = Effects::default();
            assert_eq!(start(&mut state, &s(), NOW, &mut fx), Begun::Already);
        }
    }
}
