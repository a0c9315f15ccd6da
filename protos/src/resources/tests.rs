use super::*;
use proptest::prelude::*;

fn r(text: &str) -> Resources {
    text.parse().unwrap()
}

#[test]
fn resources_text_round_trips() {
    for text in [
        "cpus:4;mem:8192;ports:[31000-32000];gpgpus:{g1,g2}",
        "cpus:0.5",
        "cpus(web):2;mem(web):512",
        "",
    ] {
        assert_eq!(r(text).to_string(), text);
    }
}

#[test]
fn resources_malformed_texts_are_refused() {
    for bad in [
        "cpus",
        "cpus:",
        ":4",
        "cpus:-1",
        "cpus:nan",
        "cpus:inf",
        "cpus:4x",
        "ports:[5-1]",
        "ports:[1",
        "set:{a",
        "cpus():1",
        "cpus(a:1",
        "[{\"name\":\"cpus\"}]",
        "[nonsense",
    ] {
        assert!(bad.parse::<Resources>().is_err(), "{bad}");
    }
}

#[test]
fn resources_ranges_are_joined_and_cut() {
    let ports = r("ports:[1-3,4-6,10-12]");
    assert_eq!(ports.to_string(), "ports:[1-6,10-12]");
    assert_eq!(ports.minus(&r("ports:[3-4,12-12]")).to_string(), "ports:[1-2,5-6,10-11]");
    assert!(ports.contains(&r("ports:[2-5]")) && !ports.contains(&r("ports:[6-10]")));
}

#[test]
fn resources_fixed_point_does_not_drift() {
    let tenth = r("cpus:0.1");
    let sum: Resources = std::iter::repeat_n(tenth, 10).sum();
    assert_eq!(sum.cpus(), 1.0);
    assert!(sum.minus(&r("cpus:1")).is_empty());
}

#[test]
fn resources_of_different_roles_stay_apart() {
    let mixed = r("cpus:1;cpus(web):2");
    assert_eq!(mixed.cpus(), 3.0);
    assert!(mixed.checked_sub(&r("cpus:2")).is_none());
    assert_eq!(mixed.reserved_to("web").to_string(), "cpus(web):2");
    assert_eq!(mixed.unreserved().to_string(), "cpus:1");
    assert_eq!(mixed.find(&r("cpus:2.5")).unwrap(), r("cpus(web):2;cpus:0.5"));
    assert!(mixed.find(&r("cpus:3.5")).is_none());
}

#[test]
fn resources_plain_disk_is_not_found_in_a_volume() {
    let mut wire = r("disk:100").to_wire();
    wire[0].disk = Some(Box::new(mesos::resource::DiskInfo {
        persistence: Some(mesos::resource::disk_info::Persistence {
            id: "volume".into(),
            principal: None,
        }),
        ..Default::default()
    }));
    let volume = Resources::from_wire(&wire).unwrap();
    assert_eq!(volume.find(&r("disk:50")), None);
    assert_eq!(volume.plus(&r("disk:60")).find(&r("disk:50")), Some(r("disk:50")));
}

#[test]
fn resources_of_a_parent_role_are_available_to_its_children() {
    let parent = r("cpus(eng):2;cpus(ops):1");
    assert_eq!(parent.available_to("eng/backend").cpus(), 2.0);
    assert_eq!(parent.available_to("engine").cpus(), 0.0);
}

#[test]
fn resources_wire_form_keeps_the_old_fields() {
    let wire = r("cpus(web):2").to_wire();
    assert_eq!(wire[0].role.as_deref(), Some("web"));
    assert!(wire[0].reservations.is_empty());
    assert_eq!(Resources::from_wire(&wire).unwrap(), r("cpus(web):2"));
}

#[test]
fn resources_allocation_tells_equal_amounts_apart() {
    let allocated = r("cpus:1").allocated_to("a").plus(&r("cpus:2").allocated_to("b"));
    let parts: Vec<_> =
        allocated.allocations().into_iter().map(|(role, r)| (role, r.cpus())).collect();
    assert_eq!(parts, [("a".to_owned(), 1.0), ("b".to_owned(), 2.0)]);
    assert_eq!(allocated.unallocated(), r("cpus:3"));
}

#[test]
fn resources_json_object_has_the_four_scalars() {
    let object = Value(r("cpus:1;ports:[1-2,4-5]").to_object());
    let expected = r#"{"cpus":1.0,"gpus":0.0,"mem":0.0,"disk":0.0,"ports":"[1-2, 4-5]"}"#;
    assert_eq!(object.to_string(), expected);
}

struct Value(serde_json::Map<String, serde_json::Value>);

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", serde_json::Value::Object(self.0.clone()))
    }
}

fn any_resources() -> impl Strategy<Value = Resources> {
    let scalar =
        (0..5000_i64, prop_oneof![Just("*"), Just("a"), Just("b")]).prop_map(|(n, role)| {
            Resources::parse(&format!("cpus:{}", n as f64 / 1000.0), role).unwrap()
        });
    let range =
        (0..50_u64, 0..20_u64).prop_map(|(from, len)| r(&format!("ports:[{from}-{}]", from + len)));
    prop::collection::vec(prop_oneof![scalar, range], 0..6)
        .prop_map(|parts| parts.into_iter().sum())
}

proptest! {
    #[test]
    fn resources_what_is_added_can_be_taken_away(a in any_resources(), b in any_resources()) {
        // Ranges of both may overlap, so only what was new is taken away.
        let new = b.minus(&a);
        let sum = a.plus(&new);
        prop_assert!(sum.contains(&a) && sum.contains(&new));
        let back = Resources::from_wire(&sum.to_wire()).unwrap();
        prop_assert_eq!(&back, &sum);
        let printed: Resources = sum.to_string().parse().unwrap();
        prop_assert_eq!(printed, sum);
    }
}

/// A persistent volume of `mb` MB reserved to `web`.
fn volume(id: &str, mb: f64, shared: bool) -> mesos::Resource {
    let mut disk = r("disk(web):1").to_wire().remove(0);
    disk.scalar = Some(mesos::value::Scalar { value: mb });
    disk.disk = Some(Box::new(mesos::resource::DiskInfo {
        persistence: Some(mesos::resource::disk_info::Persistence {
            id: id.into(),
            ..Default::default()
        }),
        ..Default::default()
    }));
    disk.shared = shared.then(mesos::resource::SharedInfo::default);
    disk
}

#[test]
fn volumes_are_taken_whole_and_never_become_one_larger_volume() {
    let wire = [volume("a", 64.0, false), volume("b", 64.0, false), volume("b", 32.0, false)];
    let volumes = Resources::from_wire(&wire).unwrap();
    assert_eq!((volumes.to_wire().len(), volumes.disk()), (3, 160.0));
    let part = Resources::from_wire(&[volume("a", 32.0, false)]).unwrap();
    assert!(!volumes.contains(&part));
    assert_eq!(volumes.minus(&part).disk(), 160.0);
    let whole = Resources::from_wire(&[volume("a", 64.0, false)]).unwrap();
    assert_eq!(volumes.checked_sub(&whole).unwrap().disk(), 96.0);
}

#[test]
fn shared_volumes_are_counted_for_each_holder_and_measured_once() {
    let one = Resources::from_wire(&[volume("a", 64.0, true)]).unwrap();
    let two = one.plus(&one);
    assert_eq!((two.to_wire().len(), two.disk()), (2, 64.0));
    assert!(two.contains(&one) && !one.contains(&two));
    assert_eq!(two.minus(&one), one);
    assert_eq!(two.once_each(), one);
    assert_eq!(two.to_object()["disk"], 64.0);
    assert_eq!(Resources::from_wire(&two.to_wire()).unwrap(), two);
}

#[test]
fn reservations_are_put_on_and_taken_off_one_at_a_time() {
    let dynamic = |role: &str| mesos::resource::ReservationInfo {
        r#type: Some(mesos::resource::reservation_info::Type::Dynamic.into()),
        role: Some(role.into()),
        principal: Some("p".into()),
        labels: None,
    };
    let plain = r("cpus:1");
    let once = plain.push_reservation(&dynamic("eng"));
    let refined = once.push_reservation(&dynamic("eng/web"));
    assert!(refined.has_refined() && !once.has_refined());
    assert_eq!(refined.pop_reservation(), once);
    assert_eq!(once.pop_reservation(), plain);
    assert_eq!(once.plus(&r("cpus(static):1")).checkpointed(), once);
    for resources in [&plain, &once, &refined, &r("cpus(static):1")] {
        assert_eq!(Resources::from_wire(&resources.to_endpoint()).unwrap(), *resources);
        assert_eq!(Resources::from_wire(&resources.to_refined()).unwrap(), *resources);
    }
    let mut both = once.to_endpoint();
    assert_eq!(both[0].role(), "eng");
    both[0].role = Some("other".into());
    assert!(Resources::from_wire(&both).is_err());
}

#[test]
fn what_a_host_remembers_takes_the_place_of_what_it_was_made_of() {
    let base = r("cpus:4;disk:100;disk(web):64");
    let static_volume = Resources::from_wire(&[volume("a", 64.0, false)]).unwrap();
    let dynamic = mesos::resource::ReservationInfo {
        r#type: Some(mesos::resource::reservation_info::Type::Dynamic.into()),
        role: Some("eng".into()),
        ..Default::default()
    };
    let kept = static_volume.plus(&r("cpus:1").push_reservation(&dynamic));
    let total = base.with_checkpointed(&kept).unwrap();
    assert_eq!((total.cpus(), total.disk()), (4.0, 164.0));
    assert_eq!(total.checkpointed(), kept);
    assert_eq!(r("cpus:1").with_checkpointed(&kept), None);
}
