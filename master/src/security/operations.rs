//! Who may operate on resources.

use protos::mesos::offer::{Operation, operation::Type};
use protos::mesos::{self, AcLs};
use protos::resources::{Resources, reservation_role};

use super::{Action, allowed};

/// May a principal carry that operation out? What is not valid is judged elsewhere.
pub(crate) fn may_operate(
    acls: Option<&AcLs>,
    principal: Option<&str>,
    operation: &Operation,
) -> bool {
    let ask = |action, object: Option<&str>| allowed(acls, action, principal, object);
    let all = |resources: &[mesos::Resource], ask: &dyn Fn(&mesos::Resource) -> bool| {
        let stacked = Resources::from_wire(resources).unwrap_or_default();
        stacked.kinds().all(ask)
    };
    let by_role = |action| move |r: &mesos::Resource| ask(action, reservation_role(r));
    let by_reserver = |r: &mesos::Resource| {
        let reserver = r.reservations.last().and_then(|last| last.principal.as_deref());
        ask(Action::UnreserveResources, reserver)
    };
    let by_creator = |r: &mesos::Resource| {
        let persistence = r.disk.as_ref().and_then(|disk| disk.persistence.as_ref());
        ask(Action::DestroyVolume, persistence.and_then(|p| p.principal.as_deref()))
    };
    match operation.r#type() {
        Type::Reserve => operation.reserve.as_ref().is_none_or(|reserve| {
            all(&reserve.resources, &by_role(Action::ReserveResources))
                && (reserve.source.is_empty()
                    || all(&reserve.source, &|r| r.reservations.is_empty() || by_reserver(r)))
        }),
        Type::Unreserve => {
            operation.unreserve.as_ref().is_none_or(|u| all(&u.resources, &by_reserver))
        }
        Type::Create => operation
            .create
            .as_ref()
            .is_none_or(|create| all(&create.volumes, &by_role(Action::CreateVolume))),
        Type::Destroy => operation.destroy.as_ref().is_none_or(|d| all(&d.volumes, &by_creator)),
        Type::GrowVolume => operation.grow_volume.as_ref().is_none_or(|grow| {
            all(std::slice::from_ref(&grow.volume), &by_role(Action::ResizeVolume))
        }),
        Type::ShrinkVolume => operation.shrink_volume.as_ref().is_none_or(|shrink| {
            all(std::slice::from_ref(&shrink.volume), &by_role(Action::ResizeVolume))
        }),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::mesos::offer::operation;
    use protos::mesos::resource::{ReservationInfo, reservation_info::Type as Kind};
    use serde_json::json;

    #[test]
    fn operations_are_judged_by_role_or_by_who_did_what_is_undone() {
        let acls: AcLs = protos::json::from_json(&json!({
            "permissive": false,
            "reserve_resources": [{"principals": {"values": ["p"]}, "roles": {"values": ["web"]}}],
            "unreserve_resources": [
                {"principals": {"values": ["q"]}, "reserver_principals": {"values": ["p"]}}
            ],
        }))
        .unwrap();
        let info = ReservationInfo {
            r#type: Some(Kind::Dynamic.into()),
            role: Some("web".into()),
            principal: Some("p".into()),
            labels: None,
        };
        let plain: Resources = "cpus:1".parse().unwrap();
        let resources = plain.push_reservation(&info).to_wire();
        let reserve = Operation {
            r#type: Some(Type::Reserve.into()),
            reserve: Some(operation::Reserve { resources: resources.clone(), source: vec![] }),
            ..Default::default()
        };
        let unreserve = Operation {
            r#type: Some(Type::Unreserve.into()),
            unreserve: Some(operation::Unreserve { resources }),
            ..Default::default()
        };
        let ask = |principal, operation| may_operate(Some(&acls), principal, operation);
        assert!(ask(Some("p"), &reserve) && !ask(Some("q"), &reserve) && !ask(None, &reserve));
        assert!(ask(Some("q"), &unreserve) && !ask(Some("p"), &unreserve));
        assert!(may_operate(None, None, &unreserve));
    }
}
