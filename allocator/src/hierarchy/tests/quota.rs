use super::*;

#[test]
fn quota_guarantee_is_served_before_fair_shares() {
    let mut world = World::new().framework("big", "a").framework("late", "b");
    let used = BTreeMap::from([("late".into(), r("cpus:8;mem:512").allocated_to("b"))]);
    world.hierarchy.add_slave("s0".into(), SlaveSpec::default(), r("cpus:8;mem:512"), used);
    world = world.slave("s1", "cpus:4;mem:512").quota("b", "cpus:10", "");
    // By fair share big would come first; b lacks two more CPUs to its guarantee.
    let offers = world.run(at(0));
    assert_eq!(offers, [offer("big", "s1", 2.0), offer("late", "s1", 2.0)]);
}

#[test]
fn quota_guarantee_keeps_resources_free_while_nobody_takes_them() {
    let mut world = World::new().framework("f1", "a").quota("b", "cpus:6;mem:100", "");
    world = world.slave("s1", "cpus:4;mem:512").slave("s2", "cpus:4;mem:512");
    let total: f64 = world.run(at(0)).iter().map(|(_, _, cpus)| cpus).sum();
    assert_eq!(total, 2.0);
    world.run(at(1));
    let kept = ["quota_guarantee_of_others"];
    let reasons = [world.why("f1", "s1"), world.why("f1", "s2")];
    assert!(reasons.iter().any(|reason| *reason == kept), "{reasons:?}");
    world = world.quota("b", "", "");
    let total: f64 = world.run(at(2)).iter().map(|(_, _, cpus)| cpus).sum();
    assert_eq!(total, 6.0);
}

#[test]
fn quota_limit_cuts_offers_and_counts_roles_below() {
    let mut world = World::new().framework("f1", "a/x").framework("f2", "a/y");
    world = world.quota("a", "", "cpus:5").quota("a/x", "", "cpus:1");
    world = world.slave("s1", "cpus:4;mem:512").slave("s2", "cpus:4;mem:512");
    let offers = world.run(at(0));
    let of = |name: &str| -> f64 { offers.iter().filter(|o| o.0 == name).map(|o| o.2).sum() };
    assert_eq!((of("f1"), of("f2")), (1.0, 4.0), "{offers:?}");
    // Memory is not limited: all of it went out with the offers.
    assert_eq!(world.hierarchy.scalar("mem"), (1024.0, 1024.0));
    for (framework, slave) in [("f1", "s1"), ("f1", "s2"), ("f2", "s1"), ("f2", "s2")] {
        let why = world.why(framework, slave);
        assert!(["offered", "quota_limit", "too_little"].contains(&why[0]), "{why:?}");
    }
}

#[test]
fn quota_limit_of_nothing_gives_nothing_of_it() {
    let mut world = World::new().framework("f1", "a").quota("a", "", "cpus:0;mem:0");
    world = world.slave("s1", "cpus:4;mem:512");
    assert_eq!(world.run(at(0)), []);
    assert_eq!(world.why("f1", "s1"), ["quota_limit"]);
    world = world.slave("s2", "cpus(a):1;mem(a):64;cpus:1;mem:64");
    // What is reserved to the role counts whether it is held or not, and may be had.
    assert_eq!(world.run(at(0)), [offer("f1", "s2", 1.0)]);
}

#[test]
fn quota_reservations_count_as_consumed() {
    let mut world = World::new().framework("f1", "a").framework("f2", "b");
    world = world.slave("s1", "cpus(a):4;mem(a):512;cpus:4;mem:512").quota("a", "cpus:4", "cpus:4");
    // The guarantee is met by the reservation, and so is the limit.
    assert_eq!(world.run(at(0)), [offer("f1", "s1", 4.0), offer("f2", "s1", 4.0)]);
    let figures = &world.hierarchy.roles()["a"];
    assert_eq!((figures.consumed["cpus"], figures.offered_or_allocated.get("cpus")), (4000, None));
}

#[test]
fn quota_guarantee_of_a_parent_is_shared_by_its_children() {
    let mut world = World::new().framework("x", "a/x").framework("y", "a/y").framework("b", "b");
    world = world.quota("a", "cpus:6", "").quota("a/x", "cpus:4", "");
    for slave in ["s1", "s2", "s3", "s4", "s5", "s6", "s7"] {
        world = world.slave(slave, "cpus:1;mem:64");
    }
    world.hierarchy.suppress(&"x".into(), &BTreeSet::new());
    let offers = world.run(at(0));
    let of = |offers: &[(String, String, f64)], name: &str| -> f64 {
        offers.iter().filter(|o| o.0 == name).map(|o| o.2).sum()
    };
    // Four stay free for a/x, two of the parent's are y's, one is shared fairly.
    assert_eq!((of(&offers, "y"), of(&offers, "b")), (2.0, 1.0), "{offers:?}");
    world.hierarchy.revive(&"x".into(), &BTreeSet::new());
    assert_eq!(of(&world.run(at(1)), "x"), 4.0);
}

#[test]
fn quota_after_failover_nothing_is_offered_until_enough_slaves_are_back() {
    let quotas = BTreeMap::from([(
        "b".to_owned(),
        Quota { guarantees: r("cpus:1").quantities(), limits: BTreeMap::new() },
    )]);
    let mut world = World::new().framework("f1", "a");
    assert!(world.hierarchy.recover(5, &quotas));
    for slave in ["s1", "s2", "s3"] {
        world = world.slave(slave, "cpus:1;mem:64");
    }
    assert_eq!(world.run(at(0)), []);
    assert_eq!(world.why("f1", "s1"), ["paused"]);
    world = world.slave("s4", "cpus:1;mem:64");
    assert_eq!(world.run(at(0)).iter().map(|(_, _, cpus)| cpus).sum::<f64>(), 3.0);
    assert!(!World::new().hierarchy.recover(5, &BTreeMap::new()));
}

#[test]
fn quota_volumes_are_given_whole_or_not_at_all() {
    let mut wire = r("cpus:2;mem:64").to_wire();
    wire.push(protos::mesos::Resource {
        disk: Some(Box::new(protos::mesos::resource::DiskInfo {
            source: Some(protos::mesos::resource::disk_info::Source {
                r#type: protos::mesos::resource::disk_info::source::Type::Mount.into(),
                ..Default::default()
            }),
            ..Default::default()
        })),
        ..r("disk:100").to_wire().remove(0)
    });
    let total = Resources::from_wire(&wire).unwrap();
    for (limit, disk) in [("disk:99", 0.0), ("disk:100", 100.0)] {
        let mut world = World::new().framework("f1", "a").quota("a", "", limit);
        world.hierarchy.add_slave(
            "s1".into(),
            SlaveSpec::default(),
            total.clone(),
            BTreeMap::new(),
        );
        let given = world.hierarchy.allocate_all(at(0));
        assert_eq!(given[&"f1".into()]["a"][&"s1".into()].disk(), disk);
    }
}
