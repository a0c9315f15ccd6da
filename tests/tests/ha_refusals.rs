//! What masters refuse or survive in one clear line: damaged logs, quorums that are none, full disks,
//! strangers in ZooKeeper. Needs Java and ZooKeeper, which `cargo xtask test` installs, and root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster_tests::cluster::{text, wait_for};
use cluster_tests::get::exchange;
use cluster_tests::ha::{Ha, Plan, last_segment};

/// These tests measure patience: one at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loaded(plan: Plan) -> Plan {
    Plan { slaves: 2, ..plan }
}

/// The line by which a program gave up.
fn refusal(mut master: cluster_tests::ha::Daemon) -> String {
    let ended = master.wait_for_end("a master to give up");
    assert!(!ended.success());
    let output = master.output();
    let line = output.lines().rev().find(|line| line.starts_with("mesos-master: "));
    line.unwrap_or(&output).to_owned()
}

#[test]
fn log_that_is_damaged_or_foreign_is_refused_in_one_line() {
    let _turn = turn();
    let mut ha = Ha::start(loaded(Plan { masters: 1, ..Plan::default() }));
    ha.masters[0].as_mut().unwrap().terminate();
    let dir = ha.master_dir(0).join("replicated_log");
    let file = last_segment(&dir);
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[20] ^= 0x40;
    std::fs::write(&file, &damaged).unwrap();
    ha.start_master(0);
    let line = refusal(ha.masters[0].take().unwrap());
    assert!(line.contains("segment-") && line.contains("damaged at byte"), "{line}");
    assert_eq!(std::fs::read(&file).unwrap(), damaged);

    std::fs::write(&file, &whole).unwrap();
    std::fs::write(dir.join("CURRENT"), "MANIFEST-000001").unwrap();
    ha.start_master(0);
    let line = refusal(ha.masters[0].take().unwrap());
    assert!(line.contains("CURRENT") && line.contains("no part of a log"), "{line}");

    std::fs::remove_file(dir.join("CURRENT")).unwrap();
    ha.start_master(0);
    ha.wait_for_slaves(2);
}

#[test]
fn flags_that_do_not_go_together_are_refused_in_one_line() {
    let _turn = turn();
    let ha = Ha::prepare(Plan { masters: 0, ..Plan::default() });
    let dir = format!("--work_dir={}", ha.dir().display());
    for (flags, part) in [
        (&["--zk=zk://127.0.0.1:9/mesos", &dir][..], "quorum"),
        (&["--zk=zk://127.0.0.1:9/mesos", "--quorum=2"], "work_dir"),
        (&["--zk=zk://127.0.0.1:9/"], "path"),
        (&["--registry=zookeeper"], "zk"),
        (&["--quorum=2", &dir], "zk"),
        (&["--zk=file:///nowhere/at/all", &dir], "/nowhere/at/all"),
    ] {
        let refused = ha.tool("mesos-master", flags);
        let (_, err) = text(&refused);
        assert!(!refused.status.success() && err.lines().count() == 1, "{flags:?}: {err}");
        assert!(err.contains(part), "{flags:?}: {err}");
    }
}

#[test]
fn quorum_that_is_no_majority_writes_nothing() {
    let _turn = turn();
    let mut ha = Ha::prepare(Plan { slaves: 1, ..Plan::default() });
    ha.zookeeper.start(None);
    for master in 0..3 {
        let flags = ["--quorum=1", "--log_auto_initialize=false", "--registry_fetch_timeout=8secs"];
        let dir = format!("--path={}", ha.master_dir(master).join("replicated_log").display());
        let initialized = ha.tool("mesos-log", &["initialize", &dir]);
        assert!(initialized.status.success(), "{:?}", text(&initialized));
        let again = ha.tool("mesos-log", &["initialize", &dir]);
        assert!(!again.status.success() && text(&again).1.contains("not empty"), "{again:?}");
        ha.start_master_alone(master, &flags);
    }
    let joined = |output: String| {
        output.lines().any(|line| line.contains("joined") && line.contains("log_replicas"))
    };
    wait_for("three replicas that join", || {
        ha.masters.iter().flatten().all(|master| joined(master.output())).then_some(())
    });
    // Something to write.
    ha.start_slave(0);
    let line = "a quorum of 1 is no majority of";
    let refuser = wait_for("the refusal", || {
        ha.masters.iter().flatten().position(|master| master.output().contains(line))
    });
    // It goes on trying for as long as it may, and is not tedious about it.
    ha.masters[refuser].as_mut().unwrap().wait_for_end("the leader to give up");
    let said = ha.masters[refuser].as_ref().unwrap().output();
    assert_eq!(said.matches("of 3 replicas").count(), 1, "{said}");
}

/// A file system of a few pages, which is gone with the test.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tiny"]).arg(at);
        assert!(mount.status().unwrap().success());
        Self(at.to_owned())
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn full_disk_ends_the_leader_and_another_one_goes_on() {
    let _turn = turn();
    let mut ha = Ha::prepare(Plan { slaves: 2, ..Plan::default() });
    let dirs: Vec<PathBuf> = (0..3).map(|master| ha.master_dir(master)).collect();
    let _disks: Vec<Tiny> = dirs.iter().map(|dir| Tiny::mount(dir)).collect();
    ha.zookeeper.start(None);
    for master in 0..3 {
        ha.start_master_with(master, &["--registry_store_timeout=3secs"]);
    }
    ha.start_slave(0);
    ha.wait_for_slaves(1);
    ha.wait_for_replicas();
    let leader = ha.wait_for_leader();
    let ballast = dirs[leader].join("ballast");
    // As much as there is room for.
    let _ = std::fs::write(&ballast, vec![1; 1 << 20]);
    // More than fits into the last page.
    let weights: Vec<String> =
        (0..500).map(|role| format!(r#"{{"role": "role-{role}", "weight": 2.5}}"#)).collect();
    let body = format!("[{}]", weights.join(","));
    let request = format!(
        "PUT /weights HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let at = ha.masters[leader].as_ref().unwrap().address;
    std::thread::spawn(move || exchange(at, request.as_bytes()));
    let line = refusal(ha.masters[leader].take().unwrap());
    println!("{line}");
    ha.wait_for_leader_but(leader);
    ha.start_slave(1);
    ha.wait_for_slaves(2);
    // With room it is a standby again.
    std::fs::remove_file(&ballast).unwrap();
    ha.start_master(leader);
    ha.wait_for_replica(leader);
}

#[test]
fn what_stands_beside_the_masters_in_zookeeper_disturbs_nobody() {
    use coordination::group::{Group, SessionGroup};
    use libprocess::real;
    let _turn = turn();
    let mut ha = Ha::start(loaded(Plan { masters: 1, ..Plan::default() }));
    let url = ha.url().parse().unwrap();
    real::run(async {
        let ip = std::net::Ipv4Addr::LOCALHOST;
        let node = real::start(real::Config { ip, ..real::Config::default() }).await.unwrap();
        let group = SessionGroup::zookeeper(&node, url, Duration::from_secs(4));
        for (label, data) in [(Some("json.info"), "not json"), (Some("else"), "x"), (None, "x")] {
            group.join(label, data.into()).await.unwrap();
        }
        // They come after the master: it leads on.
        ha.wait_for_slaves(2);
        // Now one of them is first, and tells of nobody.
        ha.masters[0].as_mut().unwrap().terminate();
        ha.start_master(0);
        let text = "cannot tell who leads";
        wait_for("a line about it", || {
            ha.masters[0].as_ref().unwrap().output().contains(text).then_some(())
        });
        assert!(ha.leader().is_none());
        group.leave().await;
        ha.wait_for_slaves(2);
    });
}
