//! Slaves of real processes that are killed: each task ends as it must, and is told of once.

use std::fs;
use std::path::Path;

use cluster_tests::cluster::{Cluster, Daemon, free_port, wait_closely, wait_for};
use cluster_tests::recorder::{Recorder, command};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::find;

const LIFE: [&str; 3] = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"];

/// How a task may end that never reached an executor.
type End = (&'static str, &'static str);

const UNKNOWN: End = ("TASK_LOST", "REASON_RECONCILIATION");
const NO_PROCESS: End = ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED");
const NO_ADDRESS: End = ("TASK_LOST", "REASON_EXECUTOR_REREGISTRATION_TIMEOUT");
const NOT_SENT: End = ("TASK_LOST", "REASON_SLAVE_RESTARTED");
/// The offer that it was to be launched on went with the slave.
const NOT_GIVEN: End = ("TASK_LOST", "REASON_INVALID_OFFERS");

/// What must become of a task, given what its slave had written down when it was killed: whether it
/// may run, and how else it may end.
fn fate(meta: &Path, task: &str) -> (bool, &'static [End]) {
    let executor = find(meta, &format!("executors/{task}"));
    let run = executor.and_then(|executor| fs::canonicalize(executor.join("runs/latest")).ok());
    let Some(run) = run else { return (false, &[UNKNOWN]) };
    let written = |path: &str| fs::metadata(run.join(path)).is_ok_and(|file| file.len() > 0);
    if !written(&format!("tasks/{task}/task.info")) {
        (false, &[UNKNOWN])
    } else if !written("pids/forked.pid") {
        (false, &[NO_PROCESS])
    } else if !written("pids/libprocess.pid") {
        // Its process waits for a slave that is gone, or has not been heard, or was.
        (false, &[NO_PROCESS, NOT_SENT, NO_ADDRESS])
    } else if !written(&format!("tasks/{task}/task.updates")) {
        (true, &[NOT_SENT])
    } else {
        (true, &[])
    }
}

fn assert_ended(recorder: &Recorder, task: &str, may_run: bool, ends: &[End]) {
    let end = recorder.end(task);
    let states = recorder.states(task);
    let lived = may_run && states == LIFE;
    let dropped = states.len() == 1 && ends.contains(&end);
    assert!(lived || dropped, "{task}: {:?}, not {ends:?}", recorder.told(task));
}

fn wait_for_registration(slave: &Daemon) {
    wait_for("the slave to register", || {
        (slave.json("/metrics/snapshot")["slave/registered"] == 1.0).then_some(())
    });
}

fn assert_books_closed(slave: &Daemon) {
    wait_for("the slave's books to be closed", || {
        slave.json("/state")["frameworks"].as_array()?.is_empty().then_some(())
    });
}

/// Nothing runs that was started in that directory.
fn assert_nothing_runs(directory: &Path) {
    let mark = format!("MESOS_DIRECTORY={}", directory.display());
    wait_for("executors to be gone", || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let environments = entries.filter_map(|entry| fs::read(entry.path().join("environ")).ok());
        let left = environments.filter(|it| String::from_utf8_lossy(it).contains(&mark));
        (left.count() == 0).then_some(())
    });
}

/// What is written while a task is launched, each of which the slave is killed at.
const WRITTEN: [&str; 6] = [
    "executor.info",
    "executor_generated_for_command_task",
    "task.info",
    "forked.pid",
    "libprocess.pid",
    "task.updates",
];

#[test]
fn slave_killed_at_each_checkpoint_loses_no_task_and_invents_no_update() {
    let mut cluster = Cluster::start(&["--allocation_interval=50ms"], 1, &[]);
    let recorder = Recorder::start(cluster.master.address);
    let (go, meta) = (cluster.directory().join("go"), cluster.slave_dir(0).join("meta"));
    let line = format!("while ! test -e {}; do sleep 0.05; done", go.display());
    let mut fates = Vec::new();
    for (number, file) in WRITTEN.into_iter().enumerate() {
        let task = format!("t{number}");
        recorder.run(command(&task, &line));
        wait_closely(&format!("{file} to be written"), || {
            find(&find(&meta, &format!("executors/{task}"))?, file)
        });
        cluster.slaves[0].kill();
        let fate = fate(&meta, &task);
        eprintln!("killed at {file}: {fate:?}");
        fates.push((task, fate));
        cluster.slaves.clear();
        let restarted = cluster.slave(0, free_port(), &[]);
        wait_for_registration(&restarted);
        cluster.slaves.push(restarted);
    }
    fs::write(&go, "").unwrap();
    for (task, (may_run, ends)) in fates {
        assert_ended(&recorder, &task, may_run, ends);
    }
    assert_books_closed(&cluster.slaves[0]);
    assert_nothing_runs(cluster.directory());
}

/// Files and directories below, and bytes in the files.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => 1 + size(&entry.path()),
        _ => 1 + entry.metadata().map_or(0, |file| file.len()),
    };
    entries.map(size).sum()
}

const SLAVES: usize = 3;
const KILLS: usize = 12;
/// Tasks behind the last kill.
const UNDISTURBED: usize = 4;

#[test]
fn slaves_killed_at_a_dozen_moments_while_tasks_flow_lose_no_task_and_invent_no_update() {
    let mut cluster = Cluster::start(&["--allocation_interval=50ms"], SLAVES, &[]);
    let recorder = Recorder::start(cluster.master.address);
    let mut draws = ChaCha8Rng::seed_from_u64(7);
    let mut tasks = Vec::new();
    for round in 0..KILLS {
        for _ in 0..4 {
            tasks.push(format!("t{}", tasks.len()));
            let line = format!("sleep 0.{}", draws.random_range(1..9));
            recorder.run(command(tasks.last().unwrap(), &line));
        }
        // After so many further updates, or so much that was written, by whichever slave.
        let metas: Vec<_> = (0..SLAVES).map(|it| cluster.slave_dir(it).join("meta")).collect();
        let written = || metas.iter().map(|meta| size(meta)).sum::<u64>();
        let (told, before) = (recorder.tellings(), written());
        let (updates, bytes) = (draws.random_range(1..6), draws.random_range(1..4000));
        let by_updates = draws.random_bool(0.5);
        wait_closely("the moment", || match by_updates {
            true => (recorder.tellings() >= told + updates).then_some(()),
            false => (written() >= before + bytes).then_some(()),
        });
        let victim = round % SLAVES;
        cluster.slaves[victim].kill();
        cluster.slaves[victim] = cluster.slave(victim, free_port(), &[]);
    }
    cluster.slaves.iter().for_each(wait_for_registration);
    // Nothing befalls these.
    for _ in 0..UNDISTURBED {
        tasks.push(format!("t{}", tasks.len()));
        recorder.run(command(tasks.last().unwrap(), "true"));
    }
    let (disturbed, undisturbed) = tasks.split_at(tasks.len() - UNDISTURBED);
    for task in disturbed {
        recorder.end(task);
        let begun = recorder.states(task).len() > 1;
        let all = &[UNKNOWN, NO_PROCESS, NOT_SENT, NO_ADDRESS, NOT_GIVEN][..];
        assert_ended(&recorder, task, true, if begun { &[] } else { all });
    }
    undisturbed.iter().for_each(|task| assert_ended(&recorder, task, true, &[]));
    cluster.slaves.iter().for_each(assert_books_closed);
    assert_nothing_runs(cluster.directory());
}
