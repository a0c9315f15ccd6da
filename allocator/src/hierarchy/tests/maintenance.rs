use protos::mesos::{TimeInfo, Unavailability};

use super::*;
use crate::InverseStatus;

fn planned() -> Option<Unavailability> {
    Some(Unavailability { start: TimeInfo { nanoseconds: 7 }, duration: None })
}

fn asked(world: &mut World, now: Time) -> Vec<String> {
    world.hierarchy.inverse_offers(now).into_keys().map(|id| id.to_string()).collect()
}

#[test]
fn maintenance_holders_are_asked_once_until_they_answer() {
    let mut world = World::new().framework("f1", "a").framework("f2", "b");
    world = world.slave("s1", "cpus:1;mem:64").slave("s2", "cpus:1;mem:64");
    world.run(at(0));
    assert_eq!(asked(&mut world, at(0)), Vec::<String>::new());
    world.hierarchy.update_unavailability(&"s1".into(), planned());
    assert_eq!(asked(&mut world, at(0)), ["f1"]);
    assert_eq!(asked(&mut world, at(0)), Vec::<String>::new());
    let (slave, framework) = ("s1".into(), "f1".into());
    let declined = Some(InverseStatus::Declined);
    world.hierarchy.update_inverse_offer(&slave, &framework, declined, Some(5 * SECOND), at(1));
    assert_eq!(asked(&mut world, at(5)), Vec::<String>::new());
    assert_eq!(asked(&mut world, at(6)), ["f1"]);
    let statuses = world.hierarchy.inverse_statuses();
    assert_eq!(statuses[&slave][&framework], (InverseStatus::Declined, at(1)));
}

#[test]
fn maintenance_taken_back_asks_nobody_and_forgets_answers() {
    let mut world = World::new().framework("f1", "a").slave("s1", "cpus:1;mem:64");
    world.run(at(0));
    world.hierarchy.update_unavailability(&"s1".into(), planned());
    assert_eq!(asked(&mut world, at(0)), ["f1"]);
    world.hierarchy.set_framework_active(&"f1".into(), false);
    assert_eq!(asked(&mut world, at(0)), Vec::<String>::new());
    world.hierarchy.set_framework_active(&"f1".into(), true);
    assert_eq!(asked(&mut world, at(0)), ["f1"]);
    world.hierarchy.update_unavailability(&"s1".into(), None);
    assert_eq!(asked(&mut world, at(0)), Vec::<String>::new());
    assert!(world.hierarchy.inverse_statuses().is_empty());
    world.give_back("f1", "s1", "a", "cpus:1;mem:64");
    world.hierarchy.update_unavailability(&"s1".into(), planned());
    assert_eq!(asked(&mut world, at(0)), Vec::<String>::new());
}
