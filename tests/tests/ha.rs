//! Several masters over a real ZooKeeper on the loopback: who leads, what standbys answer, what becomes
//! of leaders that die, stop, or lose ZooKeeper; and what is refused. Needs Java, ZooKeeper and Go,
//! which `cargo xtask test` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster_tests::cluster::{text, wait_for};
use cluster_tests::get::exchange;
use cluster_tests::ha::{Ha, Plan};

/// These tests measure patience: one at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loaded(plan: Plan) -> Plan {
    Plan { slaves: 2, ..plan }
}

#[test]
fn standbys_lead_to_the_leader_and_tools_find_it() {
    let _turn = turn();
    let mut ha = Ha::start(loaded(Plan::default()));
    let leader = ha.wait_for_leader();
    let address = ha.masters[leader].as_ref().unwrap().address.to_string();
    for standby in (0..3).filter(|number| *number != leader) {
        let standby = ha.masters[standby].as_ref().unwrap();
        let see = |path: &str| {
            let answer = standby.get(path).unwrap();
            (answer.status, answer.head.to_ascii_lowercase())
        };
        for path in ["/state", "/master/slaves", "/roles?x=1", "/redirect", "/master/redirect"] {
            let (status, head) = see(path);
            let to = match path.ends_with("redirect") {
                true => String::new(),
                false => format!("/master{}", path.trim_start_matches("/master")),
            };
            assert_eq!(status, 307, "{path}");
            assert!(head.contains(&format!("location: //{address}{to}\r")), "{path}: {head}");
        }
        assert_eq!(see("/health").0, 200);
        let metrics = standby.json("/metrics/snapshot").unwrap();
        assert_eq!(metrics["master/elected"], 0.0);
        assert_eq!(metrics["registrar/log/recovered"], 1.0);
        assert_eq!(metrics["registrar/log/ensemble_size"], 3.0);
    }
    let (out, err) = text(&ha.tool("mesos-resolve", &[&ha.url()]));
    assert_eq!((out.trim(), err.as_str()), (address.as_str(), ""));
    let master = format!("--master={}", ha.url());
    let done = ha.tool("mesos-execute", &[&master, "--name=t", "--command=true"]);
    assert!(done.status.success(), "{:?}", text(&done));

    let servers = format!("--servers={}", ha.zookeeper.addresses());
    let done = ha.tool("mesos-log", &["status", &servers, "--znode=/mesos/log_replicas"]);
    let (out, err) = text(&done);
    assert!(done.status.success(), "{out}{err}");
    assert_eq!(out.lines().filter(|line| line.contains("VOTING")).count(), 3, "{out}");
    // The directory is the master's while it runs.
    let path = format!("--path={}", ha.master_dir(0).join("replicated_log").display());
    let refused = ha.tool("mesos-log", &["read", &path]);
    assert!(!refused.status.success() && text(&refused).1.contains("in use"), "{refused:?}");
    ha.masters[0].as_mut().unwrap().terminate();
    let read = text(&ha.tool("mesos-log", &["read", &path]));
    assert!(read.0.contains("'registry' is version"), "{read:?}");
    let status = text(&ha.tool("mesos-log", &["status", &path]));
    assert!(status.0.contains("VOTING"), "{status:?}");
}

#[test]
fn tasks_outlive_leaders_that_are_killed_or_upgraded() {
    let _turn = turn();
    let mut ha = Ha::start(loaded(Plan::default()));
    let keeper = ha.keeper(30);
    keeper.wait_until_full();
    // Two deaths, with the old leader back as a standby after each.
    for _ in 0..2 {
        let leader = ha.wait_for_leader();
        ha.masters[leader].as_mut().unwrap().kill();
        ha.masters[leader] = None;
        let before = keeper.seen();
        ha.wait_for_leader_but(leader);
        keeper.wait_for("the framework to follow", |seen| {
            seen.masters().len() > before.masters().len()
        });
        ha.start_master(leader);
        ha.wait_for_slaves(2);
    }
    // A rolling upgrade: one after the other ends in order and is replaced.
    for master in 0..3 {
        let ended = ha.masters[master].as_mut().unwrap().terminate();
        assert!(ended.success(), "{ended}");
        ha.start_master(master);
        wait_for("its replica to vote", || {
            let metrics = ha.masters[master].as_ref()?.json("/metrics/snapshot")?;
            (metrics["registrar/log/recovered"] == 1.0).then_some(())
        });
        ha.wait_for_slaves(2);
    }
    let seen = keeper.settle();
    println!("{seen}");
    assert!(seen.count("launched") >= 30);
}

#[test]
fn leader_that_slept_ends_without_another_word() {
    let _turn = turn();
    let mut ha = Ha::start(loaded(Plan::default()));
    let keeper = ha.keeper(10);
    keeper.wait_until_full();
    let old = ha.wait_for_leader();
    ha.masters[old].as_mut().unwrap().freeze();
    let new = ha.wait_for_leader_but(old);
    let name = |ha: &Ha, master: usize| ha.masters[master].as_ref().unwrap().address.to_string();
    let follows = |seen: &cluster_tests::ha::Seen, at: &str| {
        seen.masters().last().is_some_and(|master| master.ends_with(at))
    };
    let at = name(&ha, new);
    keeper.wait_for("the framework to follow", |seen| follows(seen, &at));
    ha.wait_for_slaves(2);
    ha.masters[old].as_mut().unwrap().thaw();
    let ended = ha.masters[old].as_mut().unwrap().wait_for_end("the old leader to end");
    assert!(!ended.success());
    let said = ha.masters[old].as_ref().unwrap().output();
    let why = ["it may lead no more", "its candidacy has ended", "it leads no more"];
    assert!(why.iter().any(|why| said.contains(why)), "{said}");
    // Nobody heard of it: the new one still leads, with all it had.
    assert_eq!(ha.wait_for_leader(), new);
    let seen = keeper.settle();
    assert!(follows(&seen, &at), "{seen}");
    assert_eq!(seen.count("never_started"), 0, "{seen}");
}

#[test]
fn masters_and_slaves_wait_for_a_zookeeper_and_live_through_its_restart() {
    let _turn = turn();
    let mut ha = Ha::prepare(loaded(Plan::default()));
    for master in 0..3 {
        ha.start_master(master);
    }
    for slave in 0..2 {
        ha.start_slave(slave);
    }
    wait_for("a master that answers", || {
        let answer = ha.masters[0].as_ref()?.get("/state")?;
        (answer.status == 503).then_some(())
    });
    ha.zookeeper.start(None);
    ha.wait_for_slaves(2);
    let keeper = ha.keeper(10);
    keeper.wait_until_full();

    // Gone for longer than a session: the leader ends by its own clock, the others wait.
    let leader = ha.wait_for_leader();
    ha.zookeeper.kill(0);
    let ended = ha.masters[leader].as_mut().unwrap().wait_for_end("the leader to end");
    assert!(!ended.success());
    ha.start_master(leader);
    ha.zookeeper.start(None);
    ha.wait_for_slaves(2);
    // Gone for a moment.
    ha.zookeeper.kill(0);
    ha.zookeeper.start(None);
    for master in 0..3 {
        if ha.masters[master].as_mut().unwrap().ended().is_some() {
            ha.start_master(master);
        }
    }
    ha.wait_for_slaves(2);
    keeper.settle();
}

#[test]
fn registry_in_zookeeper_or_the_log_lets_strict_masters_know_their_slaves() {
    let _turn = turn();
    for registry in ["zookeeper", "replicated_log"] {
        let mut ha = Ha::prepare(Plan {
            masters: 2 + u8::from(registry != "zookeeper"),
            slaves: 1,
            registry,
            ..Plan::default()
        });
        ha.zookeeper.start(None);
        for master in 0..ha.masters.len() {
            ha.start_master_with(master, &["--registry_strict"]);
        }
        ha.start_slave(0);
        ha.wait_for_slaves(1);
        let id = |ha: &mut Ha| ha.leader().map(|leader| leader.1["slaves"][0]["id"].clone());
        let before = id(&mut ha).unwrap();
        let leader = ha.wait_for_leader();
        ha.masters[leader] = None;
        ha.wait_for_leader_but(leader);
        ha.wait_for_slaves(1);
        assert_eq!(id(&mut ha), Some(before), "{registry}");
    }
}

/// The line by which a program gave up.
fn refusal(mut master: cluster_tests::ha::Daemon) -> String {
    let ended = master.wait_for_end("a master to give up");
    assert!(!ended.success());
    let output = master.output();
    let line = output.lines().rev().find(|line| line.starts_with("mesos-master: "));
    line.unwrap_or(&output).to_owned()
}

fn segment(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        files.filter(|path| path.to_string_lossy().contains("segment-")).collect();
    segments.sort();
    segments.pop().unwrap()
}

#[test]
fn log_that_is_damaged_or_foreign_is_refused_in_one_line() {
    let _turn = turn();
    let mut ha = Ha::start(loaded(Plan { masters: 1, ..Plan::default() }));
    ha.masters[0].as_mut().unwrap().terminate();
    let dir = ha.master_dir(0).join("replicated_log");
    let file = segment(&dir);
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
    wait_for("three replicas that know each other", || {
        let knows = |master: &cluster_tests::ha::Daemon| {
            Some(master.json("/metrics/snapshot")?["registrar/log/ensemble_size"] == 3.0)
        };
        ha.masters.iter().flatten().all(|master| knows(master) == Some(true)).then_some(())
    });
    // Something to write.
    ha.start_slave(0);
    let line = "a quorum of 1 is no majority of 3 replicas";
    wait_for("the refusal", || {
        let said = ha.masters.iter().flatten().any(|master| master.output().contains(line));
        said.then_some(())
    });
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
    wait_for("its replica to vote", || {
        let metrics = ha.masters[leader].as_ref()?.json("/metrics/snapshot")?;
        (metrics["registrar/log/recovered"] == 1.0).then_some(())
    });
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

#[test]
fn single_master_becomes_three_and_forgets_nothing() {
    let _turn = turn();
    let mut ha = Ha::prepare(Plan { slaves: 1, ..Plan::default() });
    let strict = "--registry_strict";
    ha.start_single_master(0, &[strict]);
    let address = ha.masters[0].as_ref().unwrap().address.to_string();
    ha.start_slave_of(0, &address);
    ha.wait_for_slaves(1);
    let id = |ha: &mut Ha| ha.leader().map(|leader| leader.1["slaves"][0]["id"].clone());
    let before = id(&mut ha).unwrap();
    let known = ha.slave_dir(0).join("meta/slaves/latest");
    wait_for("the slave to note its id", || known.exists().then_some(()));
    ha.slaves[0].as_mut().unwrap().kill();
    assert!(ha.masters[0].as_mut().unwrap().terminate().success());
    // As the runbook says: the second replica is a copy, the third starts from nothing.
    let log = |ha: &Ha, number| ha.master_dir(number).join("replicated_log");
    std::fs::create_dir_all(log(&ha, 1)).unwrap();
    let file = segment(&log(&ha, 0));
    std::fs::copy(&file, log(&ha, 1).join(file.file_name().unwrap())).unwrap();
    ha.zookeeper.start(None);
    for master in 0..3 {
        ha.start_master_with(master, &[strict]);
    }
    ha.start_slave(0);
    ha.wait_for_slaves(1);
    assert_eq!(id(&mut ha), Some(before));
    wait_for("the third replica to vote", || {
        let metrics = ha.masters[2].as_ref()?.json("/metrics/snapshot")?;
        (metrics["registrar/log/recovered"] == 1.0).then_some(())
    });
}
