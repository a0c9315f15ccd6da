//! The binaries with real processes: a cluster in one OS process, tasks in processes of their own.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn execute(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mesos-execute")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn local_task_shows_its_output_and_finishes() {
    let output = execute(&["--local", "--name=greeting", "--command=echo hello world"]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", text(&output.stderr));
    let expected = [
        "Subscribed with ID ",
        "Submitted task 'greeting' to agent '",
        "Received status update TASK_STARTING for task 'greeting'",
        "Received status update TASK_RUNNING for task 'greeting'",
        "Received status update TASK_FINISHED for task 'greeting'",
        "hello world",
    ];
    for line in expected {
        assert!(stdout.lines().any(|found| found.starts_with(line)), "no '{line}' in {stdout}");
    }
}

#[test]
fn local_task_that_fails_says_why() {
    let output = execute(&["--local", "--command=echo to stderr >&2; exit 3"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("to stderr\n"), "{stderr}");
    assert!(stderr.contains("TASK_FAILED"), "{stderr}");
    assert!(stderr.contains("exited with status 3"), "{stderr}");
}

#[test]
fn local_task_is_killed_after_its_time() {
    let output = execute(&["--local", "--command=sleep 1000", "--kill_after=100ms"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("TASK_KILLED"), "{}", text(&output.stdout));
}

#[test]
fn local_cluster_serves_frameworks_and_stops_on_a_signal() {
    let work_dir = std::env::temp_dir().join(format!("mesos-local-{}", libprocess::Uuid::new_v4()));
    let mut cluster = Command::new(env!("CARGO_BIN_EXE_mesos-local"))
        .args(["--port=0", "--num_slaves=2", "--quiet"])
        .arg(format!("--work_dir={}", work_dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(cluster.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    let master = lines[0].strip_prefix("master at ").unwrap();
    let output = execute(&[&format!("--master={master}"), "--name=n", "--command=true"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let pid = Pid::from_raw(i32::try_from(cluster.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(cluster.wait().unwrap().success());
    std::fs::remove_dir_all(work_dir).unwrap();
}
