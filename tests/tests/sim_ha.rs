//! Clusters with three masters, ten slaves and two frameworks in virtual time: whatever befalls the
//! masters, no running task is lost by that alone; and once faults end, registry, slaves and
//! frameworks agree.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use cluster_tests::sim::ha::{HaCluster, HaShape, Kind, shake};
use libprocess::sim::{World, check_determinism, seeds};

const SHAPE: HaShape = HaShape { masters: 3, slaves: 10, frameworks: 2, tasks: 25 };
const MINUTE: Duration = Duration::from_secs(60);

/// Faults of a kind, then quiet.
fn scenario(world: &mut World, kind: Kind) -> Result<(), String> {
    let mut cluster = HaCluster::start(world, SHAPE);
    let pause = Duration::from_millis(world.seed() * 37 % 20_000);
    cluster.pass(world, pause);
    shake(&mut cluster, world, kind, 8);
    cluster.converge(world, 30 * MINUTE)?;
    let mut problems = cluster.all_problems(world);
    if kind == Kind::Masters {
        problems.extend(cluster.lost_after_running());
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(format!("{problems:#?}")),
    }
}

fn kind(seed: u64) -> Kind {
    match seed % 3 {
        0 => Kind::Masters,
        1 => Kind::Slaves,
        _ => Kind::Everything,
    }
}

#[test]
fn cluster_of_three_masters_agrees_once_faults_end() {
    for seed in seeds(4) {
        let mut world = World::new(seed);
        if let Err(problem) = scenario(&mut world, kind(seed)) {
            panic!("SEED={seed} ({:?}): {problem}", kind(seed));
        }
        println!("seed {seed}: {:?}, {} events", kind(seed), world.events());
    }
}

#[test]
fn cluster_of_three_masters_replays_a_seed() {
    check_determinism(3, |world| scenario(world, Kind::Masters).unwrap()).unwrap();
}

#[test]
fn leader_that_dies_is_followed_within_its_session_and_a_second() {
    for seed in 1..=3 {
        let mut world = World::new(seed);
        let mut cluster = HaCluster::start(&mut world, HaShape { tasks: 5, ..SHAPE });
        cluster.converge(&mut world, 10 * MINUTE).unwrap();
        let (leader, _) = cluster.leader(&mut world).unwrap();
        world.crash(leader);
        cluster.down.push(leader);
        let died = world.now();
        let found = |cluster: &mut HaCluster, world: &mut World| {
            cluster.leader(world).is_some_and(|(other, _)| other != leader)
        };
        while !found(&mut cluster, &mut world) {
            assert!(world.now() - died < Duration::from_secs(6), "seed {seed}");
            world.run_for(Duration::from_millis(50));
        }
        println!("seed {seed}: another leader after {:?}", world.now() - died);
    }
}
