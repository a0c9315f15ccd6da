//! Checkpoints of real slaves that are spoilt, each in every way.

use std::fs;
use std::path::Path;

use cluster_tests::cluster::{free_port, wait_for};

use super::{find, reason, slave, with_task_and_no_slave};

/// Checkpoints that are one record, or several; half of one is none.
const RECORDS: [&str; 5] =
    ["slave.info", "framework.info", "executor.info", "task.info", "resources/resources.info"];
/// Those that are texts of a form.
const TEXTS: [&str; 4] = ["framework.pid", "forked.pid", "libprocess.pid", "boot_id"];
const NOISE: &[u8] = b"\xff\xff\xff\x7fno\nsense";

/// A strict slave ends, and says in one line which file it cannot read.
fn assert_refused(cluster: &cluster_tests::cluster::Cluster, path: &Path, what: &str) {
    let output = slave(cluster, &[]);
    assert!(!output.status.success(), "{what}");
    let told = reason(&output);
    let shown = path.display().to_string();
    assert!(told.contains("recovery failed") && told.contains(&shown), "{what}: {told}");
}

#[test]
fn checkpoint_that_is_spoilt_ends_a_strict_slave_and_keeps_no_task_from_going_on_once_mended() {
    let (mut cluster, mut execute, go) = with_task_and_no_slave("spoilt");
    cluster.slaves.clear();
    let meta = cluster.slave_dir(0).join("meta");
    fs::create_dir_all(meta.join("resources")).unwrap();
    // One resource, as a slave of this host may have it.
    let record = b"\x02\x00\x00\x00\x0a\x00";
    fs::write(meta.join("resources/resources.info"), record).unwrap();
    let updates = find(&meta, "task.updates").unwrap();
    for name in RECORDS.into_iter().chain(TEXTS) {
        let path = find(&meta, name).unwrap_or_else(|| panic!("no {name}"));
        let whole = fs::read(&path).unwrap();
        let (empty, half) = (&b""[..], &whole[..whole.len() / 2]);
        let mut damages = vec![NOISE];
        // An empty text is none, an empty list is one, and half of a number is a number.
        damages.extend(Some(empty).filter(|_| RECORDS[..4].contains(&name)));
        damages.extend(Some(half).filter(|_| name != "forked.pid"));
        for damage in damages {
            fs::write(&path, damage).unwrap();
            assert_refused(&cluster, &path, &format!("{name} {damage:?}"));
        }
        fs::write(&path, whole).unwrap();
    }
    let whole = fs::read(&updates).unwrap();
    fs::write(&updates, NOISE).unwrap();
    assert_refused(&cluster, &updates, "task.updates");
    fs::write(&updates, whole).unwrap();
    fs::remove_file(meta.join("resources/resources.info")).unwrap();
    // This one is not to be taken for another boot.
    fs::write(meta.join("boot_id"), "").unwrap();
    let _restarted = cluster.slave(0, free_port(), &[]);
    cluster.wait_for_slaves(1);
    fs::write(go, "").unwrap();
    assert!(execute.0.wait().unwrap().success());
}

#[test]
fn checkpoint_that_is_spoilt_is_left_out_by_a_lenient_slave_which_says_so() {
    let (mut cluster, _execute, _) = with_task_and_no_slave("spoilt");
    cluster.slaves.clear();
    let info = find(&cluster.slave_dir(0).join("meta"), "executor.info").unwrap();
    fs::write(&info, NOISE).unwrap();
    let lenient = cluster.slave(0, free_port(), &["--no-strict"]);
    wait_for("the slave to register", || {
        let metrics = lenient.json("/metrics/snapshot");
        (metrics["slave/registered"] == 1.0 && metrics["slave/recovery_errors"] == 1.0)
            .then_some(())
    });
    let log = lenient.log();
    let told = log.lines().filter(|line| line.contains("executor.info"));
    assert_eq!(told.count(), 1, "{log}");
}

#[test]
fn process_id_that_was_cut_is_taken_for_nobody_elses_and_the_task_fails_whole() {
    let (mut cluster, mut execute, _) = with_task_and_no_slave("cut");
    cluster.slaves.clear();
    let path = find(&cluster.slave_dir(0).join("meta"), "forked.pid").unwrap();
    let pid = fs::read_to_string(&path).unwrap();
    // The process of half that number is none of the container's: one of ours here.
    let mut stranger =
        super::Running(std::process::Command::new("sleep").arg("1000").spawn().unwrap());
    fs::write(&path, stranger.0.id().to_string()).unwrap();
    let restarted = cluster.slave(0, free_port(), &[]);
    cluster.wait_for_slaves(1);
    assert!(!execute.0.wait().unwrap().success());
    wait_for("the executor to be gone", || {
        (!Path::new("/proc").join(pid.trim()).exists()).then_some(())
    });
    assert!(stranger.0.try_wait().unwrap().is_none());
    drop(restarted);
}
