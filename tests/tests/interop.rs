//! A scheduler and an executor on other people's libprocess: Debian's Go bindings.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::process::Command;

use cluster_tests::cluster::{Cluster, text};
use cluster_tests::go::go_build;
use serde_json::Value;

#[test]
fn go_scheduler_and_executor_run_unchanged() {
    let resources = "--resources=cpus:4;mem:2048";
    let cluster = Cluster::start(&["--allocation_interval=100ms"], 2, &[resources]);
    let scheduler = go_build("scheduler", cluster.directory());
    let executor = go_build("executor", cluster.directory());
    let output = Command::new(scheduler)
        .arg(format!("-master={}", cluster.master.address))
        .arg(format!("-executor={}", executor.display()))
        .args(["-commands=200", "-executors=50", "-timeout=180s", "-logtostderr"])
        .output()
        .unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    let seen: Value = serde_json::from_str(out.trim()).unwrap();
    let expected = [
        ("commands", 200),
        ("custom", 50),
        ("pongs", 50),
        ("killed", 1),
        ("lost", 1),
        ("slaves", 2),
    ];
    for (what, count) in expected {
        assert_eq!(seen[what], count, "{what} in {seen}");
    }
    // The library logs warnings as W lines and errors as E lines.
    let complaints: Vec<&str> =
        err.lines().filter(|line| line.starts_with(['W', 'E', 'F'])).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
