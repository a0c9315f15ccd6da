//! A master in a simulated cluster of model slaves: registration, tasks and books under loss.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::time::Duration;

use cluster_tests::sim::{Cluster, Shape, StateWatch};
use libprocess::sim::{Cut, Verdict, World, check_determinism, loss, partition, seeds};
use libprocess::{Envelope, Time};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

const MINUTE: Duration = Duration::from_secs(60);

/// Every update is told in the end; what is not yet told is on its way again within ten minutes.
fn told(world: &mut World, cluster: &Cluster) {
    world.run_until_each(MINUTE, 15 * MINUTE, |world| cluster.unfinished(world) == 0).unwrap();
}

/// Under loss, then in quiet, until all is done and all resources are offered again.
fn scenario(world: &mut World, shape: Shape, probability: f64) {
    eprintln!("SEED={} ({} slaves, loss {probability})", world.seed(), shape.slaves);
    let rule = world.add_rule(loss(probability));
    let cluster = Cluster::of_models(world, shape).unwrap();
    let mut watch = StateWatch::default();
    for _ in 0..30 {
        world.run_for(Duration::from_secs(10));
        watch.look(&cluster.state(world));
        cluster.ledger.chase(&cluster.driver, world.now(), MINUTE);
    }
    world.remove_rule(rule);
    cluster.converge(world, &mut watch, 30 * MINUTE).unwrap();
    told(world, &cluster);
    assert_eq!(watch.problems, Vec::<String>::new());
    assert_eq!(cluster.ledger.open().problems, Vec::<String>::new());
    assert_eq!(world.panics(), Vec::<String>::new());
}

#[test]
fn small_cluster_without_faults_finishes_all_tasks_within_a_minute() {
    for seed in seeds(3) {
        let mut world = World::new(seed);
        let cluster = Cluster::of_models(&mut world, Shape { slaves: 5, tasks: 20 }).unwrap();
        cluster.all_slaves_active(&mut world, MINUTE).unwrap();
        world.run_until(MINUTE, |_| cluster.ledger.open().is_done()).unwrap();
        cluster.converge(&mut world, &mut StateWatch::default(), MINUTE).unwrap();
    }
}

#[test]
fn hundred_slaves_under_loss_converge() {
    for seed in seeds(3) {
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

/// One bad thing, and its end after a while.
fn mishap(world: &mut World, cluster: &Cluster, number: u32) {
    let which = world.rng().random_range(0..cluster.slaves.len());
    let slave = cluster.slaves[which];
    let while_it_lasts = Duration::from_secs(world.rng().random_range(1..150));
    match number % 4 {
        0 => {
            world.crash(slave);
            world.run_for(while_it_lasts);
            world.restart(slave).unwrap();
        }
        1 => {
            world.freeze(slave);
            world.run_for(while_it_lasts);
            world.thaw(slave);
        }
        2 => {
            let hosts = cluster.slaves.iter().map(|slave| *slave.ip());
            let cut = hosts.filter(|ip| ip.octets()[3] % 3 == number as u8 % 3);
            let way = if number % 8 < 4 { Cut::Both } else { Cut::OneWay };
            let rule = world.add_rule(partition(cut, [*cluster.master.ip()], way));
            world.run_for(while_it_lasts);
            world.remove_rule(rule);
        }
        _ => {
            world.reset_connections(slave, cluster.master);
            world.run_for(while_it_lasts);
        }
    }
}

#[test]
fn crashes_freezes_cuts_and_resets_are_got_over() {
    for seed in seeds(4) {
        eprintln!("SEED={seed}");
        let mut world = World::new(seed);
        let cluster = Cluster::of_models(&mut world, Shape { slaves: 12, tasks: 100 }).unwrap();
        world.add_rule(loss(0.05));
        world.add_rule(|_: &Envelope, rng: &mut ChaCha8Rng, _: Time| {
            match rng.random_range(0..20) {
                0 => Verdict::Duplicate,
                1 => Verdict::Delay(Duration::from_millis(rng.random_range(1..3000))),
                _ => Verdict::Pass,
            }
        });
        let mut watch = StateWatch::default();
        for number in 0..12 {
            mishap(&mut world, &cluster, number);
            watch.look(&cluster.state(&mut world));
            cluster.ledger.chase(&cluster.driver, world.now(), MINUTE);
            cluster.ledger.open().wanted += 10;
        }
        world.clear_rules();
        cluster.converge(&mut world, &mut watch, 30 * MINUTE).unwrap();
        told(&mut world, &cluster);
        assert_eq!(watch.problems, Vec::<String>::new());
        assert_eq!(cluster.ledger.open().problems, Vec::<String>::new());
        assert_eq!(world.panics(), Vec::<String>::new());
    }
}

#[test]
fn master_that_crashes_comes_back_to_its_slaves_and_framework() {
    for seed in seeds(3) {
        eprintln!("SEED={seed}");
        let mut world = World::new(seed);
        let cluster = Cluster::of_models(&mut world, Shape { slaves: 10, tasks: 60 }).unwrap();
        let pause = world.rng().random_range(1..30);
        world.run_for(Duration::from_secs(pause));
        let before = cluster.ledger.open().id.clone();
        world.crash(cluster.master);
        world.run_for(Duration::from_secs(5));
        world.restart(cluster.master).unwrap();
        // A new watch: a new master does not know what the old one saw end.
        cluster.converge(&mut world, &mut StateWatch::default(), 30 * MINUTE).unwrap();
        assert_eq!(cluster.ledger.open().problems, Vec::<String>::new());
        assert_eq!(cluster.ledger.open().id, before);
        assert_eq!(world.panics(), Vec::<String>::new());
    }
}
