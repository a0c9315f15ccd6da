//! Operations' fate: what slaves report, what frameworks acknowledge and ask for.

use libprocess::Pid;
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::internal::reconcile_operations_message::Operation as Asked;
use protos::mesos::internal::{
    AcknowledgeOperationStatusMessage, ReconcileOperationsMessage, UpdateOperationStatusMessage,
    UpdateSlaveMessage,
};
use protos::mesos::scheduler::{self, Event, event};
use protos::mesos::{self, OperationState};

use super::accept::rescind_holding;
use crate::effects::{Effect, Effects};
use crate::state::{State, operation_is_over};

/// A slave tells of an operation.
pub(crate) fn update(
    state: &mut State,
    from: &Pid,
    message: &UpdateOperationStatusMessage,
    fx: &mut Effects,
) {
    let Some(slave) = state.slaves.by_pid(from) else {
        fx.count("master/invalid_operation_status_updates");
        return fx
            .refuse(format!("update of an operation by {from}: no slave is registered there"));
    };
    let id = slave.id.clone();
    let uuid = message.operation_uuid.as_ref().map(|uuid| uuid.value.clone()).unwrap_or_default();
    let known = state.operations.get_mut(&uuid).filter(|entry| entry.slave == id);
    let Some(entry) = known else {
        fx.count("master/invalid_operation_status_updates");
        fx.refuse(format!("update of an operation by slave {id}: the operation is unknown"));
        return acknowledge_self(from, message, fx);
    };
    fx.count("master/valid_operation_status_updates");
    let status = message.latest_status.as_ref().unwrap_or(&message.status).clone();
    let was_over = operation_is_over(entry.state());
    if !was_over {
        entry.wire.latest_status = status.clone();
        entry.wire.statuses.push(message.status.clone());
    }
    let (over, named) = (operation_is_over(entry.state()), entry.wire.info.id.is_some());
    let kind = entry.wire.info.r#type().as_str_name();
    let undo = entry.undo.take().filter(|_| over && !was_over);
    if over && !was_over {
        let fate = status.state().as_str_name().trim_start_matches("OPERATION_").to_lowercase();
        super::accept::count(kind, &fate, fx);
        fx.note(format!("{kind} on slave {id}: {fate}"));
    }
    let owner = entry.framework.clone();
    if over
        && status.state() != OperationState::OperationFinished
        && let Some(conversion) = undo
    {
        undo_on(state, &id, &conversion, fx);
    }
    // An update with an id is the framework's to acknowledge; all others are the master's.
    let framework = owner.filter(|_| named).and_then(|owner| state.frameworks.get(&owner));
    match framework.filter(|framework| framework.connected) {
        Some(framework) => tell(&framework.pid, message.status.clone(), fx),
        None if named => {}
        None => {
            acknowledge_self(from, message, fx);
            if over {
                state.operations.remove(&uuid);
            }
        }
    }
}

/// The slave could not do what the books say: they go back to what was before, where that is still
/// possible, and the allocator starts over with the slave.
fn undo_on(
    state: &mut State,
    id: &SlaveId,
    conversion: &crate::operations::Conversion,
    fx: &mut Effects,
) {
    let (made, lost) = (conversion.converted.unallocated(), conversion.consumed.unallocated());
    rescind_holding(state, id, &made, fx);
    let Some(slave) = state.slaves.get_mut(id) else { return };
    if let Some(rest) = slave.total.checked_sub(&made) {
        slave.total = rest.plus(&lost);
    }
    fx.push(Effect::Resync(id.clone()));
}

fn acknowledge_self(to: &Pid, message: &UpdateOperationStatusMessage, fx: &mut Effects) {
    if let (Some(status_uuid), Some(operation_uuid)) =
        (message.status.uuid.clone(), message.operation_uuid.clone())
    {
        let resource_provider_id = message.status.resource_provider_id.clone();
        let acknowledgement =
            AcknowledgeOperationStatusMessage { status_uuid, operation_uuid, resource_provider_id };
        fx.send(to, &acknowledgement);
    }
}

fn tell(to: &Pid, status: mesos::OperationStatus, fx: &mut Effects) {
    let event = Event {
        r#type: Some(event::Type::UpdateOperationStatus.into()),
        update_operation_status: Some(event::UpdateOperationStatus { status }),
        ..Default::default()
    };
    fx.send(to, &event);
}

/// ACKNOWLEDGE_OPERATION_STATUS.
pub(crate) fn acknowledge(
    state: &mut State,
    framework: &FrameworkId,
    call: &scheduler::call::AcknowledgeOperationStatus,
    fx: &mut Effects,
) {
    let id = &call.operation_id.value;
    let invalid = |fx: &mut Effects, why: &str| {
        fx.count("master/invalid_operation_status_update_acknowledgements");
        fx.refuse(format!("acknowledgement of operation '{id}' by framework {framework}: {why}"));
    };
    if call.uuid.len() != 16 {
        return invalid(fx, "uuid is not 16 bytes long");
    }
    let Some(entry) = state.operations.by_id(framework, id) else {
        return invalid(fx, "the operation is unknown");
    };
    let Some(slave) = state.slaves.get(&entry.slave).filter(|slave| slave.connected) else {
        return invalid(fx, "its slave is unknown or disconnected");
    };
    let operation_uuid = entry.wire.uuid.clone();
    let message = AcknowledgeOperationStatusMessage {
        status_uuid: mesos::Uuid { value: call.uuid.clone() },
        operation_uuid: operation_uuid.clone(),
        resource_provider_id: call.resource_provider_id.clone(),
    };
    fx.send(&slave.pid, &message);
    fx.count("master/valid_operation_status_update_acknowledgements");
    let acknowledged = entry.wire.latest_status.uuid.as_ref().map(|uuid| &uuid.value);
    if operation_is_over(entry.state()) && acknowledged == Some(&call.uuid) {
        state.operations.remove(&operation_uuid.value);
    }
}

/// RECONCILE_OPERATIONS: each that is asked for is answered; all known ones when none is named.
pub(crate) fn reconcile(
    state: &State,
    id: &FrameworkId,
    asked: &[scheduler::call::reconcile_operations::Operation],
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get(id).filter(|framework| framework.connected) else {
        return;
    };
    if asked.is_empty() {
        let own = state.operations.iter().filter(|entry| entry.framework.as_ref() == Some(id));
        for entry in own.filter(|entry| entry.wire.info.id.is_some()) {
            let status = mesos::OperationStatus { uuid: None, ..entry.wire.latest_status.clone() };
            tell(&framework.pid, status, fx);
        }
    }
    for query in asked {
        let slave = query.slave_id.as_ref().map(SlaveId::from);
        let known = state.operations.by_id(id, &query.operation_id.value);
        let status = match known {
            Some(entry) => {
                mesos::OperationStatus { uuid: None, ..entry.wire.latest_status.clone() }
            }
            None => mesos::OperationStatus {
                operation_id: Some(query.operation_id.clone()),
                state: unknown_state(state, slave.as_ref()).into(),
                message: Some("Reconciliation: operation is unknown".to_owned()),
                slave_id: query.slave_id.clone(),
                ..Default::default()
            },
        };
        tell(&framework.pid, status, fx);
    }
}

/// What to say of an operation that is not in the books, by where it was.
fn unknown_state(state: &State, slave: Option<&SlaveId>) -> OperationState {
    match slave {
        Some(id) if state.slaves.is_recovered(id) => OperationState::OperationRecovering,
        Some(id) if state.slaves.unreachable_since(id).is_some() => {
            OperationState::OperationUnreachable
        }
        Some(id) if state.slaves.is_gone(id) => OperationState::OperationGoneByOperator,
        _ => OperationState::OperationUnknown,
    }
}

/// Operations that a slave does not mention any more are asked for.
pub(crate) fn missing(state: &State, id: &SlaveId, message: &UpdateSlaveMessage, fx: &mut Effects) {
    let Some(slave) = state.slaves.get(id) else { return };
    let Some(told) = &message.operations else { return };
    let is_told = |uuid: &mesos::Uuid| told.operations.iter().any(|known| known.uuid == *uuid);
    let asked: Vec<Asked> = state
        .operations
        .here(id)
        .filter(|entry| !is_told(&entry.wire.uuid))
        .map(|entry| Asked {
            operation_id: entry.wire.info.id.clone(),
            operation_uuid: Some(entry.wire.uuid.clone()),
            resource_provider_id: None,
        })
        .collect();
    if !asked.is_empty() {
        let message = ReconcileOperationsMessage { operations: asked, framework_id: None };
        fx.send(&slave.pid, &message);
    }
}

/// A slave is lost: nothing more is heard of its operations.
pub(crate) fn slave_lost(state: &mut State, id: &SlaveId, end: OperationState, fx: &mut Effects) {
    for entry in state.operations.take_slave(id) {
        let fate = end.as_str_name().trim_start_matches("OPERATION_").to_lowercase();
        if !operation_is_over(entry.state()) && operation_is_over(end) {
            super::accept::count(entry.wire.info.r#type().as_str_name(), &fate, fx);
        }
        let owner = entry.framework.as_ref().and_then(|owner| state.frameworks.get(owner));
        if let Some(framework) = owner.filter(|f| f.connected && entry.wire.info.id.is_some()) {
            let status = mesos::OperationStatus {
                operation_id: entry.wire.info.id.clone(),
                state: end.into(),
                slave_id: Some(id.wire()),
                ..Default::default()
            };
            tell(&framework.pid, status, fx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::Effect;
    use crate::operations::Conversion;
    use crate::state::OperationEntry;
    use crate::testing::*;

    /// A reservation in flight on `S`; its uuid.
    fn pending(state: &mut State) -> mesos::Uuid {
        let uuid = state.operations.new_uuid();
        let pending = OperationState::OperationPending.into();
        let wire = mesos::Operation {
            framework_id: Some(f().wire()),
            slave_id: Some(s().wire()),
            latest_status: mesos::OperationStatus { state: pending, ..Default::default() },
            uuid: uuid.clone(),
            ..Default::default()
        };
        let conversion = Conversion {
            consumed: resources("cpus:1"),
            converted: resources("cpus(web):1"),
            usable: true,
        };
        let slave = state.slaves.get_mut(&s()).unwrap();
        slave.total = slave.total.minus(&conversion.consumed).plus(&conversion.converted);
        let undo = Some(conversion);
        state.operations.add(OperationEntry { framework: Some(f()), slave: s(), wire, undo });
        uuid
    }

    fn told(of: mesos::Uuid, now: OperationState) -> UpdateOperationStatusMessage {
        let status = mesos::OperationStatus {
            state: now.into(),
            uuid: Some(mesos::Uuid { value: vec![9; 16].into() }),
            ..Default::default()
        };
        UpdateOperationStatusMessage { status, operation_uuid: Some(of), ..Default::default() }
    }

    #[test]
    fn operation_finished_is_acknowledged_by_the_master_and_forgotten() {
        let mut state = cluster();
        let uuid = pending(&mut state);
        let message = told(uuid.clone(), OperationState::OperationFinished);
        let fx = decide(&mut state, |state, fx| update(state, &home(), &message, fx));
        assert_eq!(fx.sent::<AcknowledgeOperationStatusMessage>()[0].1.operation_uuid, uuid);
        assert_eq!(state.operations.iter().count(), 0);
        assert_eq!(state.slaves.get(&s()).unwrap().total.reserved_to("web").cpus(), 1.0);
    }

    #[test]
    fn operation_failed_on_the_slave_is_undone_in_the_books() {
        for failed in [
            OperationState::OperationFailed,
            OperationState::OperationError,
            OperationState::OperationDropped,
        ] {
            let mut state = cluster();
            let uuid = pending(&mut state);
            let message = told(uuid, failed);
            let fx = decide(&mut state, |state, fx| update(state, &home(), &message, fx));
            let slave = state.slaves.get(&s()).unwrap();
            assert!(slave.total.reserved_to("web").is_empty());
            assert_eq!(slave.total.cpus(), 4.0);
            assert!(fx.0.contains(&Effect::Resync(s())));
        }
    }

    #[test]
    fn update_of_an_unknown_operation_is_acknowledged_by_the_master() {
        let mut state = cluster();
        let message = told(mesos::Uuid::default(), OperationState::OperationFinished);
        let fx = decide(&mut state, |state, fx| {
            update(state, &home(), &message, fx);
            update(state, &scheduler(), &message, fx);
        });
        assert_eq!(fx.sent::<AcknowledgeOperationStatusMessage>().len(), 1);
    }

    #[test]
    fn operation_that_the_slave_does_not_mention_is_asked_for() {
        let mut state = cluster();
        let uuid = pending(&mut state);
        let mut message = UpdateSlaveMessage::default();
        assert!(decide(&mut state, |state, fx| missing(state, &s(), &message, fx)).0.is_empty());
        message.operations = Some(Default::default());
        let fx = decide(&mut state, |state, fx| missing(state, &s(), &message, fx));
        let asked = &fx.sent::<ReconcileOperationsMessage>()[0].1.operations;
        assert_eq!(asked[0].operation_uuid, Some(uuid));
    }

    #[test]
    fn reconciliation_of_operations_tells_what_is_known_of_the_slave() {
        type Spoil = fn(&mut State);
        let cases: [(Spoil, OperationState); 3] = [
            (|_| {}, OperationState::OperationUnknown),
            (|state| drop(state.slaves.lose(&s(), NOW)), OperationState::OperationUnreachable),
            (
                |state| drop(state.slaves.mark_gone(&s(), NOW)),
                OperationState::OperationGoneByOperator,
            ),
        ];
        for (spoil, expected) in cases {
            let mut state = cluster();
            spoil(&mut state);
            let query = scheduler::call::reconcile_operations::Operation {
                operation_id: mesos::OperationId { value: "o".into() },
                slave_id: Some(s().wire()),
                ..Default::default()
            };
            let fx = decide(&mut state, |state, fx| reconcile(state, &f(), &[query], fx));
            let event = fx.sent::<Event>().remove(0).1;
            assert_eq!(event.update_operation_status.unwrap().status.state(), expected);
        }
    }
}
