//! A whole cluster in one world.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use coordination::{Detector, Leader, StandaloneDetector};
use drivers::scheduler::{self, SchedulerDriver};
use libprocess::sim::{Timeout, World};
use libprocess::{Node, NodeConfig, Pid, SpawnError};
use protos::mesos::FrameworkInfo;
use protos::resources::Resources;
use serde_json::Value;
use slave::containerizer::ContainerizerOptions;

use super::checks::StateWatch;
use super::jobs::{Jobs, SharedLedger};
use super::model_slave::ModelSlave;
use super::programs;

/// What each slave has.
const SLAVE_RESOURCES: &str = "cpus:4;mem:4096;disk:10240;ports:[31000-32000]";

/// The number of the host before the first slave's: `10.0.1.0`.
const SLAVES: u16 = 256;

/// How often conditions that ask over HTTP are looked at.
const PAUSE: Duration = Duration::from_secs(2);

/// How often tasks are looked after.
const CHASE: Duration = Duration::from_secs(10);

/// How long a task may take before it is chased.
const PATIENCE: Duration = Duration::from_secs(60);

/// How large a cluster is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Number of slaves.
    pub slaves: u16,
    /// Tasks that the framework wants finished.
    pub tasks: usize,
}

/// A master, slaves and a framework, each on a host of its own.
pub struct Cluster {
    /// Where the master runs: `10.0.0.1:5050`.
    pub master: SocketAddrV4,
    /// Where the slaves run: port 5051 of `10.0.1.1` and on.
    pub slaves: Vec<SocketAddrV4>,
    /// Where the framework runs: `10.0.0.2:9000`.
    pub framework: SocketAddrV4,
    /// The framework's driver.
    pub driver: SchedulerDriver,
    /// The framework's book.
    pub ledger: SharedLedger,
}

pub(super) fn config(delegate: Option<&str>) -> NodeConfig {
    NodeConfig {
        delegate: delegate.map(str::to_owned),
        schema: protos::required::schema_check,
        ..NodeConfig::default()
    }
}

/// Puts a master on a node. Defaults, but offers return when they lie for long: the framework may
/// never have got them.
fn start_master(node: &Node) {
    let config =
        master::Config { offer_timeout: Some(Duration::from_secs(30)), ..Default::default() };
    // A node that has just started runs no other master.
    let _ = master::start(node, config);
}

/// Puts a slave on a node that follows one master.
fn real_slave(node: &Node, master: Pid) {
    slave_on(node, Arc::new(StandaloneDetector::new(Some(Leader::of(master)))));
}

/// Puts a slave on a node: fixed resources, no isolation, no change of user.
pub(super) fn slave_on(node: &Node, detector: Arc<dyn Detector>) {
    let config = slave::Config {
        hostname: node.address().ip().to_string(),
        resources: SLAVE_RESOURCES.parse().unwrap_or_default(),
        switch_user: false,
        ..Default::default()
    };
    let options = ContainerizerOptions {
        isolation: "filesystem/posix".to_owned(),
        fetcher: config.helpers.fetcher.clone(),
        frameworks_home: None,
        ..ContainerizerOptions::default()
    };
    if let Err(error) = slave::start_with(node, config, options, detector) {
        libprocess::slog::crit!(node.log(), "cannot start a slave"; "reason" => %error);
    }
}

impl Cluster {
    /// A cluster of model slaves.
    ///
    /// # Errors
    /// When the framework's driver cannot be started.
    pub fn of_models(world: &mut World, shape: Shape) -> Result<Self, SpawnError> {
        Self::start(world, shape, |node, master| {
            let resources: Resources = SLAVE_RESOURCES.parse().unwrap_or_default();
            let _ = ModelSlave::start(node, master, &resources);
        })
    }

    /// A cluster of real slaves with real command executors; only the commands are stood in for.
    ///
    /// # Errors
    /// When the framework's driver cannot be started.
    pub fn of_slaves(world: &mut World, shape: Shape) -> Result<Self, SpawnError> {
        programs::register(world);
        Self::start(world, shape, real_slave)
    }

    fn start(
        world: &mut World,
        shape: Shape,
        slave: impl Fn(&Node, Pid) + Clone + 'static,
    ) -> Result<Self, SpawnError> {
        let at = |number: u16, port| {
            let [high, low] = number.to_be_bytes();
            SocketAddrV4::new(Ipv4Addr::new(10, 0, high, low), port)
        };
        let node = world.node(at(1, 5050), config(Some("master")));
        world.on_start(&node, start_master);
        let master = node.pid("master");
        let mut slaves = Vec::new();
        for number in 1..=shape.slaves {
            let node = world.node(at(SLAVES + number, 5051), config(Some("slave(1)")));
            let (slave, master) = (slave.clone(), master.clone());
            world.on_start(&node, move |node| slave(node, master.clone()));
            slaves.push(node.address());
        }
        let framework = world.node(at(2, 9000), config(None));
        let ledger = SharedLedger::wanting(shape.tasks);
        let info = FrameworkInfo {
            user: "nobody".into(),
            name: "jobs".into(),
            failover_timeout: Some(3600.0),
            checkpoint: Some(true),
            ..Default::default()
        };
        let detector = Arc::new(StandaloneDetector::new(Some(Leader::of(master.clone()))));
        let driver = SchedulerDriver::start(
            &framework,
            scheduler::Config::new(info, detector),
            Jobs::new(ledger.clone()),
        )?;
        Ok(Self {
            master: master.address(),
            slaves,
            framework: framework.address(),
            driver,
            ledger,
        })
    }

    /// The master's `/state`.
    pub fn state(&self, world: &mut World) -> Value {
        let response = world.http(self.master, "GET", "/master/state");
        serde_json::from_slice(&response.bytes()).unwrap_or(Value::Null)
    }

    /// Slaves that the master shows as active.
    pub fn active_slaves(&self, world: &mut World) -> usize {
        let state = self.state(world);
        let slaves = state["slaves"].as_array().map(Vec::as_slice).unwrap_or_default();
        slaves.iter().filter(|slave| slave["active"] == true).count()
    }

    /// Tasks of model slaves that run, or whose end is still being told.
    pub fn unfinished(&self, world: &mut World) -> usize {
        let mut sum = 0;
        for slave in &self.slaves {
            let response = world.http(slave, "GET", "/slave(1)/unfinished");
            let text = String::from_utf8_lossy(&response.bytes()).into_owned();
            sum += text.parse::<usize>().unwrap_or(1);
        }
        sum
    }

    /// Runs until the master shows all slaves as active.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub fn all_slaves_active(
        &self,
        world: &mut World,
        limit: Duration,
    ) -> Result<libprocess::Time, Timeout> {
        let all = self.slaves.len();
        world.run_until_each(PAUSE, limit, |world| self.active_slaves(world) == all)
    }

    /// Breaks every slave's connection to the master, as lost packets do in the end: what a slave
    /// never heard of is found when it registers again. Without that the protocol does not ask.
    pub fn break_connections(&self, world: &mut World) {
        for slave in &self.slaves {
            world.reset_connections(slave, self.master);
        }
    }

    /// Lets a cluster without faults come to rest: first all slaves are active and all tasks
    /// finished, where tasks that hang are chased; then the framework keeps every offer, and in the
    /// end holds all that there is: nothing was lost on the way.
    ///
    /// # Errors
    /// When that takes longer than `limit`, twice.
    pub fn converge(
        &self,
        world: &mut World,
        watch: &mut StateWatch,
        limit: Duration,
    ) -> Result<(), Timeout> {
        let met = self.all_slaves_active(world, limit);
        self.explain(world, "not all slaves are active", met)?;
        let met = world.run_until_each(CHASE, limit, |world| {
            self.ledger.chase(&self.driver, world.now(), PATIENCE);
            watch.look(&self.state(world));
            self.ledger.open().is_done()
        });
        self.explain(world, "not all tasks are finished", met)?;
        self.ledger.open().hoard = true;
        self.driver.revive(Vec::new());
        let met = world.run_until_each(CHASE, limit, |world| {
            let state = self.state(world);
            watch.look(&state);
            self.ledger.chase(&self.driver, world.now(), PATIENCE);
            all_is_offered(&state, self.slaves.len())
        });
        self.explain(world, "not everything is offered", met)
    }

    /// Prints what there is when a condition was not met.
    fn explain<T>(
        &self,
        world: &mut World,
        what: &str,
        met: Result<T, Timeout>,
    ) -> Result<(), Timeout> {
        if met.is_err() {
            eprintln!("{what}: {}", self.ledger.open().summary());
            let state = self.state(world);
            let slaves = state["slaves"].as_array().into_iter().flatten();
            for slave in slaves.filter(|slave| slave["offered_resources"] != slave["resources"]) {
                let [id, pid, active, used, offered] =
                    ["id", "pid", "active", "used_resources", "offered_resources"]
                        .map(|key| &slave[key]);
                eprintln!("{id} {pid} active {active} used {used} offered {offered}");
            }
        }
        met.map(drop)
    }
}

/// True when each of `slaves` slaves has nothing in use and everything on offer.
pub(super) fn all_is_offered(state: &Value, slaves: usize) -> bool {
    let shown = state["slaves"].as_array().map(Vec::as_slice).unwrap_or_default();
    shown.len() == slaves
        && shown.iter().all(|slave| slave["offered_resources"] == slave["resources"])
}
