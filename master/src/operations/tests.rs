use super::*;
use crate::testing::*;
use protos::mesos::offer::operation;
use protos::mesos::resource::ReservationInfo;

pub(crate) fn reserved(text: &str) -> Vec<mesos::Resource> {
    let info = ReservationInfo {
        r#type: Some(ReservationType::Dynamic.into()),
        role: Some("web".into()),
        ..Default::default()
    };
    resources(text).push_reservation(&info).to_wire()
}

pub(crate) fn volume(id: &str, mb: f64) -> mesos::Resource {
    use protos::mesos::resource::{DiskInfo, disk_info::Persistence};
    let mut disk = reserved("disk:1").remove(0);
    disk.scalar = Some(mesos::value::Scalar { value: mb });
    disk.disk = Some(Box::new(DiskInfo {
        persistence: Some(Persistence { id: id.into(), principal: None }),
        volume: Some(mesos::Volume {
            container_path: "data".into(),
            mode: mesos::volume::Mode::Rw.into(),
            ..Default::default()
        }),
        source: None,
    }));
    disk
}

/// Runs an operation by an operator on a slave with 4 cpus, 100 MB of plain reserved disk, and the
/// volume `old` of 50 MB, which is in use when `used` is true.
fn run(operation: Operation, used: bool) -> Result<Conversion, String> {
    let mut info = slave_info();
    info.resources = resources("cpus:4").to_wire();
    info.resources.extend(reserved("disk:100"));
    info.resources.push(volume("old", 50.0));
    let mut slave = Slave::new(s(), info, home(), NOW);
    slave.capabilities = [SlaveCapability::ResizeVolume, SlaveCapability::HierarchicalRole]
        .map(|of| mesos::slave_info::Capability { r#type: Some(of.into()) })
        .into();
    let held = Resources::from_wire(&[volume("old", 50.0)]).unwrap();
    let used = if used { held } else { Resources::new() };
    let (framework, role, principal) = (None, None, Some("ops"));
    let at = At { slave: &slave, framework, role, principal, used: &used };
    let conversion = convert(&operation, &at).map_err(|error| error.to_string())?;
    apply(&slave.total, &conversion).map_err(|error| error.to_string())?;
    Ok(conversion)
}

fn of(kind: Type) -> Operation {
    Operation { r#type: Some(kind.into()), ..Default::default() }
}

fn reserve(resources: Vec<mesos::Resource>) -> Operation {
    Operation {
        reserve: Some(operation::Reserve { resources, source: vec![] }),
        ..of(Type::Reserve)
    }
}

fn unreserve(resources: Vec<mesos::Resource>) -> Operation {
    Operation { unreserve: Some(operation::Unreserve { resources }), ..of(Type::Unreserve) }
}

fn create(volumes: Vec<mesos::Resource>) -> Operation {
    Operation { create: Some(operation::Create { volumes }), ..of(Type::Create) }
}

fn destroy(volumes: Vec<mesos::Resource>) -> Operation {
    Operation { destroy: Some(operation::Destroy { volumes }), ..of(Type::Destroy) }
}

fn grow(volume: mesos::Resource, addition: mesos::Resource) -> Operation {
    Operation {
        grow_volume: Some(operation::GrowVolume { volume, addition }),
        ..of(Type::GrowVolume)
    }
}

fn shrink(volume: mesos::Resource, by: f64) -> Operation {
    let subtract = mesos::value::Scalar { value: by };
    Operation {
        shrink_volume: Some(operation::ShrinkVolume { volume, subtract }),
        ..of(Type::ShrinkVolume)
    }
}

#[test]
fn operations_valid_turn_what_is_there_into_as_much_of_another_kind() {
    let cases = [
        (reserve(reserved("cpus:1")), "cpus:1", "cpus(web):1"),
        (unreserve(reserved("disk:10")), "disk(web):10", "disk:10"),
        (create(vec![volume("new", 10.0)]), "disk(web):10", "disk(web):10"),
        (destroy(vec![volume("old", 50.0)]), "disk(web):50", "disk(web):50"),
        (
            grow(volume("old", 50.0), reserved("disk:10").remove(0)),
            "disk(web):50;disk(web):10",
            "disk(web):60",
        ),
        (shrink(volume("old", 50.0), 20.0), "disk(web):50", "disk(web):30;disk(web):20"),
    ];
    for (operation, consumed, converted) in cases {
        let made = run(operation.clone(), false).unwrap();
        let told = (made.consumed.to_string(), made.converted.to_string());
        assert_eq!(told, (consumed.to_owned(), converted.to_owned()), "{operation:?}");
        assert_eq!(made.consumed.disk(), made.converted.disk());
    }
}

#[test]
fn operations_invalid_are_refused_with_their_reason() {
    let foreign = |mut resources: Vec<mesos::Resource>| {
        resources[0].reservation.as_mut().unwrap().principal = Some("other".into());
        resources
    };
    let bad_path = || {
        let mut bad = volume("new", 10.0);
        bad.disk.as_mut().unwrap().volume = None;
        bad
    };
    let cases: Vec<(Operation, &str)> = vec![
        (of(Type::Reserve), "empty"),
        (of(Type::CreateDisk), "not supported"),
        (reserve(vec![]), "empty"),
        (reserve(resources("cpus:1").to_wire()), "not dynamically reserved"),
        (reserve(foreign(reserved("cpus:1"))), "principal"),
        (reserve(reserved("cpus:9")), "there are"),
        (reserve(vec![volume("old", 50.0)]), "is a persistent volume"),
        (unreserve(resources("cpus:1").to_wire()), "not dynamically reserved"),
        (unreserve(vec![volume("old", 50.0)]), "is a persistent volume"),
        (create(reserved("disk:10")), "not a persistent volume"),
        (create(vec![volume("a/b", 10.0)]), "slash"),
        (create(vec![volume("old", 10.0)]), "exists already"),
        (create(vec![volume("new", 10.0), volume("new", 10.0)]), "exists already"),
        (create(vec![volume("new", 10.0), volume("new", 20.0)]), "exists already"),
        (create(vec![volume("new", 101.0)]), "there are"),
        (create(vec![bad_path()]), "container path"),
        (destroy(vec![volume("new", 10.0)]), "does not exist"),
        (grow(volume("old", 50.0), resources("disk:10").to_wire().remove(0)), "differs"),
        (grow(volume("new", 50.0), reserved("disk:10").remove(0)), "does not exist"),
        (grow(volume("old", 50.0), reserved("disk:101").remove(0)), "there are"),
        (shrink(volume("old", 50.0), 50.0), "above zero"),
        (shrink(volume("old", 50.0), 0.0), "above zero"),
        (shrink(volume("old", 50.0), f64::NAN), "above zero"),
    ];
    for (operation, expected) in cases {
        let error = run(operation.clone(), false).unwrap_err();
        assert!(error.contains(expected), "{error} lacks {expected}: {operation:?}");
    }
    assert!(run(destroy(vec![volume("old", 50.0)]), true).unwrap_err().contains("in use"));
}

#[test]
fn operators_may_name_what_is_reserved_again_in_another_way() {
    let mut operation = reserve(reserved("disk:10"));
    operation.reserve.as_mut().unwrap().source = reserved("disk:10");
    assert!(run(operation.clone(), false).is_ok());
    operation.reserve.as_mut().unwrap().source = reserved("disk:20");
    assert!(run(operation, false).unwrap_err().contains("more than reservations"));
}
