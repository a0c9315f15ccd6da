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
