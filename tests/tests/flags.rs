//! The command lines of daemons: which flags they know, and what comes of some in a real process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::process::{Child, Command, Stdio};

use cluster_tests::cluster::{Cluster, binary, free_port, text, wait_for};
use cluster_tests::get::get;
use libprocess::flags::{FlagError, Loader};
use serde_json::Value;

/// Names and aliases that command lines of the protocol family use, one a line.
const AGENT: &str = include_str!("flags/agent.txt");
const MASTER: &str = include_str!("flags/master.txt");

/// Those of the names that a program refuses to know, whatever it says of their values.
fn unknown(names: &'static str, load: fn(String) -> Option<FlagError>) -> Vec<&'static str> {
    let known = |name: &str| {
        let error = load(format!("--{name}=x"));
        !matches!(error, Some(FlagError::Unknown { .. }))
    };
    assert!(!known("nonsense"));
    names.lines().filter(|name| !known(name)).collect()
}

#[test]
fn slave_knows_every_flag_of_the_family() {
    let load = |flag| Loader::new("test").load::<slave::flags::Flags>([flag]).err();
    assert_eq!(unknown(AGENT, load), Vec::<&str>::new());
}

#[test]
fn master_knows_every_flag_of_the_family() {
    let load = |flag| Loader::new("test").load::<master::flags::Flags>([flag]).err();
    // Modules are not loaded, and a master that one of them was to elect must not lead unelected.
    let refused = ["master_contender", "master_detector"];
    let unknown = unknown(MASTER, load);
    let unknown: Vec<_> = unknown.into_iter().filter(|name| !refused.contains(name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

/// A process that is killed with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn slave_listens_where_a_command_says_and_is_called_after_that_address() {
    let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
    let _slave = Killed(
        Command::new(binary("mesos-slave"))
            .args(["--master=127.0.0.1:1", "--ip_discovery_command=echo 127.0.0.1"])
            .args(["--no-hostname_lookup", &format!("--port={port}")])
            .arg(format!("--work_dir={}", directory.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let state = wait_for("the slave's state", || {
        let answer = get(([127, 0, 0, 1], port).into(), "/state").ok()?;
        serde_json::from_str::<Value>(&answer.body).ok()
    });
    assert_eq!(state["hostname"], "127.0.0.1");
    assert_eq!(state["pid"], format!("slave(1)@127.0.0.1:{port}"));
}

#[test]
fn slave_that_is_told_two_things_at_once_says_so_in_one_line() {
    for [one, other] in [
        ["--ip=127.0.0.1", "--ip_discovery_command=echo 127.0.0.1"],
        ["--master=127.0.0.1:1", "--master_detector=org_example"],
    ] {
        let output = Command::new(binary("mesos-slave"))
            .args(["--work_dir=/nonexistent", one, other])
            .output()
            .unwrap();
        let (_, errors) = text(&output);
        assert!(!output.status.success());
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("mesos-slave: only one of the flags"), "{errors}");
    }
}

#[test]
fn slave_shows_its_log_and_says_what_has_no_effect() {
    let mut cluster = Cluster::start(&[], 0, &[]);
    let log = cluster.directory().join("log");
    let flags = [
        format!("--log_dir={}", log.display()),
        "--logbufsecs=30".to_owned(),
        "--docker=/usr/bin/docker".to_owned(),
        "--hooks=h".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let slave = cluster.slave(0, free_port(), &flags);
    cluster.slaves.push(slave);
    let slave = &cluster.slaves[0];
    let shown = wait_for("the slave's log", || {
        let answer = slave.get("/files/read?path=/slave/log&offset=0");
        let shown: Value = serde_json::from_str(&answer.body).ok()?;
        shown["data"].as_str().filter(|data| data.contains("is listening")).map(str::to_owned)
    });
    for flag in ["logbufsecs", "docker", "hooks"] {
        let line = format!("flag '{flag}' has no effect");
        assert_eq!(shown.matches(&line).count(), 1, "{flag}: {shown}");
    }
    assert_eq!(
        slave.json("/files/debug")["/slave/log"],
        log.join("mesos-slave.log").display().to_string()
    );
    assert_eq!(slave.json("/state")["log_dir"], log.display().to_string());
}
