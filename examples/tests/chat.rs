//! The chat: among simulated nodes that crash, and between OS processes that are killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Program;
use examples::chat::{Member, Room};
use libprocess::sim::{Cut, World, check_determinism, partition, seeds};
use libprocess::{Handle, Node, NodeConfig, Pid};

const PROGRAM: &str = env!("CARGO_BIN_EXE_chat");
const LIMIT: Duration = Duration::from_secs(60);

type Screen = Arc<Mutex<Vec<String>>>;

fn node(world: &mut World, last: u8) -> Node {
    let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 5050);
    world.node(address, NodeConfig::default())
}

fn open(world: &mut World) -> Pid {
    let room = node(world, 1).spawn("room", Room::default()).unwrap();
    room.pid().clone()
}

/// Lets somebody in, on a host of their own.
fn enter(world: &mut World, room: &Pid, last: u8, name: &str) -> (Handle<Member>, Screen) {
    let seen = Screen::default();
    let shown = seen.clone();
    let screen = Box::new(move |line| shown.lock().unwrap().push(line));
    let member = Member::new(room.clone(), name, screen);
    let member = node(world, last).spawn("member", member).unwrap();
    world.settle();
    (member, seen)
}

fn shows(screen: &Screen, lines: &[&str]) -> bool {
    screen.lock().unwrap().as_slice() == lines
}

#[test]
fn chat_line_reaches_all_others_and_not_its_speaker() {
    let mut world = World::new(1);
    let room = open(&mut world);
    let (ann, anns) = enter(&mut world, &room, 2, "ann");
    let (_, bobs) = enter(&mut world, &room, 3, "bob");
    ann.tell(|ann, cx| ann.say("hello".to_owned(), cx));
    world.settle();
    assert!(shows(&anns, &["* you are in, with 1 here: ann", "* bob came"]), "{anns:?}");
    assert!(shows(&bobs, &["* you are in, with 2 here: ann, bob", "ann: hello"]), "{bobs:?}");
}

#[test]
fn chat_name_that_is_taken_is_refused() {
    let mut world = World::new(1);
    let room = open(&mut world);
    let (_, anns) = enter(&mut world, &room, 2, "ann");
    let (other, others) = enter(&mut world, &room, 3, "ann");
    assert!(shows(&others, &["! somebody here is called ann already"]), "{others:?}");
    assert!(!other.tell(|_, _| ()), "who is refused ends");
    assert_eq!(anns.lock().unwrap().len(), 1);
}

#[test]
fn chat_members_are_told_once_who_crashed() {
    for seed in seeds(10) {
        let scenario = |world: &mut World| {
            let room = open(world);
            let (_, anns) = enter(world, &room, 2, "ann");
            let (bob, _) = enter(world, &room, 3, "bob");
            world.crash(bob.pid());
            world.settle();
            let lines = ["* you are in, with 1 here: ann", "* bob came", "* bob left"];
            assert!(shows(&anns, &lines), "seed {seed}: {anns:?}");
        };
        check_determinism(seed, scenario).unwrap();
    }
}

#[test]
fn chat_members_learn_of_a_crash_behind_a_partition_when_it_heals() {
    let mut world = World::new(2);
    let room = open(&mut world);
    let (_, anns) = enter(&mut world, &room, 2, "ann");
    let (bob, _) = enter(&mut world, &room, 3, "bob");
    let cut = partition([*room.address().ip()], [*bob.pid().address().ip()], Cut::Both);
    let cut = world.add_rule(cut);
    world.crash(bob.pid());
    world.run_for(LIMIT);
    assert_eq!(anns.lock().unwrap().last().unwrap(), "* bob came");
    world.remove_rule(cut);
    world.run_until(LIMIT, |_| anns.lock().unwrap().last().unwrap() == "* bob left").unwrap();
}

#[test]
fn chat_members_end_when_the_room_is_gone() {
    let mut world = World::new(3);
    let room = open(&mut world);
    let (ann, anns) = enter(&mut world, &room, 2, "ann");
    world.crash(&room);
    world.settle();
    assert_eq!(anns.lock().unwrap().last().unwrap(), "! the room is gone");
    assert!(!ann.tell(|_, _| ()));
}

#[test]
fn chat_between_processes_tells_who_was_killed() {
    let mut room = Program::start(PROGRAM, &["room"]);
    let pid = room.line();
    let mut ann = Program::start(PROGRAM, &["join", &pid, "ann"]);
    assert_eq!(ann.line(), "* you are in, with 1 here: ann");
    let mut bob = Program::start(PROGRAM, &["join", &pid, "bob"]);
    assert_eq!(bob.line(), "* you are in, with 2 here: ann, bob");
    assert_eq!(ann.line(), "* bob came");
    bob.type_line("good morning");
    assert_eq!(ann.line(), "bob: good morning");
    drop(bob);
    assert_eq!(ann.line(), "* bob left");
    drop(room);
    let (succeeded, lines) = ann.end();
    assert!(succeeded);
    assert_eq!(lines, ["! the room is gone"]);
}
