//! A cluster with several frameworks, whose master keeps its registry in a file and comes back to it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coordination::state::FileStorage;
use coordination::{Leader, StandaloneDetector};
use drivers::scheduler::{self, SchedulerDriver};
use libprocess::sim::{Timeout, World};
use libprocess::{Node, NodeConfig, Pid, Time};
use protos::mesos::FrameworkInfo;
use protos::mesos::framework_info::{Capability, capability::Type};
use protos::resources::Resources;
use rand::Rng;
use serde_json::Value;

use super::checks::StateWatch;
use super::jobs::{Jobs, SharedLedger};
use super::model_slave::ModelSlave;

/// What each slave has.
const SLAVE_RESOURCES: &str = "cpus:4;mem:4096;disk:10240;ports:[31000-32000]";
/// How often conditions that ask over HTTP are looked at.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a task may take before it is chased.
const PATIENCE: Duration = Duration::from_secs(60);

/// How large a crowd is, and how its master treats slaves that come back.
#[derive(Debug, Clone, Copy)]
pub struct CrowdShape {
    /// Number of slaves.
    pub slaves: u16,
    /// Number of frameworks.
    pub frameworks: u16,
    /// Tasks that each framework wants finished.
    pub tasks: usize,
    /// `--registry_strict`.
    pub strict: bool,
}

impl CrowdShape {
    /// 3 to 50 slaves, most often few; 1 to 10 frameworks; strict or not: drawn from the world.
    pub fn drawn(world: &mut World) -> Self {
        let rng = world.rng();
        Self {
            slaves: [3, 4, 6, 9, 14, 50][rng.random_range(0..6)],
            frameworks: rng.random_range(1..=10),
            tasks: rng.random_range(5..=20),
            strict: rng.random_bool(0.5),
        }
    }
}

/// One framework.
pub struct Member {
    /// Where it runs.
    pub address: SocketAddrV4,
    /// Its book, which outlives it.
    pub ledger: SharedLedger,
    driver: Arc<Mutex<Option<SchedulerDriver>>>,
}

impl Member {
    /// The driver of the framework's present life.
    pub fn driver(&self) -> Option<SchedulerDriver> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills what hangs, and asks what became of everything.
    fn chase(&self, now: Time) {
        if let Some(driver) = self.driver() {
            self.ledger.chase(&driver, now, PATIENCE);
        }
    }
}

/// The cluster.
pub struct Crowd {
    /// Where the master runs.
    pub master: SocketAddrV4,
    /// Where the slaves run.
    pub slaves: Vec<SocketAddrV4>,
    /// The frameworks.
    pub members: Vec<Member>,
}

fn node_config(delegate: Option<&str>) -> NodeConfig {
    NodeConfig {
        delegate: delegate.map(str::to_owned),
        schema: protos::required::schema_check,
        ..NodeConfig::default()
    }
}

fn start_master(node: &Node, strict: bool) {
    let mut config = master::Config {
        // The framework may never have got an offer.
        offer_timeout: Some(Duration::from_secs(30)),
        registry_strict: strict,
        ..master::Config::default()
    };
    // A node that has just started runs neither.
    if let Ok(storage) = FileStorage::start(node, "registry-file", "/var/lib/mesos/registry") {
        config.registrar.storage = Arc::new(storage);
        let _ = master::start(node, config);
    }
}

/// What the framework of that number is: each kind there is.
fn framework_info(number: u16) -> FrameworkInfo {
    let role = ["*", "web", "db/east"][usize::from(number % 3)];
    let mut info = FrameworkInfo {
        user: "nobody".into(),
        name: format!("framework-{number}"),
        role: Some(role.to_owned()),
        failover_timeout: Some(7200.0),
        checkpoint: Some(number % 4 != 3),
        ..FrameworkInfo::default()
    };
    let kinds =
        [(number.is_multiple_of(2), Type::PartitionAware), (number % 3 == 1, Type::MultiRole)];
    for (_, kind) in kinds.into_iter().filter(|(has, _)| *has) {
        info.capabilities.push(Capability { r#type: Some(kind.into()) });
    }
    if number % 3 == 1 {
        info.role = None;
        info.roles = vec![role.to_owned()];
    }
    info
}

fn start_framework(
    node: &Node,
    number: u16,
    master: &Pid,
    ledger: &SharedLedger,
    driver: &Mutex<Option<SchedulerDriver>>,
) {
    let mut info = framework_info(number);
    // One that comes back goes on with what it wrote down.
    info.id = ledger.open().id.as_ref().map(protos::ids::FrameworkId::wire);
    ledger.open().held.clear();
    let detector = Arc::new(StandaloneDetector::new(Some(Leader::of(master.clone()))));
    let config = scheduler::Config::new(info, detector);
    let started = SchedulerDriver::start(node, config, Jobs::new(ledger.clone()));
    *driver.lock().unwrap_or_else(PoisonError::into_inner) = started.ok();
}

impl Crowd {
    /// Starts everything at once.
    pub fn start(world: &mut World, shape: CrowdShape) -> Self {
        let at = |net: u8, number: u16, port| {
            let host = u8::try_from(number).unwrap_or(u8::MAX);
            SocketAddrV4::new(Ipv4Addr::new(10, 0, net, host), port)
        };
        let node = world.node(at(0, 1, 5050), node_config(Some("master")));
        world.on_start(&node, move |node| start_master(node, shape.strict));
        let master = node.pid("master");
        let mut slaves = Vec::new();
        for number in 1..=shape.slaves {
            let node = world.node(at(1, number, 5051), node_config(Some("slave(1)")));
            let master = master.clone();
            world.on_start(&node, move |node| {
                let resources: Resources = SLAVE_RESOURCES.parse().unwrap_or_default();
                let _ = ModelSlave::start(node, master.clone(), &resources);
            });
            slaves.push(node.address());
        }
        let mut members = Vec::new();
        for number in 1..=shape.frameworks {
            let node = world.node(at(2, number, 9000), node_config(None));
            let ledger = SharedLedger::wanting(shape.tasks);
            let role = framework_info(number);
            let role = role.roles.first().cloned().unwrap_or_else(|| role.role().to_owned());
            ledger.open().strict = shape.strict;
            ledger.open().reserves = Some(role).filter(|role| role != "*");
            let driver = Arc::new(Mutex::new(None));
            let (master, book, slot) = (master.clone(), ledger.clone(), driver.clone());
            world.on_start(&node, move |node| start_framework(node, number, &master, &book, &slot));
            members.push(Member { address: node.address(), ledger, driver });
        }
        Self { master: master.address(), slaves, members }
    }

    fn json(&self, world: &mut World, path: &str) -> Value {
        let response = world.http(self.master, "GET", path);
        serde_json::from_slice(&response.bytes()).unwrap_or(Value::Null)
    }

    /// The master's `/state`.
    pub fn state(&self, world: &mut World) -> Value {
        self.json(world, "/master/state")
    }

    /// Looks for broken promises; frameworks ask what became of their tasks, and those that were told
    /// to end are started anew.
    pub fn look(&self, world: &mut World, watch: &mut StateWatch) -> Value {
        let state = self.state(world);
        watch.look(&state);
        for member in &self.members {
            if std::mem::take(&mut member.ledger.open().ousted) {
                world.restart(member.address);
            }
            member.chase(world.now());
        }
        state
    }

    /// Lets a cluster without faults come to rest: all slaves are active, all tasks finished, all
    /// updates acknowledged, everything is offered, and the registry has the slaves that are there.
    ///
    /// # Errors
    /// When one of these takes longer than `limit`.
    pub fn converge(
        &self,
        world: &mut World,
        watch: &mut StateWatch,
        limit: Duration,
    ) -> Result<(), Timeout> {
        let all = self.slaves.len();
        // What a framework asked for may have been lost.
        self.revive_all();
        self.wait(world, watch, limit, "slaves are active", |_, state| {
            list(state, "slaves").iter().filter(|slave| slave["active"] == true).count() == all
        })?;
        self.wait(world, watch, limit, "tasks are finished", |crowd, _| {
            crowd.members.iter().all(|member| member.ledger.open().is_done())
        })?;
        for member in &self.members {
            member.ledger.open().hoard = true;
        }
        self.revive_all();
        self.wait(world, watch, limit, "everything is offered", |_, state| {
            let slaves = list(state, "slaves");
            slaves.len() == all
                && slaves.iter().all(|slave| slave["offered_resources"] == slave["resources"])
        })?;
        let told = world.run_until_each(PAUSE, limit, |world| self.unfinished(world) == 0);
        self.explain(world, "updates are acknowledged", told)?;
        let agreed = world.run_until_each(PAUSE, limit, |world| self.registry_agrees(world));
        self.explain(world, "the registry agrees", agreed)
    }

    fn revive_all(&self) {
        for driver in self.members.iter().filter_map(Member::driver) {
            driver.revive(Vec::new());
        }
    }

    fn wait(
        &self,
        world: &mut World,
        watch: &mut StateWatch,
        limit: Duration,
        what: &str,
        met: impl Fn(&Self, &Value) -> bool,
    ) -> Result<(), Timeout> {
        let done = world.run_until_each(PAUSE, limit, |world| {
            let state = self.look(world, watch);
            met(self, &state)
        });
        self.explain(world, what, done)
    }

    /// Tasks of slaves that run, or whose end is still being told.
    fn unfinished(&self, world: &mut World) -> usize {
        let ask = |slave: &SocketAddrV4| {
            let response = world.http(slave, "GET", "/slave(1)/unfinished");
            String::from_utf8_lossy(&response.bytes()).parse::<usize>().unwrap_or(1)
        };
        self.slaves.iter().map(ask).sum()
    }

    /// The slaves that the registry lists as admitted are those that the master shows.
    fn registry_agrees(&self, world: &mut World) -> bool {
        let registry = self.json(world, "/registrar(1)/registry");
        let state = self.state(world);
        let ids = |list: &[Value], id: fn(&Value) -> &Value| {
            let mut ids: Vec<String> =
                list.iter().filter_map(|of| id(of).as_str()).map(str::to_owned).collect();
            ids.sort();
            ids
        };
        let admitted = ids(list(&registry["slaves"], "slaves"), |of| &of["info"]["id"]["value"]);
        admitted == ids(list(&state, "slaves"), |of| &of["id"])
    }

    /// Prints what there is when a condition was not met.
    fn explain<T>(
        &self,
        world: &mut World,
        what: &str,
        met: Result<T, Timeout>,
    ) -> Result<(), Timeout> {
        if met.is_err() {
            eprintln!("not reached: {what}");
            for member in &self.members {
                let ledger = member.ledger.open();
                eprintln!("{}: {} {:?}", member.address, ledger.summary(), ledger.problems);
            }
            let state = self.state(world);
            for slave in list(&state, "slaves") {
                let [id, pid, active, used, offered] =
                    ["id", "pid", "active", "used_resources", "offered_resources"]
                        .map(|key| &slave[key]);
                eprintln!("{id} {pid} active {active} used {used} offered {offered}");
            }
            eprintln!("registry {}", self.json(world, "/registrar(1)/registry"));
        }
        met.map(drop)
    }
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
