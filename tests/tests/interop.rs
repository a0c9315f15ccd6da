//! A scheduler and an executor on other people's libprocess: Debian's Go bindings.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::path::Path;
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

/// Runs the Go framework that fails over; what it printed.
fn go_failover(program: &Path, cluster: &Cluster, flags: &[&str]) -> (bool, Value) {
    let output = Command::new(program)
        .arg(format!("-master={}", cluster.master.address))
        .args(["-principal=gopher", "-timeout=60s", "-logtostderr"])
        .args(flags)
        .output()
        .unwrap();
    let (out, err) = text(&output);
    let seen =
        serde_json::from_str(out.trim()).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"));
    (output.status.success(), seen)
}

#[test]
fn go_scheduler_proves_who_it_is_and_fails_over_with_its_tasks_alive() {
    let directory = tempfile::tempdir().unwrap();
    let credentials = directory.path().join("credentials");
    std::fs::write(&credentials, "gopher burrow\n").unwrap();
    let credentials = format!("--credentials={}", credentials.display());
    let flags = ["--allocation_interval=100ms", "--authenticate_frameworks=true", &credentials];
    let cluster = Cluster::start(&flags, 1, &["--resources=cpus:4;mem:2048"]);
    let program = go_build("failover", cluster.directory());
    let (_, refused) = go_failover(&program, &cluster, &["-secret=wrong", "-timeout=20s"]);
    assert_eq!(refused["id"], "", "{refused}");
    let (done, launched) = go_failover(&program, &cluster, &["-secret=burrow"]);
    assert!(done && launched["running"] == 3, "{launched}");
    let id = launched["id"].as_str().unwrap();
    let resume = format!("-resume={id}");
    let (done, resumed) = go_failover(&program, &cluster, &["-secret=burrow", &resume]);
    assert!(done, "{resumed}");
    assert_eq!(resumed["id"], id);
    for what in ["named", "all", "killed"] {
        assert_eq!(resumed[what], 3, "{what} in {resumed}");
    }
    let state = cluster.master.json("/state");
    assert_eq!(state["completed_frameworks"][0]["id"], id);
    assert_eq!(state["frameworks"].as_array().map(Vec::len), Some(0));
}
