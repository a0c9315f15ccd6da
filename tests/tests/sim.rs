//! A whole cluster in virtual time: master, slaves, command executors, a framework, and faults.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::time::Duration;

use cluster_tests::sim::{Cluster, Shape, StateWatch};
use libprocess::sim::{World, check_determinism, loss, seeds};
use rand::Rng;

const MINUTE: Duration = Duration::from_secs(60);

fn sound(world: &World, cluster: &Cluster, watch: &StateWatch) {
    assert_eq!(watch.problems, Vec::<String>::new());
    assert_eq!(cluster.ledger.open().problems, Vec::<String>::new());
    assert_eq!(world.panics(), Vec::<String>::new());
}

/// Five minutes of loss, then broken connections, then quiet: within 30 minutes each, all slaves are active, all tasks are
/// finished, and every resource is offered again.
fn scenario(world: &mut World, shape: Shape, probability: f64) {
    eprintln!("SEED={} ({} slaves, loss {probability})", world.seed(), shape.slaves);
    let rule = world.add_rule(loss(probability));
    let cluster = Cluster::of_slaves(world, shape).unwrap();
    let mut watch = StateWatch::default();
    for _ in 0..30 {
        world.run_for(Duration::from_secs(10));
        watch.look(&cluster.state(world));
        cluster.ledger.chase(&cluster.driver, world.now(), MINUTE);
    }
    world.remove_rule(rule);
    cluster.break_connections(world);
    cluster.converge(world, &mut watch, 30 * MINUTE).unwrap();
    sound(world, &cluster, &watch);
}

#[test]
fn small_cluster_without_faults_finishes_all_tasks_within_a_minute() {
    for seed in seeds(3) {
        let mut world = World::new(seed);
        let cluster = Cluster::of_slaves(&mut world, Shape { slaves: 5, tasks: 20 }).unwrap();
        cluster.all_slaves_active(&mut world, MINUTE).unwrap();
        world.run_until(MINUTE, |_| cluster.ledger.open().is_done()).unwrap();
        let mut watch = StateWatch::default();
        cluster.converge(&mut world, &mut watch, MINUTE).unwrap();
        sound(&world, &cluster, &watch);
    }
}

#[test]
fn hundred_slaves_under_loss_converge() {
    for seed in seeds(2) {
        let mut world = World::new(seed);
        let probability = 0.05 + 0.05 * (seed % 4) as f64;
        scenario(&mut world, Shape { slaves: 100, tasks: 300 }, probability);
    }
}

#[test]
fn cluster_seed_run_twice_gives_one_trace() {
    let run = |world: &mut World| scenario(world, Shape { slaves: 20, tasks: 50 }, 0.2);
    for seed in seeds(1) {
        check_determinism(seed, run).unwrap();
    }
}

#[test]
fn slaves_that_crash_amid_writes_or_freeze_come_back() {
    // 32: a task that was told finished was told lost when its slave came back without it.
    for seed in seeds(3).into_iter().chain([32]) {
        eprintln!("SEED={seed}");
        let mut world = World::new(seed);
        let cluster = Cluster::of_slaves(&mut world, Shape { slaves: 8, tasks: 60 }).unwrap();
        world.add_rule(loss(0.05));
        let mut watch = StateWatch::default();
        for number in 0..10 {
            let slave = cluster.slaves[world.rng().random_range(0..cluster.slaves.len())];
            let pause = Duration::from_secs(world.rng().random_range(1..120));
            if number % 2 == 0 {
                world.crash_torn(slave);
                world.run_for(pause);
                world.restart(slave).unwrap();
            } else {
                world.freeze(slave);
                world.run_for(pause);
                world.thaw(slave);
            }
            watch.look(&cluster.state(&mut world));
            cluster.ledger.chase(&cluster.driver, world.now(), MINUTE);
            cluster.ledger.open().wanted += 10;
        }
        world.clear_rules();
        cluster.break_connections(&mut world);
        cluster.converge(&mut world, &mut watch, 30 * MINUTE).unwrap();
        sound(&world, &cluster, &watch);
    }
}
