//! RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME and SHRINK_VOLUME in an ACCEPT. The master changes
//! its books at once; a slave that cannot follow says so, and they are corrected.

use protos::ids::{FrameworkId, OfferId, SlaveId};
use protos::mesos;
use protos::mesos::OperationState;
use protos::mesos::internal::{
    ApplyOperationMessage, CheckpointResourcesMessage, FrameworkErrorMessage, ResourceVersionUuid,
};
use protos::mesos::offer::{Operation, operation::Type};
use protos::mesos::slave_info::capability::Type as SlaveCapability;
use protos::resources::Resources;

use super::Consumed;
use crate::calls::offers::rescind;
use crate::effects::{AllocatorCall, Effects};
use crate::operations::{At, Conversion, apply, convert};
use crate::security::may_operate;
use crate::state::{OperationEntry, State};

pub(super) fn operate(
    state: &mut State,
    framework_id: &FrameworkId,
    operation: &Operation,
    consumed: &mut Consumed,
    fx: &mut Effects,
) {
    let kind = operation.r#type().as_str_name();
    if operation.id.is_some() {
        let why = "operation ids are for frameworks of the HTTP API";
        return refuse(state, framework_id, kind, why, true, fx);
    }
    let owner = state.frameworks.get(framework_id);
    let principal = owner.and_then(|framework| framework.info.principal.as_deref());
    if !may_operate(state.config.acls.as_ref(), principal, operation) {
        return refuse(state, framework_id, kind, "Not authorized", false, fx);
    }
    if operation.r#type() == Type::Destroy {
        let volumes = operation.destroy.iter().flat_map(|destroy| &destroy.volumes);
        let shared: Vec<_> = volumes.filter(|volume| volume.shared.is_some()).cloned().collect();
        // A volume that is not valid is refused below.
        let shared = Resources::from_wire(&shared).unwrap_or_default();
        rescind_holding(state, &consumed.slave, &shared, fx);
    }
    let used = state.used_on(&consumed.slave).once_each();
    let Some(framework) = state.frameworks.get(framework_id) else { return };
    let Some(slave) = state.slaves.get(&consumed.slave) else { return };
    let at = At {
        slave,
        framework: Some(framework),
        role: Some(&consumed.role),
        principal: framework.info.principal.as_deref(),
        used: &used,
    };
    let converted = convert(operation, &at)
        .and_then(|conversion| Ok((apply(&consumed.rest, &conversion)?, conversion)));
    match converted {
        Err(error) => refuse(state, framework_id, kind, &error.to_string(), false, fx),
        Ok((rest, conversion)) => {
            let made = if conversion.usable { &mut consumed.rest } else { &mut consumed.later };
            let after = made.plus(&conversion.converted);
            if conversion.usable {
                consumed.rest = rest.plus(&conversion.converted);
            } else {
                (consumed.rest, consumed.later) = (rest, after);
            }
            let by = Some((framework_id, consumed.role.as_str()));
            apply_to_slave(state, &consumed.slave, by, operation, &conversion, fx);
        }
    }
}

fn refuse(
    state: &State,
    id: &FrameworkId,
    kind: &'static str,
    why: &str,
    tell: bool,
    fx: &mut Effects,
) {
    fx.refuse(format!("{kind} by framework {id}: {why}"));
    count(kind, "dropped", fx);
    if let Some(framework) = state.frameworks.get(id).filter(|_| tell) {
        fx.send(&framework.pid, &FrameworkErrorMessage { message: format!("{kind}: {why}") });
    }
}

/// Counts an operation's fate under its kind and under all.
pub(crate) fn count(kind: &str, fate: &str, fx: &mut Effects) {
    fx.count(format!("master/operations/{}/{fate}", kind.to_lowercase()));
    fx.count(format!("master/operations/{fate}"));
}

/// Takes all offers back that hold some of `resources`.
pub(crate) fn rescind_holding(
    state: &mut State,
    slave: &SlaveId,
    resources: &Resources,
    fx: &mut Effects,
) {
    let wanted = resources.unallocated();
    for id in state.offers.of_slave(slave) {
        let holds = state.offers.get(&id).is_some_and(|offer: &crate::state::Offer| {
            let offered = offer.resources.unallocated();
            offered.minus(&wanted) != offered
        });
        if holds {
            let id: OfferId = id;
            rescind(state, &id, true, fx);
        }
    }
}

/// Changes the slave's total, and has the slave and the allocator follow. `by` is the framework and
/// the role of its offers; None for an operator.
pub(crate) fn apply_to_slave(
    state: &mut State,
    id: &SlaveId,
    by: Option<(&FrameworkId, &str)>,
    operation: &Operation,
    conversion: &Conversion,
    fx: &mut Effects,
) {
    let kind = operation.r#type().as_str_name();
    let (before, after) = (&conversion.consumed, &conversion.converted);
    let Some(slave) = state.slaves.get_mut(id) else { return };
    slave.total = slave.total.minus(&before.unallocated()).plus(&after.unallocated());
    slave.restarted = true;
    let total = slave.total.clone();
    let framework = by.map(|(framework, _)| framework.clone());
    fx.note(format!("{kind} on slave {id}: {before} becomes {after}"));
    fx.allocator(AllocatorCall::Convert {
        framework: framework.clone(),
        slave: id.clone(),
        total: total.clone(),
        before: before.clone(),
        after: after.clone(),
    });
    count(kind, "total", fx);
    if !slave.has(SlaveCapability::ResourceProvider) {
        let resources = total.checkpointed().to_wire();
        fx.send(&slave.pid, &CheckpointResourcesMessage { resources });
        return count(kind, "finished", fx);
    }
    let operation_info = normalized(operation, by.map(|(_, role)| role));
    let (operation_uuid, framework_id) = (state.operations.new_uuid(), by.map(|(f, _)| f.wire()));
    let version = slave.resource_version.clone().unwrap_or_default();
    let resource_version_uuid = ResourceVersionUuid { resource_provider_id: None, uuid: version };
    let message = ApplyOperationMessage {
        framework_id: framework_id.clone(),
        operation_info: operation_info.clone(),
        operation_uuid: operation_uuid.clone(),
        resource_version_uuid,
    };
    fx.send(&slave.pid, &message);
    let state_now = OperationState::OperationPending.into();
    let latest_status = mesos::OperationStatus { state: state_now, ..Default::default() };
    let wire = mesos::Operation {
        framework_id,
        slave_id: Some(id.wire()),
        info: operation_info,
        latest_status,
        statuses: Vec::new(),
        uuid: operation_uuid,
    };
    let undo = Some(conversion.clone());
    state.operations.add(OperationEntry { framework, slave: id.clone(), wire, undo });
}

/// The operation with its resources allocated to the role, as slaves expect it.
fn normalized(operation: &Operation, role: Option<&str>) -> Operation {
    let mut operation = operation.clone();
    let info = role.map(|role| mesos::resource::AllocationInfo { role: Some(role.to_owned()) });
    let allocate = |resource: &mut mesos::Resource| resource.allocation_info = info.clone();
    if let Some(reserve) = &mut operation.reserve {
        reserve.resources.iter_mut().chain(&mut reserve.source).for_each(allocate);
    }
    if let Some(unreserve) = &mut operation.unreserve {
        unreserve.resources.iter_mut().for_each(allocate);
    }
    if let Some(create) = &mut operation.create {
        create.volumes.iter_mut().for_each(allocate);
    }
    if let Some(destroy) = &mut operation.destroy {
        destroy.volumes.iter_mut().for_each(allocate);
    }
    if let Some(grow) = &mut operation.grow_volume {
        allocate(&mut grow.volume);
        allocate(&mut grow.addition);
    }
    if let Some(shrink) = &mut operation.shrink_volume {
        allocate(&mut shrink.volume);
    }
    operation
}
