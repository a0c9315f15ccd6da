//! Groups, contenders and detectors over a simulated directory service, with faults.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::election::{Contender, GroupContender, GroupDetector, decode};
use coordination::group::simulated::{Directory, SimulatedConnect};
use coordination::group::{Group, SessionGroup, StandaloneGroup};
use coordination::log::Network;
use coordination::{Detector, Leader};
use libprocess::sim::{Cut, Verdict, World, loss, partition, seeds};
use libprocess::{Ctx, Envelope, Node, NodeConfig, Pid, Process, Routes, Time};
use protos::mesos::MasterInfo;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

const TIMEOUT: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(60);
const SERVER: u8 = 100;

fn address(host: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, host), 5050)
}

fn ip(host: u8) -> Ipv4Addr {
    *address(host).ip()
}

fn group(node: &Node) -> Arc<dyn Group> {
    let connect = SimulatedConnect { servers: vec![Pid::new("directory", address(SERVER))] };
    Arc::new(SessionGroup::start(node, Arc::new(connect), TIMEOUT))
}

/// What candidates think, by host.
#[derive(Default)]
struct View {
    /// Who leads, as the host sees it.
    leader: BTreeMap<u8, Option<Pid>>,
    /// Hosts that act as leaders.
    acts: Vec<u8>,
    /// How often a host became leader.
    wins: u64,
    overlaps: Vec<String>,
}

type Views = Arc<Mutex<View>>;

/// Contends, and acts as leader from when it finds itself to lead until its candidacy is lost.
struct Candidate {
    host: u8,
    contender: GroupContender,
    detector: GroupDetector,
    /// The id under which it is a candidate: a new one each time, as a master that has lost its
    /// candidacy exits and comes back under a new one.
    id: Option<String>,
    leader: Option<String>,
    views: Views,
}

impl Process for Candidate {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.contend(cx);
        self.detect(None, cx);
    }
}

impl Candidate {
    fn pid(&self) -> Pid {
        Pid::new("master", address(self.host))
    }

    fn contend(&mut self, cx: &mut Ctx<Self>) {
        let (id, pid) = (cx.uuid().to_string(), Some(self.pid().to_string()));
        let info = MasterInfo { id: id.clone(), pid, ip: 1, port: 5050, ..MasterInfo::default() };
        cx.defer(self.contender.contend(&info), |candidate: &mut Self, candidacy, cx| {
            candidate.id = Some(id);
            candidate.look();
            cx.defer(candidacy.unwrap().lost(), |candidate: &mut Self, (), cx| {
                candidate.id = None;
                candidate.look();
                candidate.contend(cx);
            });
        });
    }

    fn detect(&mut self, known: Option<Leader>, cx: &mut Ctx<Self>) {
        cx.defer(
            self.detector.detect(known),
            |candidate: &mut Self, leader: Option<Leader>, cx| {
                let pid = leader.as_ref().map(|leader| leader.pid.clone());
                candidate.views.lock().unwrap().leader.insert(candidate.host, pid);
                candidate.leader = leader
                    .as_ref()
                    .and_then(|leader| leader.info.as_ref())
                    .map(|info| info.id.clone());
                candidate.look();
                candidate.detect(leader, cx);
            },
        );
    }

    fn look(&mut self) {
        let mut views = self.views.lock().unwrap();
        let leads = self.id.is_some() && self.id == self.leader;
        let acted = views.acts.contains(&self.host);
        views.acts.retain(|host| *host != self.host);
        if leads {
            views.acts.push(self.host);
            views.wins += u64::from(!acted);
            if views.acts.len() > 1 {
                let text = format!("{:?} act at once", views.acts);
                views.overlaps.push(text);
            }
        }
    }
}

struct Cluster {
    world: World,
    directory: Directory,
    views: Views,
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let (directory, views) = (Directory::default(), Views::default());
        let node = world.node(address(SERVER), NodeConfig::default());
        let service = directory.clone();
        world.on_start(&node, move |node| _ = service.serve(node).unwrap());
        for host in 1..=3 {
            let node = world.node(address(host), NodeConfig::default());
            let views = views.clone();
            world.on_start(&node, move |node| {
                // What a host thought is gone with its memory.
                let mut view = views.lock().unwrap();
                view.acts.retain(|acts| *acts != host);
                view.leader.remove(&host);
                drop(view);
                let group = group(node);
                let (contender, detector) =
                    (GroupContender::new(group.clone()), GroupDetector::start(node, group));
                let views = views.clone();
                let candidate =
                    Candidate { host, contender, detector, id: None, leader: None, views };
                node.spawn("candidate", candidate).unwrap();
            });
        }
        Self { world, directory, views }
    }

    /// Waits until exactly one acts and all of `hosts` see it.
    fn agreed(&mut self, hosts: &[u8], limit: Duration) -> u8 {
        let views = self.views.clone();
        let agreed = |_: &mut World| {
            let views = views.lock().unwrap();
            let [acts] = views.acts[..] else { return false };
            let leader = Some(Pid::new("master", address(acts)));
            hosts.iter().all(|host| views.leader.get(host) == Some(&leader))
        };
        self.world.run_until(limit, agreed).unwrap();
        self.views.lock().unwrap().acts[0]
    }
}

#[test]
fn leader_that_dies_is_followed_within_its_session_and_a_second() {
    let mut cluster = Cluster::new(1);
    let first = cluster.agreed(&[1, 2, 3], LIMIT);
    let others: Vec<u8> = (1..=3).filter(|host| *host != first).collect();
    cluster.world.crash(address(first));
    cluster.views.lock().unwrap().acts.clear();
    cluster.agreed(&others, TIMEOUT + Duration::from_secs(1));
    cluster.world.restart(address(first));
    cluster.agreed(&[1, 2, 3], LIMIT);
    assert_eq!(cluster.directory.children().len(), 3);
}

#[test]
fn leader_that_is_cut_off_knows_before_others_have_another() {
    for cut in [Cut::Both, Cut::OneWay] {
        for from_leader in [true, false] {
            let mut cluster = Cluster::new(2);
            let first = cluster.agreed(&[1, 2, 3], LIMIT);
            let (from, to) = if from_leader { (first, SERVER) } else { (SERVER, first) };
            cluster.world.add_rule(partition([ip(from)], [ip(to)], cut));
            let views = cluster.views.clone();
            let gone = |_: &mut World| !views.lock().unwrap().acts.contains(&first);
            cluster.world.run_until(TIMEOUT, gone).unwrap();
            cluster.world.clear_rules();
            cluster.agreed(&[1, 2, 3], LIMIT);
            assert!(cluster.views.lock().unwrap().overlaps.is_empty());
            cluster.world.run_for(TIMEOUT * 2);
            assert_eq!(cluster.directory.children().len(), 3);
        }
    }
}

#[test]
fn service_that_is_away_for_less_than_a_session_changes_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.world.crash(address(SERVER));
    cluster.world.run_for(Duration::from_secs(30));
    assert!(cluster.views.lock().unwrap().acts.is_empty());
    cluster.world.restart(address(SERVER));
    let first = cluster.agreed(&[1, 2, 3], LIMIT);
    let before = cluster.directory.children();
    cluster.world.crash(address(SERVER));
    cluster.world.run_for(Duration::from_secs(2));
    cluster.world.restart(address(SERVER));
    cluster.world.run_for(Duration::from_secs(10));
    assert_eq!(cluster.agreed(&[1, 2, 3], LIMIT), first);
    assert_eq!(cluster.directory.children(), before);
    assert_eq!(cluster.views.lock().unwrap().wins, 1);
}

#[test]
fn join_whose_answer_is_lost_makes_one_member_only() {
    let mut cluster = Cluster::new(4);
    let mut lost = 0;
    cluster.world.add_rule(move |envelope: &Envelope, _: &mut ChaCha8Rng, _: Time| {
        let joins = envelope.from.id() == "directory"
            && envelope.body.windows(10).any(|part| part == b"json.info_")
            && envelope.body.len() < 40;
        lost += u32::from(joins);
        if joins && lost < 4 { Verdict::Drop } else { Verdict::Pass }
    });
    cluster.agreed(&[1, 2, 3], LIMIT);
    cluster.world.run_for(TIMEOUT * 3);
    assert_eq!(cluster.directory.children().len(), 3);
}

fn shake(seed: u64) {
    let mut cluster = Cluster::new(seed);
    for _ in 0..20 {
        let pause = cluster.world.rng().random_range(100..4000);
        cluster.world.run_for(Duration::from_millis(pause));
        let host = cluster.world.rng().random_range(1..=3);
        match cluster.world.rng().random_range(0..6) {
            0 => _ = cluster.world.add_rule(loss(0.2)),
            1 => {
                let cut = if cluster.world.rng().random() { Cut::Both } else { Cut::OneWay };
                cluster.world.add_rule(partition([ip(host)], [ip(SERVER)], cut));
            }
            2 => _ = cluster.world.add_rule(partition([ip(SERVER)], [ip(host)], Cut::OneWay)),
            3 => _ = cluster.world.restart(address(host)),
            4 => _ = cluster.world.restart(address(SERVER)),
            _ => cluster.world.clear_rules(),
        }
    }
    cluster.world.clear_rules();
    let (directory, limit) = (cluster.directory.clone(), TIMEOUT * 3);
    cluster.world.run_for(TIMEOUT);
    cluster.world.run_until(limit, |_| directory.children().len() == 3).unwrap();
    let leader = cluster.agreed(&[1, 2, 3], limit);
    let views = cluster.views.lock().unwrap();
    assert_eq!(views.overlaps, Vec::<String>::new(), "seed {seed}");
    assert!(cluster.world.panics().is_empty());
    let children = cluster.directory.children();
    assert_eq!(children.len(), 3, "seed {seed}: {children:?}");
    let first = decode(Some("json.info"), &children[0].1).unwrap();
    assert_eq!(first.pid, Pid::new("master", address(leader)));
}

#[test]
fn never_two_act_as_leaders_and_all_agree_once_faults_end() {
    seeds(60).into_iter().for_each(shake);
}

#[test]
fn replicas_of_a_log_find_each_other_and_outlive_the_service() {
    let mut world = World::new(5);
    let directory = Directory::default();
    let node = world.node(address(SERVER), NodeConfig::default());
    world.on_start(&node, move |node| _ = directory.serve(node).unwrap());
    let pid = |host| Pid::new("log-replica(1)", address(host));
    let networks: Vec<Network> = (1..=3)
        .map(|host| {
            let node = world.node(address(host), NodeConfig::default());
            let network = Network::default();
            network.follow(&node, group(&node), pid(host));
            network
        })
        .collect();
    let all: std::collections::BTreeSet<Pid> = (1..=3).map(pid).collect();
    let same = |_: &mut World| networks.iter().all(|network| network.members() == all);
    world.run_until(LIMIT, same).unwrap();
    world.crash(address(SERVER));
    world.run_for(TIMEOUT * 5);
    assert!(same(&mut world));
    world.restart(address(SERVER));
    world.run_for(TIMEOUT * 5);
    assert!(same(&mut world));
    world.crash(address(3));
    let left: std::collections::BTreeSet<Pid> = (1..=2).map(pid).collect();
    let gone = |_: &mut World| networks[..2].iter().all(|network| network.members() == left);
    world.run_until(TIMEOUT * 2, gone).unwrap();
}

#[test]
fn standalone_group_tells_who_comes_and_goes() {
    use futures::FutureExt;
    let group = StandaloneGroup::default();
    let one = group.join(None, "one".into()).now_or_never().unwrap().unwrap();
    let two = group.join(Some("x"), "two".into()).now_or_never().unwrap().unwrap();
    let members = group.watch(None).now_or_never().unwrap().unwrap();
    let names: Vec<String> = members.iter().map(|member| member.name()).collect();
    assert_eq!(names, ["0000000000", "x_0000000001"]);
    let mut waiting = group.watch(Some(members));
    assert!((&mut waiting).now_or_never().is_none());
    assert!(one.lost().now_or_never().is_none());
    assert!(group.cancel(&one.member).now_or_never().unwrap().unwrap());
    assert!(one.lost().now_or_never().is_some());
    assert_eq!(waiting.now_or_never().unwrap().unwrap().len(), 1);
    let data = group.data(&two.member).now_or_never().unwrap().unwrap();
    assert_eq!(data.unwrap(), "two");
}
