//! The drill of a rolling upgrade: the slave is stopped, its program is replaced, it is started again;
//! a foreign framework's tasks keep their processes. Needs Go.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cluster_tests::cluster::{Cluster, binary, free_port, text, wait_for};
use cluster_tests::go::go_build;
use cluster_tests::recorder::{Recorder, command};
use serde_json::Value;

const PROGRAMS: [&str; 4] =
    ["mesos-slave", "mesos-executor", "mesos-fetcher", "mesos-containerizer"];

/// A directory of programs, as a package would install them.
fn install(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for program in PROGRAMS {
        // Whoever runs the old file keeps it; the name leads to the new one.
        let part = directory.join(format!("{program}.part"));
        fs::copy(binary(program), &part).unwrap();
        fs::rename(&part, directory.join(program)).unwrap();
    }
}

fn processes(notes: &Path) -> Vec<String> {
    let entries = fs::read_dir(notes).unwrap().flatten().map(|entry| entry.path());
    let files = entries.filter(|path| path.extension().is_some_and(|it| it == "pid"));
    let mut pids: Vec<String> =
        files.map(|path| fs::read_to_string(path).unwrap().trim().to_owned()).collect();
    pids.sort();
    pids
}

/// The first processes of executors, as the slave has written them down.
fn executors(meta: &Path) -> Vec<String> {
    let output = Command::new("find").arg(meta).args(["-name", "forked.pid"]).output().unwrap();
    let paths = String::from_utf8(output.stdout).unwrap();
    let mut pids: Vec<String> =
        paths.lines().map(|path| fs::read_to_string(PathBuf::from(path)).unwrap()).collect();
    pids.sort();
    pids
}

/// When a process was started: another one of its number would have another time.
fn started(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19).map(str::to_owned)
}

#[test]
fn tasks_of_a_foreign_framework_keep_their_processes_over_an_upgrade_of_their_slave() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"], 0, &[]);
    let directory = cluster.directory().to_owned();
    let (scheduler, executor) = (go_build("upgrade", &directory), go_build("executor", &directory));
    let (notes, programs) = (directory.join("notes"), directory.join("programs"));
    fs::create_dir_all(&notes).unwrap();
    install(&programs);
    let port = free_port();
    let launcher_dir = format!("--launcher_dir={}", programs.display());
    let flags = [launcher_dir.as_str(), "--resources=cpus:4;mem:1024"];
    let slave = cluster.slave_of(&programs.join("mesos-slave"), 0, port, &flags);
    cluster.slaves.push(slave);
    let scheduler = Command::new(scheduler)
        .arg(format!("-master={}", cluster.master.address))
        .arg(format!("-executor={}", executor.display()))
        .arg(format!("-directory={}", notes.display()))
        .args(["-commands=3", "-timeout=150s", "-logtostderr"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("all tasks to run", || notes.join("running").exists().then_some(()));
    let meta = cluster.slave_dir(0).join("meta");
    let before = (processes(&notes), executors(&meta));
    assert_eq!((before.0.len(), before.1.len()), (3, 4));
    let times: Vec<_> = before.0.iter().chain(&before.1).map(|pid| started(pid).unwrap()).collect();
    // An orderly stop, another program, and a start: twice.
    for _ in 0..2 {
        let pid = cluster.slaves[0].id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(cluster.slaves[0].ended(), Some(0));
        cluster.slaves.clear();
        install(&programs);
        let slave = cluster.slave_of(&programs.join("mesos-slave"), 0, port, &flags);
        cluster.slaves.push(slave);
        cluster.wait_for_slaves(1);
        let after: Vec<_> = before.0.iter().chain(&before.1).map(|pid| started(pid)).collect();
        assert_eq!(after, times.iter().cloned().map(Some).collect::<Vec<_>>());
    }
    fs::write(notes.join("go"), "").unwrap();
    let output = scheduler.wait_with_output().unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    let seen: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!((seen["running"].as_u64(), seen["finished"].as_u64()), (Some(4), Some(4)), "{seen}");
    assert_eq!(seen["pongs"], 1);
}

#[test]
fn update_that_was_not_acknowledged_before_an_upgrade_is_told_again_behind_it() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"], 0, &[]);
    let (programs, go) = (cluster.directory().join("programs"), cluster.directory().join("go"));
    install(&programs);
    let port = free_port();
    let launcher_dir = format!("--launcher_dir={}", programs.display());
    let flags = [launcher_dir.as_str(), "--resources=cpus:4;mem:1024"];
    let start = |cluster: &Cluster| {
        let slave = cluster.slave_of(&programs.join("mesos-slave"), 0, port, &flags);
        cluster.wait_for_slaves(1);
        slave
    };
    let slave = start(&cluster);
    cluster.slaves.push(slave);
    let recorder = Recorder::start(cluster.master.address);
    recorder.withhold(true);
    let line = format!("while ! test -e {}; do sleep 0.05; done", go.display());
    recorder.run(command("t", &line));
    // It runs, which is not told before what is under way is acknowledged.
    cluster.wait_for_task("t", "TASK_RUNNING");
    let before = recorder.told("t");
    assert!(before.iter().all(|told| told.state == "TASK_STARTING"), "{before:?}");
    let pid = cluster.slaves[0].id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(cluster.slaves[0].ended(), Some(0));
    cluster.slaves.clear();
    install(&programs);
    let told = recorder.told("t").len();
    let slave = start(&cluster);
    cluster.slaves.push(slave);
    wait_for("the update to be told again", || (recorder.told("t").len() > told).then_some(()));
    assert_eq!(recorder.states("t"), ["TASK_STARTING"]);
    recorder.withhold(false);
    recorder.wait_for("t", "TASK_RUNNING");
    fs::write(go, "").unwrap();
    assert_eq!(recorder.end("t"), ("TASK_FINISHED", "-"));
    assert_eq!(recorder.states("t"), ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]);
}
