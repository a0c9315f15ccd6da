//! Drills in a laboratory of network namespaces: three masters, a ZooKeeper of three servers, three
//! slaves and a framework on other people's libprocess that keeps a hundred tasks running. Processes
//! are killed, links are cut; no task is lost, none is killed, no update goes missing. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster_tests::cluster::wait_for;
use cluster_tests::ha::{FIRST_SERVER, FIRST_SLAVE, Ha, Keeper, Plan};

const PLAN: Plan = Plan {
    masters: 3,
    slaves: 3,
    servers: 3,
    lab: true,
    session: "2secs",
    registry: "replicated_log",
};
const TASKS: usize = 100;

/// One laboratory at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() -> (Ha, Keeper) {
    let mut ha = Ha::start(PLAN);
    let keeper = ha.keeper(TASKS);
    keeper.wait_until_full();
    ha.wait_for_slaves(3);
    (ha, keeper)
}

/// Masters that have ended are started again, as a supervisor does; then all is well once more.
fn recover(ha: &mut Ha, keeper: &Keeper) {
    for master in 0..3 {
        let gone = ha.masters[master].as_mut().is_none_or(|master| master.ended().is_some());
        if gone {
            ha.start_master(master);
        }
    }
    for slave in 0..3 {
        if ha.slaves[slave].is_none() {
            ha.start_slave(slave);
        }
    }
    // A master may find out late that it leads no more.
    wait_for("three slaves and the framework of a leader", || {
        for master in 0..3 {
            if ha.masters[master].as_mut().is_some_and(|master| master.ended().is_some()) {
                ha.start_master(master);
            }
        }
        let (_, state) = ha.leader()?;
        let mut frameworks = state["frameworks"].as_array()?.iter();
        let follows = frameworks.any(|framework| framework["active"] == true);
        (state["activated_slaves"] == 3 && follows).then_some(())
    });
    keeper.wait_until_full();
    let seen = keeper.seen();
    assert_eq!(seen.problems(), Vec::<String>::new());
}

fn kill(ha: &mut Ha, masters: &[usize]) {
    for master in masters {
        ha.masters[*master] = None;
    }
}

#[test]
fn masters_that_are_killed_one_by_one_and_in_pairs_cost_no_task() {
    let _turn = turn();
    let (mut ha, keeper) = start();
    for victims in [&[0][..], &[1], &[2], &[0, 1], &[1, 2], &[0, 2]] {
        kill(&mut ha, victims);
        recover(&mut ha, &keeper);
        println!("killed masters {victims:?}: {}", keeper.seen());
    }
    println!("{}", keeper.settle());
}

#[test]
fn servers_of_zookeeper_and_slaves_that_are_killed_cost_no_task() {
    let _turn = turn();
    let (mut ha, keeper) = start();
    for victims in [&[0][..], &[1], &[2], &[0, 1], &[1, 2], &[0, 2]] {
        for server in victims {
            ha.zookeeper.kill(*server);
        }
        // Two of three are too many: the leader ends by its own clock.
        if victims.len() > 1 {
            wait_for("nobody to lead", || ha.leader().is_none().then_some(()));
        }
        ha.zookeeper.start(ha.lab.as_ref());
        recover(&mut ha, &keeper);
        println!("killed servers {victims:?}: {}", keeper.seen());
    }
    for victims in [&[0][..], &[1], &[2], &[0, 1], &[1, 2], &[0, 2]] {
        for slave in victims {
            ha.slaves[*slave] = None;
        }
        recover(&mut ha, &keeper);
        println!("killed slaves {victims:?}: {}", keeper.seen());
    }
    println!("{}", keeper.settle());
}

#[test]
fn links_of_the_leader_that_are_cut_cost_no_task() {
    let _turn = turn();
    let (mut ha, keeper) = start();
    let host = |master: usize| u8::try_from(master).unwrap() + 1;
    let others = |leader: usize| (0..3).filter(move |other| *other != leader);

    // From all of ZooKeeper: it ends by its own clock before another one leads.
    let leader = ha.wait_for_leader();
    for server in 0..3 {
        ha.lab.as_ref().unwrap().cut(host(leader), FIRST_SERVER + server);
    }
    let ended = ha.masters[leader].as_mut().unwrap().wait_for_end("the leader to end");
    assert!(!ended.success());
    ha.wait_for_leader_but(leader);
    ha.lab.as_ref().unwrap().mend();
    recover(&mut ha, &keeper);
    println!("leader cut from ZooKeeper: {}", keeper.seen());

    // From standbys: it leads on, and what it cannot store it does not say.
    let leader = ha.wait_for_leader();
    for other in others(leader) {
        ha.lab.as_ref().unwrap().cut(host(leader), host(other));
    }
    hold(&mut ha, Duration::from_secs(5));
    ha.lab.as_ref().unwrap().mend();
    recover(&mut ha, &keeper);
    println!("leader cut from standbys: {}", keeper.seen());

    // From slaves, both ways and one way, for less than it takes to give them up.
    for one_way in [false, true] {
        let leader = ha.wait_for_leader();
        let lab = ha.lab.as_ref().unwrap();
        for slave in 0..3 {
            match one_way {
                false => lab.cut(host(leader), FIRST_SLAVE + slave),
                true => lab.cut_one_way(host(leader), FIRST_SLAVE + slave),
            }
        }
        hold(&mut ha, Duration::from_secs(8));
        ha.lab.as_ref().unwrap().mend();
        recover(&mut ha, &keeper);
        println!("leader cut from slaves (one way: {one_way}): {}", keeper.seen());
    }
    println!("{}", keeper.settle());
}

/// Lets a fault last for a while: so long as the daemons' own clocks say.
fn hold(ha: &mut Ha, duration: Duration) {
    let uptime = |ha: &mut Ha| {
        let slave = ha.slaves[0].as_ref()?;
        slave.json("/metrics/snapshot")?["slave/uptime_secs"].as_f64()
    };
    let start = wait_for("a slave's clock", || uptime(ha));
    wait_for("the fault to last", || (uptime(ha)? - start > duration.as_secs_f64()).then_some(()));
}
