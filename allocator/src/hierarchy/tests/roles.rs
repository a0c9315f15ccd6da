use super::*;
use crate::config::Order;

/// How many of `slaves` equal slaves each framework gets in one run.
fn counts(mut world: World, slaves: usize) -> BTreeMap<String, usize> {
    for number in 0..slaves {
        world = world.slave(&format!("s{number:03}"), "cpus:1;mem:64");
    }
    let mut counts = BTreeMap::new();
    for (framework, _, _) in world.run(at(0)) {
        *counts.entry(framework).or_insert(0) += 1;
    }
    counts
}

fn expected(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn roles_share_level_by_level_however_many_are_below() {
    let world = World::new()
        .framework("one", "a/x")
        .framework("two", "a/y")
        .framework("three", "a/z")
        .framework("four", "b");
    let fair = expected(&[("four", 30), ("one", 10), ("three", 10), ("two", 10)]);
    assert_eq!(counts(world, 60), fair);
}

#[test]
fn roles_own_frameworks_stand_beside_the_roles_below() {
    let world =
        World::new().framework("own", "a").framework("below", "a/x").framework("far", "b/c/d");
    let fair = expected(&[("below", 10), ("far", 20), ("own", 10)]);
    assert_eq!(counts(world, 40), fair);
}

#[test]
fn roles_weights_count_at_their_level_and_change_while_running() {
    let weights = BTreeMap::from([("a".to_owned(), 3.0), ("a/x".to_owned(), 2.0)]);
    let config = Config { weights, ..Config::default() };
    let build = |config| {
        World::with(config).framework("x", "a/x").framework("y", "a/y").framework("b", "b")
    };
    let fair = expected(&[("b", 10), ("x", 20), ("y", 10)]);
    assert_eq!(counts(build(config), 40), fair);
    let mut world = build(Config::default());
    world.hierarchy.update_weights(vec![("b".to_owned(), 3.0)]);
    assert_eq!(counts(world, 40), expected(&[("b", 30), ("x", 5), ("y", 5)]));
}

#[test]
fn roles_excluded_resources_do_not_count() {
    let config = |excluded: BTreeSet<String>| Config { excluded, ..Config::default() };
    let build = |config| {
        let world = World::with(config).framework("f1", "a").framework("f2", "b");
        let mut world = world.slave("s1", "cpus:1;gold:9").slave("s2", "cpus:1;gold:1");
        let used = BTreeMap::from([("f1".into(), r("cpus:1;gold:9").allocated_to("a"))]);
        world.hierarchy.track(&"s1".into(), used);
        let used = BTreeMap::from([("f2".into(), r("cpus:1").allocated_to("b"))]);
        world.hierarchy.add_slave("s3".into(), SlaveSpec::default(), r("cpus:1;mem:64"), used);
        world
    };
    // With gold, f1 has more; without it both have the same, and f2 comes later by name.
    let mut with = build(config(BTreeSet::new()));
    assert_eq!(with.run(at(0))[0].0, "f2");
    let mut without = build(config(["gold".to_owned()].into()));
    assert_eq!(without.run(at(0))[0].0, "f1");
}

#[test]
fn roles_random_order_gives_in_proportion_to_weights() {
    let weights = BTreeMap::from([("a".to_owned(), 3.0)]);
    let config = Config {
        weights,
        role_order: Order::Random,
        framework_order: Order::Random,
        ..Config::default()
    };
    let world = World::with(config).framework("f1", "a").framework("f2", "a").framework("f3", "b");
    let counts = counts(world, 800);
    assert!((540..660).contains(&(counts["f1"] + counts["f2"])), "{counts:?}");
    assert!((240..360).contains(&counts["f1"]), "{counts:?}");
}

#[test]
fn roles_suppressed_in_one_role_go_on_in_another() {
    let roles = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    let mut world = World::new().framework_of("f1", FrameworkSpec { roles, ..Default::default() });
    world.hierarchy.suppress(&"f1".into(), &["a".to_owned()].into());
    world = world.slave("s1", "cpus:1;mem:64");
    let given = world.hierarchy.allocate_all(at(0));
    assert_eq!(given[&"f1".into()].keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn roles_nobody_needs_any_more_are_forgotten() {
    let mut world = World::new().framework("f1", "a/b/c").slave("s1", "cpus(x/y):1;mem:64");
    world = world.quota("q", "cpus:1", "");
    let names = |world: &World| world.hierarchy.roles().into_keys().collect::<Vec<_>>();
    assert_eq!(names(&world), ["", "a", "a/b", "a/b/c", "q", "x", "x/y"]);
    world.hierarchy.remove_framework(&"f1".into());
    world.hierarchy.remove_slave(&"s1".into());
    world = world.quota("q", "", "");
    assert_eq!(names(&world), [""]);
}
