//! Masters in small: whoever is elected keeps a counter in the replicated log, and exits when its
//! candidacy is lost. Whatever happens, the counter never goes back, and somebody goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::election::{Contender, GroupContender, GroupDetector};
use coordination::group::simulated::{Directory, SimulatedConnect};
use coordination::group::{Group, SessionGroup};
use coordination::log::{Log, LogConfig, Network};
use coordination::state::{LogStorage, Storage, StorageError, Variable};
use coordination::{Detector, Leader};
use libprocess::sim::{Cut, World, loss, partition, seeds};
use libprocess::{Ctx, Node, NodeConfig, Pid, Process, Routes, Time};
use protos::mesos::MasterInfo;
use rand::Rng;

const SESSION: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(60);
/// Where the directory of masters and that of replicas are served.
const MASTERS: u8 = 100;
const REPLICAS: u8 = 101;

fn address(host: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, host), 5050)
}

fn ip(host: u8) -> Ipv4Addr {
    *address(host).ip()
}

fn group(node: &Node, server: u8) -> Arc<dyn Group> {
    let connect = SimulatedConnect { servers: vec![Pid::new("directory", address(server))] };
    Arc::new(SessionGroup::start(node, Arc::new(connect), SESSION))
}

/// Counts acknowledged by masters, in the order of time.
type Counts = Arc<Mutex<Vec<(Time, SocketAddrV4, u64)>>>;

struct Master {
    info: MasterInfo,
    contender: GroupContender,
    detector: GroupDetector,
    storage: LogStorage,
    leads: bool,
    counts: Counts,
}

impl Process for Master {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.defer(self.contender.contend(&self.info), |_, candidacy, cx| {
            cx.defer(candidacy.unwrap().lost(), |_, (), cx: &mut Ctx<Self>| cx.node().close());
        });
        self.detect(None, cx);
    }
}

impl Master {
    fn detect(&mut self, known: Option<Leader>, cx: &mut Ctx<Self>) {
        cx.defer(self.detector.detect(known), |master: &mut Self, leader: Option<Leader>, cx| {
            let leads = leader.as_ref().and_then(|l| l.info.as_ref()) == Some(&master.info);
            if leads && !std::mem::replace(&mut master.leads, true) {
                cx.defer(master.storage.fetch("registry"), Self::fetched);
            } else if master.leads && !leads {
                return cx.node().close();
            }
            master.detect(leader, cx);
        });
    }

    fn fetched(&mut self, fetched: Result<Variable, StorageError>, cx: &mut Ctx<Self>) {
        let Ok(variable) = fetched else { return cx.node().close() };
        let before = std::str::from_utf8(&variable.value).unwrap().parse().unwrap_or(0_u64);
        let change = variable.change((before + 1).to_string(), cx.uuid());
        cx.defer(self.storage.store(change), move |master: &mut Self, stored, cx| {
            // A registrar whose write failed or lost ends its master.
            let Ok(Some(variable)) = stored else { return cx.node().close() };
            let count = (cx.now(), cx.node().address(), before + 1);
            master.counts.lock().unwrap().push(count);
            let pause = cx.random_within(Duration::from_millis(200));
            cx.after(pause, move |master: &mut Self, cx| master.fetched(Ok(variable), cx));
        });
    }
}

fn start(node: &Node, counts: &Counts) {
    let network = Network::default();
    let config = LogConfig::new("/var/replicated_log", 2, network.clone());
    let log = Log::start(node, config).unwrap();
    network.follow(node, group(node, REPLICAS), log.pid().clone());
    let masters = group(node, MASTERS);
    let pid = Some(node.pid("master").to_string());
    let id = node.random_uuid().to_string();
    let master = Master {
        info: MasterInfo { id, pid, ip: 1, port: 5050, ..MasterInfo::default() },
        contender: GroupContender::new(masters.clone()),
        detector: GroupDetector::start(node, masters),
        storage: LogStorage::start(node, "storage", log).unwrap(),
        leads: false,
        counts: counts.clone(),
    };
    node.spawn("master", master).unwrap();
}

fn cluster(seed: u64) -> (World, Counts) {
    let (mut world, counts) = (World::new(seed), Counts::default());
    for server in [MASTERS, REPLICAS] {
        let (node, directory) =
            (world.node(address(server), NodeConfig::default()), Directory::default());
        world.on_start(&node, move |node| _ = directory.serve(node).unwrap());
    }
    for host in 1..=3 {
        let node = world.node(address(host), NodeConfig::default());
        let counts = counts.clone();
        world.on_start(&node, move |node| start(node, &counts));
    }
    (world, counts)
}

/// Lets time pass; masters that have exited are started again, as a supervisor does.
fn pass(world: &mut World, duration: Duration) {
    let end = world.now() + duration;
    while world.now() < end {
        world.run_for(Duration::from_millis(200));
        for host in 1..=3 {
            if world.living(address(host)).is_none() {
                world.restart(address(host));
            }
        }
    }
}

fn check(world: &World, counts: &Counts, seed: u64) {
    assert!(world.panics().is_empty(), "seed {seed}");
    let counts = counts.lock().unwrap();
    for pair in counts.windows(2) {
        // A count that nobody heard of may be there; none that was heard of may be gone.
        assert!(pair[0].2 < pair[1].2, "seed {seed}: {pair:?}");
    }
}

#[test]
fn master_that_dies_is_followed_within_its_session_and_two_seconds() {
    for seed in 1..=10 {
        let (mut world, counts) = cluster(seed);
        world.run_until(LIMIT, |_| counts.lock().unwrap().len() > 20).unwrap();
        let leader = counts.lock().unwrap().last().unwrap().1;
        world.crash_torn(leader);
        let goes_on = |_: &mut World| counts.lock().unwrap().last().unwrap().1 != leader;
        world.run_until(SESSION + Duration::from_secs(2), goes_on).unwrap();
        check(&world, &counts, seed);
    }
}

#[test]
fn master_that_slept_writes_nothing_more() {
    for seed in 1..=10 {
        let (mut world, counts) = cluster(seed);
        world.run_until(LIMIT, |_| counts.lock().unwrap().len() > 20).unwrap();
        let leader = counts.lock().unwrap().last().unwrap().1;
        world.freeze(leader);
        let goes_on = |_: &mut World| counts.lock().unwrap().last().unwrap().1 != leader;
        world.run_until(LIMIT, goes_on).unwrap();
        let asleep = counts.lock().unwrap().len();
        world.thaw(leader);
        pass(&mut world, Duration::from_secs(10));
        let counts_now = counts.lock().unwrap().clone();
        assert!(counts_now[asleep..].iter().all(|count| count.1 != leader), "seed {seed}");
        check(&world, &counts, seed);
    }
}

fn shake(seed: u64) {
    let (mut world, counts) = cluster(seed);
    for _ in 0..15 {
        let pause = world.rng().random_range(200..4000);
        pass(&mut world, Duration::from_millis(pause));
        let host = world.rng().random_range(1..=3);
        let other = [MASTERS, REPLICAS, 1, 2, 3][world.rng().random_range(0..5)];
        match world.rng().random_range(0..7) {
            0 => _ = world.add_rule(loss(0.1)),
            1 => _ = world.add_rule(partition([ip(host)], [ip(other)], Cut::Both)),
            2 => _ = world.add_rule(partition([ip(other)], [ip(host)], Cut::OneWay)),
            3 => {
                world.crash_torn(address(host));
                world.restart(address(host));
            }
            4 => _ = world.restart(address(MASTERS)),
            5 => _ = world.restart(address(REPLICAS)),
            _ => world.clear_rules(),
        }
    }
    world.clear_rules();
    let goal = counts.lock().unwrap().len() + 20;
    let end = world.now() + LIMIT;
    while counts.lock().unwrap().len() < goal {
        assert!(world.now() < end, "seed {seed}: no progress");
        pass(&mut world, Duration::from_millis(200));
    }
    check(&world, &counts, seed);
}

#[test]
fn count_never_goes_back_and_goes_on_once_faults_end() {
    seeds(15).into_iter().for_each(shake);
}
