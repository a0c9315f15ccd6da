use super::*;

#[test]
fn reason_of_what_stands_in_the_way() {
    let mut world = World::new().framework("f1", "a").framework("f2", "b");
    world = world.slave("s1", "cpus:4;mem:512").slave("s2", "cpus(b):4;mem(b):512");
    assert_eq!(world.why("f1", "s1"), ["next"]);
    world.run(at(0));
    assert_eq!(
        (world.why("f1", "s1"), world.why("f2", "s1")),
        (vec!["offered"], vec!["nothing_left"])
    );
    assert_eq!(world.why("f2", "s2"), ["offered"]);
    world.run(at(1));
    assert_eq!(world.why("f1", "s1"), ["nothing_left"]);
    world.refuse("f1", "s1", "a", "cpus:4;mem:512");
    assert_eq!(world.why("f1", "s1"), ["filter"]);
    world.give_back("f2", "s2", "b", "cpus(b):4;mem(b):512");
    assert_eq!(world.why("f1", "s2"), ["not_for_role"]);
    world.hierarchy.set_slave_active(&"s2".into(), false);
    assert_eq!(world.why("f2", "s2"), ["unavailable"]);
    world.hierarchy.update_whitelist(Some(BTreeSet::new()));
    assert_eq!(world.why("f1", "s1"), ["whitelist"]);
    world.hierarchy.suppress(&"f1".into(), &BTreeSet::new());
    assert_eq!(world.why("f1", "s1"), ["suppressed"]);
    world.hierarchy.set_framework_active(&"f1".into(), false);
    assert_eq!(world.why("f1", "s1"), ["framework_inactive"]);
    assert_eq!(world.why("f9", "s1"), ["unknown_framework"]);
    assert_eq!(world.why("f1", "s9"), ["unknown_slave"]);
}

#[test]
fn reason_of_what_was_refused_for_no_time_lasts_until_the_next_period_or_until_more_is_free() {
    let mut world = World::new().framework("f1", "a").framework("f2", "b");
    world = world.slave("s1", "cpus:4;mem:512");
    let slaves = || [SlaveId::new("s1")];
    let no_time = |world: &mut World, framework: &str, role: &str, what: &str| {
        let (id, back) = (framework.into(), r(what).allocated_to(role));
        let none = Some(Duration::ZERO);
        world.hierarchy.recover_resources(&id, &"s1".into(), &back, none, at(0));
    };
    let to = |world: &mut World| {
        let given = world.hierarchy.allocate_some(slaves(), at(0));
        given.into_keys().map(|id| id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(to(&mut world), ["f1"]);
    no_time(&mut world, "f1", "a", "cpus:4;mem:512");
    assert_eq!(to(&mut world), ["f2"]);
    no_time(&mut world, "f2", "b", "cpus:3;mem:500");
    assert_eq!(to(&mut world), Vec::<String>::new());
    assert_eq!(
        (world.why("f1", "s1"), world.why("f2", "s1")),
        (vec!["returned"], vec!["returned"])
    );
    world.give_back("f2", "s1", "b", "cpus:1;mem:12");
    assert_eq!(to(&mut world).len(), 1);
    no_time(&mut world, "f1", "a", "cpus:4;mem:512");
    assert_eq!(world.hierarchy.allocate_all(at(1)).len(), 1);
}

#[test]
fn reason_is_asked_of_roles_and_shown_as_json() {
    let mut world = World::new().framework("f1", "a/b").framework("f2", "a/b").framework("f3", "c");
    world = world.slave("s1", "cpus:4;mem:512").slave("s2", "cpus:4;mem:512");
    world.run(at(0));
    world.refuse("f1", "s1", "a/b", "cpus:4;mem:512");
    let question = Question { role: Some("a/b".to_owned()), ..Question::default() };
    let answer = world.hierarchy.explain(&question, at(40));
    let json = answer.to_json(1);
    assert_eq!(json["cycle"], 1);
    assert_eq!(json["standings"].as_array().unwrap().len(), 2);
    let first = &json["standings"][0];
    assert_eq!(first["framework_id"], "f1");
    assert_eq!(first["levels"][0]["role"], "a");
    assert_eq!(first["levels"][1]["role"], "a/b");
    assert_eq!(first["slaves"].as_array().unwrap().len(), 1);
    assert_eq!(first["slaves"][0]["reason"], "filter");
    assert_eq!(first["slaves"][0]["seconds_left"], 60.0);
    assert_eq!(first["reasons"]["filter"], 1);
    assert_eq!(first["reasons"]["nothing_left"], 1);
    let question = Question { role: Some("none".to_owned()), ..Question::default() };
    assert_eq!(world.hierarchy.explain(&question, at(0)).problem, Some(Reason::NotSubscribed));
}
