//! A slave that is killed wherever it may be: whatever it has written and said by then, each task ends
//! as it must, each of its updates is told, in order and under one name, and nothing is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod executors;
mod fate;
mod master;
mod plan;
mod scene;

use std::collections::BTreeMap;
use std::time::Duration;

use fate::Fate;
use plan::Plan;
use scene::{Crash, Scene};

/// The numbers of the events that happen at the slave while nobody kills it: those of its disk, or all.
fn moments(plan: Plan, seed: u64, on_disk: bool) -> Vec<usize> {
    let mut scene = Scene::new(plan, seed);
    scene.until_over("undisturbed");
    // What comes of the last acknowledgement, too.
    scene.world.run_for(Duration::from_secs(1));
    let trace = scene.world.trace();
    scene.until_quiet("undisturbed");
    scene.check(&vec![Fate::Runs; plan.jobs.len()], "undisturbed");
    let at = format!(" {}{}", scene.slave, if on_disk { " disk" } else { " " });
    let all = trace.iter().enumerate().filter(|(_, line)| line.contains(&at));
    all.map(|(number, _)| number + 1).collect()
}

/// Kills the slave at that moment, and sees to it that everything ends as it must.
fn kill_at(plan: Plan, seed: u64, moment: usize, crash: Crash) -> Vec<Fate> {
    let what = format!("{}: {crash:?} {moment} of seed {seed}", plan.name);
    let mut scene = Scene::new(plan, seed);
    scene.until_event(moment);
    scene.kill(crash);
    let fates = scene.fates();
    let filled = if plan.reserves { scene.fill_volumes() } else { Vec::new() };
    scene.restart();
    scene.until_quiet(&what);
    scene.check(&fates, &what);
    if plan.reserves {
        scene.check_volumes(&filled, &what);
    }
    fates
}

type Counts = BTreeMap<Fate, usize>;

fn kill_everywhere(plan: Plan, seeds: std::ops::Range<u64>) -> Counts {
    let mut counts = Counts::new();
    for seed in seeds {
        let moments = moments(plan, seed, true);
        assert!(moments.len() > 20, "only {} operations", moments.len());
        for moment in moments {
            for crash in [Crash::Clean, Crash::Torn] {
                for fate in kill_at(plan, seed, moment, crash) {
                    *counts.entry(fate).or_default() += 1;
                }
            }
        }
    }
    eprintln!("{}: {counts:?}", plan.name);
    counts
}

/// The tests would be worth nothing if all went one way.
fn assert_varied(counts: &Counts, wanted: &[Fate]) {
    for fate in wanted {
        assert!(counts.contains_key(fate), "never {fate:?}: {counts:?}");
    }
}

#[test]
fn task_whose_slave_is_killed_at_any_checkpoint_ends_as_it_must() {
    let counts = kill_everywhere(plan::ONE, 0..4);
    let all = [fate::UNKNOWN, fate::NO_PROCESS, fate::NOT_SENT, Fate::WithItsSlave, Fate::Runs];
    assert_varied(&counts, &all);
}

#[test]
fn tasks_of_one_executor_whose_slave_is_killed_end_each_as_it_must() {
    let counts = kill_everywhere(plan::CUSTOM, 0..2);
    assert_varied(&counts, &[fate::UNKNOWN, fate::NOT_SENT, Fate::NotGivenYet, Fate::Runs]);
}

#[test]
fn task_of_a_framework_that_does_not_checkpoint_is_lost_and_takes_no_other_along() {
    let counts = kill_everywhere(plan::TWO, 0..2);
    assert_varied(&counts, &[Fate::Forgotten, Fate::Runs]);
}

#[test]
fn reservations_and_volumes_are_as_the_master_says_wherever_the_slave_is_killed() {
    let counts = kill_everywhere(plan::RESERVED, 0..2);
    assert_varied(&counts, &[Fate::Runs]);
}

#[test]
fn task_whose_slave_is_killed_between_checkpoints_ends_as_it_must() {
    let (seed, mut counts) = (1, Counts::new());
    for moment in moments(plan::ONE, seed, false) {
        for fate in kill_at(plan::ONE, seed, moment, Crash::Clean) {
            *counts.entry(fate).or_default() += 1;
        }
    }
    eprintln!("{counts:?}");
    assert_varied(&counts, &[fate::NOT_SENT, Fate::Runs]);
}

#[test]
fn tasks_that_run_survive_a_slave_that_is_killed_again_while_it_recovers() {
    for plan in [plan::ONE, plan::CUSTOM] {
        let last = plan.jobs.last().unwrap().task;
        for crash in [Crash::Clean, Crash::Torn] {
            // Until it recovers for longer than it is let.
            for operations in 1.. {
                let what = format!("{}: {crash:?} after {operations} operations", plan.name);
                let mut scene = Scene::new(plan, operations);
                scene.until_told(last, "TASK_RUNNING");
                scene.kill(crash);
                scene.restart();
                let again = scene.until_disk(operations as usize);
                scene.kill(crash);
                scene.restart();
                scene.until_quiet(&what);
                scene.check(&vec![Fate::Runs; plan.jobs.len()], &what);
                if !again {
                    assert!(operations > 15, "{what}: that was all");
                    break;
                }
            }
        }
    }
}

#[test]
fn task_whose_launch_is_cut_short_twice_ends_once() {
    for plan in [plan::ONE, plan::CUSTOM] {
        for (number, moment) in moments(plan, 2, true).into_iter().enumerate() {
            let what = format!("{}: {moment}, and again", plan.name);
            let mut scene = Scene::new(plan, 2);
            scene.until_event(moment);
            scene.kill(Crash::Torn);
            scene.restart();
            scene.until_disk(1 + number % 11);
            scene.kill(Crash::Torn);
            // How far the end of what never began had got does not matter.
            let vague = |fate| match fate {
                Fate::Dropped(..) => Fate::NeverBegins,
                fate => fate,
            };
            let fates: Vec<Fate> = scene.fates().into_iter().map(vague).collect();
            scene.restart();
            scene.until_quiet(&what);
            scene.check(&fates, &what);
        }
    }
}
