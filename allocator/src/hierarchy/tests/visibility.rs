use protos::mesos::resource::{RevocableInfo, SharedInfo};

use super::*;
use crate::{Domain, Minimum};

fn plain(role: &str) -> FrameworkSpec {
    spec(role)
}

fn given(world: &mut World, framework: &str) -> String {
    let given = world.hierarchy.allocate_all(at(0)).remove(&framework.into()).unwrap_or_default();
    let parts = given.into_values().flat_map(BTreeMap::into_values);
    parts.map(|part| part.unallocated()).sum::<Resources>().to_string()
}

fn revocable(text: &str) -> Resources {
    let wire: Vec<_> = r(text)
        .to_wire()
        .into_iter()
        .map(|resource| protos::mesos::Resource { revocable: Some(RevocableInfo {}), ..resource })
        .collect();
    Resources::from_wire(&wire).unwrap()
}

#[test]
fn visibility_revocable_resources_are_for_those_who_take_them() {
    let total = r("cpus:1;mem:64").plus(&revocable("cpus:3"));
    for (takes, cpus) in [(false, 1.0), (true, 4.0)] {
        let spec = FrameworkSpec { revocable: takes, ..plain("a") };
        let mut world = World::new().framework_of("f1", spec);
        world.hierarchy.add_slave(
            "s1".into(),
            SlaveSpec::default(),
            total.clone(),
            BTreeMap::new(),
        );
        assert_eq!(world.run(at(0)), [offer("f1", "s1", cpus)]);
        let left = if takes { "offered" } else { "not_for_role" };
        world.run(at(1));
        assert_eq!(world.why("f1", "s1")[0], if takes { "nothing_left" } else { left });
    }
}

#[test]
fn visibility_gpus_hide_a_slave_from_those_who_do_not_know_them() {
    let knows = FrameworkSpec { gpus: true, ..plain("a") };
    let build = |filter_gpus| {
        let config = Config { filter_gpus, ..Config::default() };
        World::with(config).framework_of("f1", plain("a")).slave("s1", "cpus:1;mem:64;gpus:1")
    };
    let mut world = build(true);
    assert_eq!((world.run(at(0)).len(), world.why("f1", "s1")), (0, vec!["capability"]));
    assert_eq!(world.framework_of("f2", knows).run(at(0)), [offer("f2", "s1", 1.0)]);
    assert_eq!(build(false).run(at(0)).len(), 1);
}

#[test]
fn visibility_slaves_in_other_regions_are_for_the_region_aware() {
    let domain = |region: &str| Some(Domain { region: region.into(), zone: "z".into() });
    let far = SlaveSpec { domain: domain("us"), ..SlaveSpec::default() };
    let near = SlaveSpec { domain: domain("eu"), ..SlaveSpec::default() };
    let config = Config { domain: domain("eu"), ..Config::default() };
    let mut world = World::with(config)
        .framework_of("f1", plain("a"))
        .slave_of("far", far.clone(), "cpus:1;mem:64")
        .slave_of("near", near, "cpus:2;mem:64")
        .slave("nowhere", "cpus:3;mem:64");
    assert_eq!(world.run(at(0)), [offer("f1", "near", 2.0), offer("f1", "nowhere", 3.0)]);
    assert_eq!(world.why("f1", "far"), ["capability"]);
    let aware = FrameworkSpec { region_aware: true, ..plain("b") };
    assert_eq!(world.framework_of("f2", aware).run(at(1)), [offer("f2", "far", 1.0)]);
    // A master without domain takes all regions for its own.
    let mut world = World::new().framework_of("f1", plain("a"));
    world = world.slave_of("far", far, "cpus:1;mem:64");
    assert_eq!(world.run(at(0)).len(), 1);
}

#[test]
fn visibility_old_slaves_are_for_old_frameworks_and_flat_roles() {
    let old = SlaveSpec { multi_role: false, hierarchical_roles: false, ..SlaveSpec::default() };
    for (role, multi_role, sees) in [("a", false, true), ("a", true, false), ("a/b", false, false)]
    {
        let spec = FrameworkSpec { multi_role, ..plain(role) };
        let mut world = World::new().framework_of("f1", spec);
        world = world.slave_of("s1", old.clone(), "cpus:1;mem:64");
        assert_eq!(world.run(at(0)).len(), usize::from(sees), "{role} {multi_role}");
        assert!(sees || world.why("f1", "s1") == ["capability"]);
        world.hierarchy.update_slave_spec(&"s1".into(), SlaveSpec::default());
        assert_eq!(world.run(at(1)).len(), usize::from(!sees), "{role} {multi_role}");
    }
}

#[test]
fn visibility_reservations_are_inherited_and_refined_ones_need_a_capability() {
    let total = r("cpus(a):1;mem(a):64;cpus(a/b):2;mem(a/b):64;cpus(c):4");
    let stacked = protos::mesos::resource::ReservationInfo {
        r#type: Some(protos::mesos::resource::reservation_info::Type::Dynamic.into()),
        role: Some("a/b".to_owned()),
        ..Default::default()
    };
    let total = total.plus(&r("cpus(a):8").push_reservation(&stacked));
    for (role, refined, cpus) in [
        ("a", true, 1.0),
        ("a/b", false, 3.0),
        ("a/b", true, 11.0),
        ("a/b/c", true, 11.0),
        ("c", false, 4.0),
    ] {
        let spec = FrameworkSpec { refined, ..plain(role) };
        let mut world = World::new().framework_of("f1", spec);
        world.hierarchy.add_slave(
            "s1".into(),
            SlaveSpec::default(),
            total.clone(),
            BTreeMap::new(),
        );
        assert_eq!(world.run(at(0)), [offer("f1", "s1", cpus)], "{role} {refined}");
    }
}

#[test]
fn visibility_shared_volume_goes_to_one_framework_in_a_cycle_and_to_others_later() {
    let volume = protos::mesos::Resource {
        shared: Some(SharedInfo {}),
        disk: Some(Box::new(protos::mesos::resource::DiskInfo {
            persistence: Some(protos::mesos::resource::disk_info::Persistence {
                id: "v".to_owned(),
                principal: None,
            }),
            ..Default::default()
        })),
        ..r("disk(a):10").to_wire().remove(0)
    };
    let volume = Resources::from_wire(&[volume]).unwrap();
    let total = r("cpus:1;mem:64;cpus(b):1;mem(b):64").plus(&volume);
    let shares = FrameworkSpec { shared: true, ..plain("a") };
    let mut world = World::new().framework_of("f1", shares.clone()).framework_of("f2", shares);
    world.hierarchy.add_slave("s1".into(), SlaveSpec::default(), total, BTreeMap::new());
    assert_eq!(given(&mut world, "f1"), "cpus:1;mem:64;disk(a):10");
    // Without anything else, a volume alone is no offer.
    assert_eq!(world.run(at(1)), []);
    world.give_back("f1", "s1", "a", "cpus:1;mem:64");
    assert_eq!(given(&mut world, "f2"), "cpus:1;mem:64;disk(a):10");
    let (_, held, _) = world.hierarchy.slave(&"s1".into()).unwrap();
    assert_eq!(held.once_each().disk(), 10.0);
}

#[test]
fn visibility_minimum_of_a_framework_replaces_the_common_one() {
    let wants = |minimum: &str| FrameworkSpec {
        minimum: BTreeMap::from([("a".to_owned(), minimum.parse::<Minimum>().unwrap())]),
        ..plain("a")
    };
    let mut world = World::new().framework_of("f1", wants("cpus:2;mem:64"));
    world = world.slave("s1", "cpus:1;mem:512").slave("s2", "cpus:2;mem:64");
    assert_eq!(world.run(at(0)), [offer("f1", "s2", 2.0)]);
    assert_eq!(world.why("f1", "s1"), ["too_little"]);
    let mut world = World::new().framework_of("f1", wants("")).slave("s1", "disk:1");
    assert_eq!(world.run(at(0)).len(), 1);
}

#[test]
fn visibility_constraints_follow_slaves_and_frameworks_as_they_change() {
    use protos::mesos::scheduler as wire;
    let exists = wire::AttributeConstraint {
        selector: wire::attribute_constraint::Selector {
            selector: Some(wire::attribute_constraint::selector::Selector::AttributeName(
                "ssd".to_owned(),
            )),
        },
        predicate: wire::attribute_constraint::Predicate {
            predicate: Some(wire::attribute_constraint::predicate::Predicate::Exists(
                wire::attribute_constraint::predicate::Exists {},
            )),
        },
    };
    let group =
        wire::offer_constraints::role_constraints::Group { attribute_constraints: vec![exists] };
    let of_role = wire::offer_constraints::RoleConstraints { groups: vec![group] };
    let wire = wire::OfferConstraints { role_constraints: [("a".to_owned(), of_role)].into() };
    let constraints = crate::OfferConstraints::new(&wire).unwrap();
    let with_ssd = SlaveSpec {
        attributes: protos::attributes::parse("ssd:yes").unwrap(),
        ..SlaveSpec::default()
    };
    let picky = FrameworkSpec { constraints, ..plain("a") };
    let mut world = World::new().framework_of("f1", picky).slave("s1", "cpus:1;mem:64");
    world = world.slave_of("s2", with_ssd.clone(), "cpus:2;mem:64");
    assert_eq!(world.run(at(0)), [offer("f1", "s2", 2.0)]);
    assert_eq!(world.why("f1", "s1"), ["constraint"]);
    let (_, excluded) = &world.hierarchy.constraints()[&"f1".into()];
    assert_eq!(excluded["a"], ["s1".into()]);
    world.hierarchy.update_slave_spec(&"s1".into(), with_ssd);
    assert_eq!(world.run(at(1)), [offer("f1", "s1", 1.0)]);
    world = world.slave("s3", "cpus:3;mem:64");
    assert_eq!(world.run(at(2)), []);
    world.hierarchy.update_framework(&"f1".into(), plain("a"));
    assert_eq!(world.run(at(3)), [offer("f1", "s3", 3.0)]);
}

#[test]
fn visibility_operation_changes_what_is_held_and_the_total_and_keeps_filters() {
    let mut world = World::new().framework("f1", "a").framework("f2", "b");
    world = world.slave("s1", "cpus:4;mem:512");
    assert_eq!(world.run(at(0)), [offer("f1", "s1", 4.0)]);
    let (before, after) = (r("cpus:4;mem:512"), r("cpus(a):3;cpus:1;mem:512"));
    world.hierarchy.update_allocation(
        &"f1".into(),
        &"s1".into(),
        after.clone(),
        &before.allocated_to("a"),
        &after.allocated_to("a"),
    );
    assert_eq!(world.hierarchy.roles()["a"].consumed["cpus"], 4000);
    world.refuse("f1", "s1", "a", "cpus(a):3;cpus:1;mem:512");
    assert_eq!(world.run(at(1)), [offer("f2", "s1", 1.0)]);
    assert_eq!(world.why("f1", "s1"), ["filter"]);
}
