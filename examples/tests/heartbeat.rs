//! What the failure detector promises, in a simulated cluster; and that it works over sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Program;
use examples::heartbeat::{Change, Detector, Suspicions, Timing};
use libprocess::sim::{Cut, START, Verdict, World, check_determinism, loss, partition, seeds};
use libprocess::{Envelope, NodeConfig, Pid, Time};
use rand::Rng;

const TIMING: Timing = Timing { period: Duration::from_secs(1), timeout: Duration::from_secs(3) };
/// More than any message takes in a world without faults.
const LATENCY: Duration = Duration::from_millis(5);
const MINUTE: Duration = Duration::from_secs(60);
const PROGRAM: &str = env!("CARGO_BIN_EXE_heartbeat");

/// When who changed its mind about whom, by the last numbers of their addresses.
type Changes = Arc<Mutex<Vec<(Time, u8, Change)>>>;

fn ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number)
}

fn pid(number: u8) -> Pid {
    Pid::new("detector", SocketAddrV4::new(ip(number), 5050))
}

struct Cluster {
    changes: Changes,
    numbers: std::ops::RangeInclusive<u8>,
}

/// Detectors 1 to `size`, which know each other.
fn cluster(world: &mut World, size: u8) -> Cluster {
    let (changes, numbers) = (Changes::default(), 1..=size);
    for me in numbers.clone() {
        let peers = numbers.clone().filter(|number| *number != me).map(pid).collect();
        let seen = changes.clone();
        let watcher = Box::new(move |at, change| seen.lock().unwrap().push((at, me, change)));
        let node = world.node(pid(me).address(), NodeConfig::default());
        node.spawn("detector", Detector::new(TIMING, peers, watcher)).unwrap();
    }
    Cluster { changes, numbers }
}

impl Cluster {
    /// Pairs of who suspects whom now.
    fn suspicions(&self) -> BTreeSet<(u8, u8)> {
        let mut pairs = BTreeSet::new();
        for (_, who, change) in self.changes.lock().unwrap().iter() {
            match change {
                Change::Suspected(whom) => pairs.insert((*who, whom.address().ip().octets()[3])),
                Change::Trusted(whom) => pairs.remove(&(*who, whom.address().ip().octets()[3])),
            };
        }
        pairs
    }

    fn pairs(&self, suspects: impl Fn(u8, u8) -> bool) -> BTreeSet<(u8, u8)> {
        let all = self.numbers.clone().flat_map(|a| self.numbers.clone().map(move |b| (a, b)));
        all.filter(|(a, b)| a != b && suspects(*a, *b)).collect()
    }

    /// How often one came to suspect another.
    fn errors(&self, who: u8, whom: u8) -> u64 {
        let error = Change::Suspected(pid(whom));
        let changes = self.changes.lock().unwrap();
        changes.iter().filter(|(_, by, change)| *by == who && *change == error).count() as u64
    }
}

#[test]
fn suspicions_grow_more_patient_with_each_error() {
    let at = |secs| START + Duration::from_secs(secs);
    let mut suspicions = Suspicions::new(TIMING);
    suspicions.watch(pid(1), at(0));
    assert_eq!(suspicions.look(at(3)), []);
    assert_eq!(suspicions.look(at(4)), [Change::Suspected(pid(1))]);
    assert_eq!(suspicions.look(at(5)), []);
    assert_eq!(suspicions.heard(&pid(1), at(5)), Some(Change::Trusted(pid(1))));
    assert_eq!(suspicions.look(at(9)), []);
    assert_eq!(suspicions.look(at(10)), [Change::Suspected(pid(1))]);
}

#[test]
fn detector_in_a_quiet_world_suspects_nobody() {
    for seed in seeds(5) {
        let mut world = World::new(seed);
        let cluster = cluster(&mut world, 5);
        world.run_for(10 * MINUTE);
        assert!(cluster.changes.lock().unwrap().is_empty(), "seed {seed}");
    }
}

#[test]
fn detectors_suspect_who_crashed_within_the_bound_and_nobody_else() {
    for seed in seeds(20) {
        let scenario = |world: &mut World| {
            let cluster = cluster(world, 5);
            let pause = Duration::from_millis(world.rng().random_range(0..20_000));
            world.run_for(pause);
            for number in [2, 4] {
                world.crash(pid(number));
            }
            world.run_for(TIMING.detects_within(LATENCY));
            let dead = |number| number == 2 || number == 4;
            let expected = cluster.pairs(|who, whom| dead(whom) && !dead(who));
            assert_eq!(cluster.suspicions(), expected, "seed {seed}");
            world.run_for(MINUTE);
            assert_eq!(cluster.suspicions(), expected, "seed {seed}");
        };
        check_determinism(seed, scenario).unwrap();
    }
}

#[test]
fn detectors_on_both_sides_of_a_partition_suspect_each_other_until_it_heals() {
    for seed in seeds(10) {
        let mut world = World::new(seed);
        let cluster = cluster(&mut world, 5);
        world.run_for(MINUTE);
        let cut = world.add_rule(partition([ip(1), ip(2)], [ip(3), ip(4), ip(5)], Cut::Both));
        world.run_for(TIMING.detects_within(LATENCY));
        let apart = cluster.pairs(|who, whom| (who <= 2) != (whom <= 2));
        assert_eq!(cluster.suspicions(), apart, "seed {seed}");
        world.remove_rule(cut);
        world.run_for(TIMING.period + LATENCY);
        assert_eq!(cluster.suspicions(), BTreeSet::new(), "seed {seed}");
    }
}

#[test]
fn detector_behind_a_one_way_cut_is_suspected_but_suspects_nobody() {
    let mut world = World::new(7);
    let cluster = cluster(&mut world, 3);
    world.add_rule(partition([ip(1)], [ip(2), ip(3)], Cut::OneWay));
    world.run_for(MINUTE);
    assert_eq!(cluster.suspicions(), cluster.pairs(|_, whom| whom == 1));
}

#[test]
fn detectors_over_a_network_of_unknown_delays_err_only_so_often() {
    const SLOWEST: Duration = Duration::from_secs(8);
    // Silence lasts a period and the slowest delay at most; each error adds a period of patience.
    let errors = (TIMING.period + SLOWEST - TIMING.timeout).as_secs() + 1;
    let mut seen = 0;
    for seed in seeds(5) {
        let mut world = World::new(seed);
        let cluster = cluster(&mut world, 3);
        world.add_rule(|_: &Envelope, rng: &mut rand_chacha::ChaCha8Rng, _: Time| {
            let late = rng.random_bool(0.1);
            let delay = rng.random_range(Duration::ZERO..SLOWEST);
            if late { Verdict::Delay(delay) } else { Verdict::Pass }
        });
        world.run_for(20 * MINUTE);
        for (who, whom) in cluster.pairs(|_, _| true) {
            let count = cluster.errors(who, whom);
            assert!(count <= errors, "seed {seed}: {who} errs {count} times about {whom}");
            seen = seen.max(count);
        }
    }
    assert!(seen > 2, "runs without errors tell nothing");
}

#[test]
fn detectors_that_lose_messages_still_suspect_who_crashed() {
    for seed in seeds(5) {
        let mut world = World::new(seed);
        let cluster = cluster(&mut world, 4);
        world.add_rule(loss(0.3));
        world.run_for(5 * MINUTE);
        world.crash(pid(1));
        let all = cluster.pairs(|who, whom| whom == 1 && who != 1);
        world.run_until(MINUTE, |_| cluster.suspicions().is_superset(&all)).unwrap();
    }
}

#[test]
fn heartbeat_between_processes_trusts_the_living_and_suspects_the_killed() {
    let mut first = Program::start(PROGRAM, &[]);
    let first_pid = first.line();
    let mut second = Program::start(PROGRAM, &[&first_pid]);
    let second_pid = second.line();
    assert_eq!(first.line(), format!("trusts {second_pid}"));
    drop(second);
    assert_eq!(first.line(), format!("suspects {second_pid}"));
}
