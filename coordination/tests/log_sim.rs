//! Ensembles of log replicas with faults: whatever happens, no two replicas know different things
//! of a position, nothing acknowledged is lost, no term has two writers; and once faults stop, the
//! log goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

#[path = "log_sim/cluster.rs"]
mod cluster;
#[path = "log_sim/faults.rs"]
mod faults;
#[path = "log_sim/history.rs"]
mod history;

use std::time::Duration;

use cluster::Cluster;
use coordination::log::Planted;
use libprocess::sim::{World, check_determinism, seeds};
use rand::Rng;

/// Faults for a while, then quiet: what went wrong, if anything.
fn run(cluster: &mut Cluster) -> Result<(), String> {
    if cluster.world.rng().random_bool(0.7) {
        cluster.wait_until_all_vote()?;
    }
    faults::shake(cluster, Duration::from_secs(40));
    cluster.check()?;
    faults::stop(cluster);
    cluster.wait_until_all_vote()?;
    cluster.wait_for_progress()?;
    cluster.compare_replicas()?;
    cluster.check()?;
    println!("{}", cluster.history.lock().unwrap().summary());
    Ok(())
}

fn seed(seed: u64, planted: Planted) -> Result<(), String> {
    let size = if seed.is_multiple_of(3) { 5 } else { 3 };
    run(&mut Cluster::new(seed, size, planted))
}

#[test]
fn log_agrees_and_keeps_what_it_acknowledged_under_faults() {
    for number in seeds(30) {
        seed(number, Planted::Nothing).unwrap_or_else(|error| panic!("seed {number}: {error}"));
    }
}

#[test]
fn log_replays_a_seed() {
    for number in [3, 4] {
        check_determinism(number, |world| {
            let taken = std::mem::replace(world, World::new(number));
            let mut cluster = Cluster::over(taken, 3, Planted::Nothing);
            run(&mut cluster).unwrap();
            *world = cluster.world;
        })
        .unwrap();
    }
}

fn found(planted: Planted) -> Option<(u64, String)> {
    (1..=200).find_map(|number| seed(number, planted).err().map(|error| (number, error)))
}

#[test]
fn promise_that_is_not_kept_is_found() {
    let found = found(Planted::ForgetsPromises);
    assert!(found.is_some());
    println!("{found:?}");
}

#[test]
fn quorum_that_is_one_short_is_found() {
    let found = found(Planted::ShortQuorum);
    assert!(found.is_some());
    println!("{found:?}");
}
