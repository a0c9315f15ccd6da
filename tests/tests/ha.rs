//! Several masters over a real ZooKeeper on the loopback: who leads, what standbys answer, what becomes
//! of leaders that die, stop, or lose ZooKeeper. Needs Java, ZooKeeper and Go,
//! which `cargo xtask test` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use cluster_tests::cluster::{text, wait_for};
use cluster_tests::ha::{Ha, Plan, last_segment};

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
        ha.wait_for_replica(leader);
        ha.wait_for_slaves(2);
    }
    // A rolling upgrade: one after the other ends in order and is replaced.
    for master in 0..3 {
        let ended = ha.masters[master].as_mut().unwrap().terminate();
        assert!(ended.success(), "{ended}");
        ha.start_master(master);
        ha.wait_for_replica(master);
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
        if registry == "replicated_log" {
            ha.wait_for_replicas();
        }
        let leader = ha.wait_for_leader();
        ha.masters[leader] = None;
        ha.wait_for_leader_but(leader);
        ha.wait_for_slaves(1);
        assert_eq!(id(&mut ha), Some(before), "{registry}");
    }
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
    let file = last_segment(&log(&ha, 0));
    std::fs::copy(&file, log(&ha, 1).join(file.file_name().unwrap())).unwrap();
    ha.zookeeper.start(None);
    for master in 0..3 {
        ha.start_master_with(master, &[strict]);
    }
    ha.start_slave(0);
    ha.wait_for_slaves(1);
    assert_eq!(id(&mut ha), Some(before));
    ha.wait_for_replica(2);
}
