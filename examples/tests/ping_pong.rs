//! Ping-pong between two OS processes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::Program;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ping-pong");

#[test]
fn ping_pong_between_two_processes_prints_round_trip_times() {
    let mut pong = Program::start(PROGRAM, &["pong"]);
    let pid = pong.line();
    let (succeeded, lines) = Program::start(PROGRAM, &["ping", &pid, "50"]).end();
    assert!(succeeded, "{lines:?}");
    assert_eq!(lines[0], "50 round trips");
    let times: Vec<f64> = lines[1..]
        .iter()
        .map(|line| line[8..].trim_end_matches("us").trim().parse().unwrap())
        .collect();
    assert_eq!(times.len(), 4);
    assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
}

#[test]
fn ping_without_a_peer_fails_and_says_so() {
    let mut pong = Program::start(PROGRAM, &["pong"]);
    let pid = pong.line();
    drop(pong);
    let (succeeded, lines) = Program::start(PROGRAM, &["ping", &pid]).end();
    assert!(!succeeded, "{lines:?}");
}
