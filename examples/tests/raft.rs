//! The replicated register in simulated storms. `SEED=… cargo test -p examples --test raft` replays
//! one seed, `SIM_SEEDS=1000` runs more of them, and `--features planted-bug` plants a mistake.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::process::Command;

use examples::raft::linearizable::check;
use examples::raft::{Bug, chaos};
use libprocess::sim::{World, check_determinism, seeds};

/// A bug must show in one of so many storms. Each shows in 2 of 100 or more.
const STORMS: u64 = 400;

#[test]
fn raft_register_is_linearizable_in_every_storm() {
    let mut answered = 0;
    let storms = if Bug::planted().is_some() { STORMS } else { 40 };
    for seed in seeds(storms) {
        let mut world = World::new(seed);
        let history = chaos::run(&mut world, chaos::Plan::default()).unwrap();
        if let Err(violation) = check(0, &history) {
            panic!("seed {seed}: {violation}");
        }
        assert!(world.panics().is_empty(), "seed {seed}: {:?}", world.panics());
        answered += history.answered();
    }
    assert!(answered > 50, "{answered} answers prove nothing");
}

#[test]
fn raft_register_of_five_servers_is_linearizable_too() {
    for seed in seeds(5) {
        let plan = chaos::Plan { servers: 5, ..chaos::Plan::default() };
        let history = chaos::run(&mut World::new(seed), plan).unwrap();
        if let Err(violation) = check(0, &history) {
            panic!("seed {seed}: {violation}");
        }
    }
}

#[test]
fn storm_of_one_seed_is_always_the_same() {
    for seed in seeds(3) {
        check_determinism(seed, |world| drop(chaos::run(world, chaos::Plan::default()))).unwrap();
    }
}

/// The first seed whose storm shows the bug.
fn found(bug: Bug) -> Option<u64> {
    let shows = |seed: &u64| {
        let plan = chaos::Plan { bug: Some(bug), ..chaos::Plan::default() };
        // Some bugs also leave clients without an answer; that alone proves nothing here.
        let seen = chaos::run(&mut World::new(*seed), plan);
        seen.is_ok_and(|history| check(0, &history).is_err())
    };
    (1..=STORMS).find(shows)
}

#[test]
fn bug_of_forgotten_votes_is_found() {
    assert!(found(Bug::ForgetsVotes).is_some());
}

#[test]
fn bug_of_answers_before_saving_is_found() {
    assert!(found(Bug::AnswersBeforeSaving).is_some());
}

#[test]
fn bug_of_local_reads_is_found() {
    assert!(found(Bug::ReadsLocally).is_some());
}

#[test]
fn raft_sim_tells_of_each_seed_and_fails_with_what_does_not_fit() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raft-sim"));
        command.args(arguments).env_remove("SEED").env_remove("SIM_SEEDS").output().unwrap()
    };
    let bad = run(&["50", "reads-locally"]);
    let (stdout, stderr) =
        (String::from_utf8(bad.stdout).unwrap(), String::from_utf8(bad.stderr).unwrap());
    assert!(
        !bad.status.success() && stderr.contains("no order of the operations fits"),
        "{stderr}"
    );
    let failed = stdout.lines().count() + 1;
    assert!(stderr.starts_with(&format!("raft-sim: seed {failed}: ")), "{stdout}{stderr}");
}
