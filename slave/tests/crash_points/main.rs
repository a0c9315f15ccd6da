//! A slave that is killed at every checkpoint: whatever it has written by then, its task ends, once,
//! and nothing is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod scene;

use std::time::Duration;

use libprocess::sim::World;
use scene::Scene;

/// Longest time from the crash to rest: recovery, retries and the executor's own time-outs.
const LIMIT: Duration = Duration::from_secs(900);

#[derive(Clone, Copy, Debug)]
enum Crash {
    /// Nothing of what is under way is done.
    Clean,
    /// Some of it is, in part.
    Torn,
}

/// Runs until the slave's disk has done that many operations; false when it comes to rest before.
fn until_disk(scene: &mut Scene, operations: usize) -> bool {
    let address = scene.slave;
    let done = move |world: &mut World| scene::disk_operations(world, address) >= operations;
    scene.world.run_until(Duration::from_secs(30), done).is_ok()
}

#[test]
fn task_survives_or_is_told_of_wherever_its_slave_is_killed() {
    for kind in [Crash::Clean, Crash::Torn] {
        let mut outcomes = std::collections::BTreeMap::new();
        for operations in 1.. {
            let mut scene = Scene::new(operations as u64);
            if !until_disk(&mut scene, operations) {
                // Nothing further is written: all points have been tried.
                assert!(operations > 20, "{kind:?}: only {operations} operations");
                break;
            }
            let slave = scene.slave;
            match kind {
                Crash::Clean => scene.world.crash(slave),
                Crash::Torn => scene.world.crash_torn(slave),
            }
            scene.world.run_for(Duration::from_secs(1));
            scene.world.restart(slave).unwrap();
            scene.until_quiet(LIMIT, &format!("{kind:?} after {operations} operations"));
            *outcomes.entry(scene.outcome()).or_insert(0) += 1;
        }
        eprintln!("{kind:?}: {outcomes:?}");
        assert!(outcomes["TASK_FINISHED"] > 5, "{outcomes:?}");
    }
}

#[test]
fn task_survives_a_slave_that_is_killed_again_while_it_recovers() {
    for operations in 1..200 {
        let mut scene = Scene::new(operations as u64);
        scene.until_running();
        let (slave, before) = (scene.slave, scene::disk_operations(&scene.world, scene.slave));
        scene.world.crash(slave);
        scene.world.restart(slave).unwrap();
        let more = until_disk(&mut scene, before + operations);
        scene.world.crash(slave);
        scene.world.restart(slave).unwrap();
        scene.until_quiet(LIMIT, &format!("second crash after {operations} operations"));
        assert_eq!(scene.outcome(), "TASK_FINISHED", "after {operations} operations");
        if !more {
            return;
        }
    }
    panic!("recovery never comes to rest");
}
