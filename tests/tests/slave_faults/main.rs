//! What hosts do to slaves: disks that are full or read-only, files that are spoilt, processes that are
//! killed or stopped. Each ends as it is told, with one clear line. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod crashes;
mod hiding;
mod spoilt;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use cluster_tests::cluster::{Cluster, Daemon, binary, free_port, text, wait_for};
use serde_json::json;

/// A child that does not outlive the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A small file system of the test's own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size},mode=755");
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", &at.display().to_string()]);
        Self(at.to_owned())
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        run("mount", &["-o", &options, &self.0.display().to_string()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

pub(crate) fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", text(&output).1);
}

fn signal(daemon: &Daemon, name: &str) {
    run("kill", &[&format!("-{name}"), &daemon.id().to_string()]);
}

/// Runs a slave that is to end by itself.
pub(crate) fn slave(cluster: &Cluster, more: &[&str]) -> Output {
    let work_dir = format!("--work_dir={}", cluster.slave_dir(0).display());
    Command::new(binary("mesos-slave"))
        .args(["--ip=127.0.0.1", &work_dir, &format!("--master={}", cluster.master.address)])
        .arg(format!("--port={}", free_port()))
        .args(more)
        .output()
        .unwrap()
}

/// The one line on standard error that says why the slave ended.
pub(crate) fn reason(output: &Output) -> String {
    let err = text(output).1;
    let lines = err.lines().filter(|line| line.starts_with("mesos-slave: "));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{err}");
    lines[0].to_owned()
}

/// The checkpoint of that name, wherever it lies.
pub(crate) fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        if path.ends_with(name) {
            return Some(path);
        }
        if entry.file_type().ok()?.is_dir()
            && let Some(found) = find(&path, name)
        {
            return Some(found);
        }
    }
    None
}

/// A cluster with a task that goes on until the file `go` is there; its slave is killed.
pub(crate) fn with_task_and_no_slave(name: &str) -> (Cluster, Running, PathBuf) {
    let mut cluster = Cluster::start(&[], 1, &[]);
    let go = cluster.directory().join("go");
    let command = format!("--command=while ! test -e {}; do sleep 0.05; done", go.display());
    let name = format!("--name={name}");
    let execute = Running(cluster.spawn_execute(&[&name, &command, "--checkpoint"]));
    cluster.wait_for_task(&name["--name=".len()..], "TASK_RUNNING");
    // Both updates have been acknowledged, and that is written down.
    wait_for("the stream to be empty", || {
        let metrics = cluster.slaves[0].json("/metrics/snapshot");
        (metrics["slave/tasks_running"] == 1.0).then_some(())
    });
    cluster.slaves[0].kill();
    (cluster, execute, go)
}

#[test]
fn slave_on_a_read_only_disk_says_so_and_ends() {
    let mut cluster = Cluster::start(&[], 0, &[]);
    let disk = SmallDisk::mount(&cluster.slave_dir(0), "64m");
    let daemon = cluster.slave(0, free_port(), &[]);
    cluster.slaves.push(daemon);
    cluster.wait_for_slaves(1);
    disk.remount("ro");
    let _execute = Running(cluster.spawn_execute(&["--name=t", "--command=true", "--checkpoint"]));
    let slave = &mut cluster.slaves[0];
    assert_eq!(slave.ended(), Some(1));
    let log = slave.log();
    let told = log.lines().filter(|line| line.starts_with("mesos-slave: ")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("Read-only file system"), "{told:?}");
    // Nor can one be started there.
    cluster.slaves.clear();
    let output = self::slave(&cluster, &[]);
    assert!(!output.status.success());
    assert!(reason(&output).contains("Read-only file system"), "{}", reason(&output));
}

#[test]
fn slave_on_a_full_disk_ends_and_comes_back_to_its_task_when_there_is_room() {
    let mut cluster = Cluster::start(&[], 0, &[]);
    let disk = SmallDisk::mount(&cluster.slave_dir(0), "16m");
    let flags = ["--resources=cpus:4;mem:1024;disk:10"];
    let daemon = cluster.slave(0, free_port(), &flags);
    cluster.slaves.push(daemon);
    cluster.wait_for_slaves(1);
    let go = cluster.directory().join("go");
    let command = format!("--command=while ! test -e {}; do sleep 0.05; done", go.display());
    let execute = cluster.spawn_execute(&["--name=kept", &command, "--checkpoint"]);
    cluster.wait_for_task("kept", "TASK_RUNNING");
    let filler = disk.0.join("filler");
    // Whatever fits.
    let _ = Command::new("dd")
        .args(["if=/dev/zero", &format!("of={}", filler.display()), "bs=4096"])
        .output();
    let _other = Running(cluster.spawn_execute(&["--name=u", "--command=true", "--checkpoint"]));
    let slave = &mut cluster.slaves[0];
    assert_eq!(slave.ended(), Some(1));
    assert!(slave.log().contains("No space left on device"), "{}", slave.log());
    cluster.slaves.clear();
    fs::remove_file(filler).unwrap();
    let daemon = cluster.slave(0, free_port(), &flags);
    cluster.slaves.push(daemon);
    cluster.wait_for_slaves(1);
    fs::write(go, "").unwrap();
    let (out, err) = text(&execute.wait_with_output().unwrap());
    assert!(out.contains("TASK_FINISHED"), "{out}\n{err}");
}

#[test]
fn update_log_that_was_torn_is_cut_and_nothing_is_lost() {
    let (mut cluster, execute, go) = with_task_and_no_slave("torn");
    cluster.slaves.clear();
    let path = find(&cluster.slave_dir(0).join("meta"), "task.updates").unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"\x40\x00\x00\x00half a rec"].concat()).unwrap();
    let restarted = cluster.slave(0, free_port(), &[]);
    cluster.wait_for_slaves(1);
    fs::write(go, "").unwrap();
    let mut execute = execute;
    let status = execute.0.wait().unwrap();
    assert!(status.success());
    drop(restarted);
}

#[test]
fn slave_that_was_stopped_for_long_comes_back_and_so_does_its_task() {
    let pings = ["--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=3"];
    let cluster = Cluster::start(&pings, 1, &[]);
    let go = cluster.directory().join("go");
    let command = format!("--command=while ! test -e {}; do sleep 0.05; done", go.display());
    let mut execute = Running(cluster.spawn_execute(&[
        "--name=slow",
        &command,
        "--checkpoint",
        "--partition_aware",
    ]));
    cluster.wait_for_task("slow", "TASK_RUNNING");
    signal(&cluster.slaves[0], "STOP");
    wait_for("the slave to be unreachable", || {
        (cluster.master.json("/state")["activated_slaves"] == 0).then_some(())
    });
    signal(&cluster.slaves[0], "CONT");
    cluster.wait_for_slaves(1);
    cluster.wait_for_task("slow", "TASK_RUNNING");
    fs::write(go, "").unwrap();
    assert!(execute.0.wait().unwrap().success());
}

/// A program whose wall clock is as far ahead as a file says, in seconds, at any time.
fn with_a_clock_of_its_own(cluster: &Cluster, offset: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = cluster.directory().join("mesos-slave-faketime");
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    assert!(Path::new(library).exists(), "{library}: run `cargo xtask setup`");
    let script = format!(
        "#!/bin/sh\nexport LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 \
         FAKETIME_DONT_FAKE_MONOTONIC=1\nexec {} \"$@\"\n",
        offset.display(),
        binary("mesos-slave").display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn slave_whose_clock_jumps_keeps_its_master_and_its_task() {
    let cluster = Cluster::start(&["--allocation_interval=100ms"], 0, &[]);
    let offset = cluster.directory().join("offset");
    fs::write(&offset, "+0").unwrap();
    let program = with_a_clock_of_its_own(&cluster, &offset);
    let slave = cluster.slave_of(&program, 0, free_port(), &[]);
    cluster.wait_for_slaves(1);
    let go = cluster.directory().join("go");
    let command = format!("--command=while ! test -e {}; do sleep 0.05; done", go.display());
    let mut execute =
        Running(cluster.spawn_execute(&["--name=slow", &command, "--resources=cpus:0.1;mem:32"]));
    cluster.wait_for_task("slow", "TASK_RUNNING");
    let day = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let (mut days, mut uptime) = (std::collections::BTreeSet::new(), f64::EPSILON);
    for (round, jump) in ["+0", "+2592000", "-2592000"].into_iter().enumerate() {
        fs::write(&offset, jump).unwrap();
        let name = format!("--name=quick{round}");
        let done = cluster.execute(&[&name, "--command=true", "--resources=cpus:0.1;mem:32"]);
        assert!(done.status.success(), "{jump}: {:?}", text(&done));
        days.insert(day(slave.log().lines().last().unwrap()));
        // What it goes by goes on as ever.
        let now = slave.json("/metrics/snapshot")["slave/uptime_secs"].as_f64().unwrap();
        assert!((uptime..3600.0).contains(&now), "{jump}: {uptime} s, then {now} s");
        uptime = now;
    }
    // Its log tells the time that it was given.
    assert_eq!(days.len(), 3, "{days:?}");
    cluster.wait_for_task("slow", "TASK_RUNNING");
    let metrics = cluster.master.json("/metrics/snapshot");
    assert_eq!(metrics["master/slave_reregistrations"], 0.0);
    fs::write(go, "").unwrap();
    assert!(execute.0.wait().unwrap().success());
}

#[test]
fn executor_that_is_missing_fails_its_task_in_one_line() {
    let cluster = Cluster::start(&[], 1, &[]);
    let task = json!({
        "task_id": {"value": "custom"}, "name": "custom",
        "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}],
        "executor": {"executor_id": {"value": "e"}, "command": {
            "shell": false, "value": "/none/such", "arguments": ["such"]}},
    });
    let output = cluster.execute(&[&format!("--task={task}")]);
    let (out, err) = text(&output);
    assert!(out.contains("TASK_FAILED") && err.contains("Executor terminated"), "{out}\n{err}");
    let said = find(&cluster.slave_dir(0).join("slaves"), "stderr").unwrap();
    let said = fs::read_to_string(said).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("cannot execute '/none/such'"), "{said}");
}
