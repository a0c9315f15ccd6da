//! Clusters of several real masters over a real ZooKeeper: on the loopback, or on hosts of a
//! laboratory whose links can be cut.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod daemon;
mod keeper;
mod net;
mod zookeeper;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::{binary, free_port, wait_for};

pub use daemon::Daemon;
pub use keeper::{Keeper, Seen};
pub use net::Lab;
pub use zookeeper::Ensemble;

/// Hosts of a laboratory: masters from 1 on, servers of ZooKeeper, slaves, the framework.
pub const FIRST_SERVER: u8 = 11;
/// The first slave's host.
pub const FIRST_SLAVE: u8 = 21;
/// The framework's host.
pub const FRAMEWORK: u8 = 31;
/// Hosts that a laboratory has.
pub const HOSTS: u8 = 31;

/// A place for a daemon.
#[derive(Debug, Clone, Copy)]
struct Place {
    address: SocketAddr,
    host: Option<u8>,
}

/// What a cluster is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Number of masters.
    pub masters: u8,
    /// Number of slaves.
    pub slaves: u8,
    /// Number of ZooKeeper's servers.
    pub servers: u8,
    /// In a laboratory, or on the loopback?
    pub lab: bool,
    /// ZooKeeper's sessions, such as `2secs`.
    pub session: &'static str,
    /// Where the registry is.
    pub registry: &'static str,
}

impl Default for Plan {
    /// Three masters with a replicated log over one server, without slaves, on the loopback.
    fn default() -> Self {
        Self {
            masters: 3,
            slaves: 0,
            servers: 1,
            lab: false,
            session: "2secs",
            registry: "replicated_log",
        }
    }
}

/// The cluster. Parts go in the order in which they stand here.
pub struct Ha {
    /// The slaves; None while one is down.
    pub slaves: Vec<Option<Daemon>>,
    /// The masters; None while one is down.
    pub masters: Vec<Option<Daemon>>,
    /// ZooKeeper.
    pub zookeeper: Ensemble,
    /// The network, in a laboratory.
    pub lab: Option<Lab>,
    plan: Plan,
    master_places: Vec<Place>,
    slave_places: Vec<Place>,
    dir: TempDir,
}

impl Ha {
    /// Prepares a cluster of which nothing runs yet.
    pub fn prepare(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lab = plan.lab.then(|| Lab::new(HOSTS));
        let place = |host: u8, port: u16| match &lab {
            Some(lab) => {
                Place { address: SocketAddr::from((lab.ip(host), port)), host: Some(host) }
            }
            None => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
                Place { address, host: None }
            }
        };
        let servers = lab.as_ref().map(|lab| (lab, FIRST_SERVER));
        Self {
            zookeeper: Ensemble::prepare(dir.path(), plan.servers, servers),
            master_places: (0..plan.masters).map(|number| place(1 + number, 5050)).collect(),
            slave_places: (0..plan.slaves)
                .map(|number| place(FIRST_SLAVE + number, 5051))
                .collect(),
            masters: (0..plan.masters).map(|_| None).collect(),
            slaves: (0..plan.slaves).map(|_| None).collect(),
            lab,
            plan,
            dir,
        }
    }

    /// Starts everything and waits until a master leads and counts all slaves.
    pub fn start(plan: Plan) -> Self {
        let mut ha = Self::prepare(plan);
        ha.zookeeper.start(ha.lab.as_ref());
        for number in 0..ha.masters.len() {
            ha.start_master(number);
        }
        for number in 0..ha.slaves.len() {
            ha.start_slave(number);
        }
        ha.wait_for_slaves(usize::from(plan.slaves));
        if plan.registry == "replicated_log" {
            ha.wait_for_replicas();
        }
        ha
    }

    /// The URL of the masters.
    pub fn url(&self) -> String {
        format!("zk://{}/mesos", self.zookeeper.addresses())
    }

    /// A place for files of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, host: Option<u8>, program: &Path) -> Command {
        match (&self.lab, host) {
            (Some(lab), Some(host)) => lab.command(host, program),
            _ => Command::new(program),
        }
    }

    /// The directory of a master.
    pub fn master_dir(&self, number: usize) -> PathBuf {
        self.dir().join(format!("master-{number}"))
    }

    /// The directory of a slave.
    pub fn slave_dir(&self, number: usize) -> PathBuf {
        self.dir().join(format!("slave-{number}"))
    }

    /// Starts a master, with further flags.
    pub fn start_master_with(&mut self, number: usize, flags: &[&str]) {
        let quorum = format!("--quorum={}", self.plan.masters / 2 + 1);
        let mut all = flags.to_vec();
        if self.plan.registry == "replicated_log" {
            all.push(&quorum);
        }
        self.start_master_alone(number, &all);
    }

    /// Starts a master whose quorum, if it needs one, is among the flags.
    pub fn start_master_alone(&mut self, number: usize, flags: &[&str]) {
        let zk = format!("--zk={}", self.url());
        let session = format!("--zk_session_timeout={}", self.plan.session);
        let mut all = vec![zk.as_str(), &session];
        all.extend(flags);
        self.start_single_master(number, &all);
    }

    /// Starts a master that knows nothing of ZooKeeper, but for what the flags say.
    pub fn start_single_master(&mut self, number: usize, flags: &[&str]) {
        let place = self.master_places[number];
        let mut command = self.command(place.host, &binary("mesos-master"));
        command.args([
            format!("--ip={}", place.address.ip()),
            format!("--port={}", place.address.port()),
            format!("--hostname={}", place.address.ip()),
            format!("--work_dir={}", self.master_dir(number).display()),
            format!("--registry={}", self.plan.registry),
        ]);
        command.args(flags);
        let log = self.dir().join(format!("master-{number}.log"));
        self.masters[number] = Some(Daemon::start(command, place.address, &log));
    }

    /// Starts a master.
    pub fn start_master(&mut self, number: usize) {
        self.start_master_with(number, &["--allocation_interval=200ms"]);
    }

    /// Starts a slave.
    pub fn start_slave(&mut self, number: usize) {
        self.start_slave_of(number, &self.url());
    }

    /// Starts a slave of a certain master.
    pub fn start_slave_of(&mut self, number: usize, master: &str) {
        let place = self.slave_places[number];
        let mut command = self.command(place.host, &binary("mesos-slave"));
        command.args([
            format!("--ip={}", place.address.ip()),
            format!("--port={}", place.address.port()),
            format!("--hostname={}", place.address.ip()),
            format!("--work_dir={}", self.slave_dir(number).display()),
            format!("--runtime_dir={}", self.dir().join(format!("run-{number}")).display()),
            format!("--master={master}"),
            format!("--zk_session_timeout={}", self.plan.session),
            "--resources=cpus:40;mem:8192;disk:10000".to_owned(),
            "--registration_backoff_factor=200ms".to_owned(),
        ]);
        let log = self.dir().join(format!("slave-{number}.log"));
        self.slaves[number] = Some(Daemon::start(command, place.address, &log));
    }

    /// The master that leads and has recovered its registry, and its state.
    pub fn leader(&mut self) -> Option<(usize, Value)> {
        self.masters.iter_mut().enumerate().find_map(|(number, master)| {
            let master = master.as_mut()?;
            let state = if master.answers() { master.json("/state") } else { None };
            Some((number, state?))
        })
    }

    /// Waits until some master leads.
    pub fn wait_for_leader(&mut self) -> usize {
        wait_for("a leading master", || self.leader()).0
    }

    /// Waits until a master leads that is not `other`.
    pub fn wait_for_leader_but(&mut self, other: usize) -> usize {
        wait_for("another leading master", || self.leader().filter(|leader| leader.0 != other)).0
    }

    /// Waits until the leader counts so many active slaves.
    pub fn wait_for_slaves(&mut self, count: usize) {
        wait_for(&format!("{count} active slaves"), || {
            let (_, state) = self.leader()?;
            (state["activated_slaves"].as_u64() == Some(count as u64)).then_some(())
        });
    }

    /// Waits until a master's replica votes.
    pub fn wait_for_replica(&self, master: usize) {
        wait_for(&format!("the replica of master {master} to vote"), || {
            let metrics = self.masters[master].as_ref()?.json("/metrics/snapshot")?;
            (metrics["registrar/log/recovered"] == 1.0).then_some(())
        });
    }

    /// Waits until the replica of each master votes. Only then may one of three go: a replica that
    /// still recovers needs a majority that votes beside it.
    pub fn wait_for_replicas(&self) {
        (0..self.masters.len()).for_each(|master| self.wait_for_replica(master));
    }

    /// Runs a tool to its end.
    pub fn tool(&self, name: &str, flags: &[&str]) -> Output {
        Command::new(binary(name)).args(flags).output().unwrap()
    }

    /// Starts a framework that keeps tasks running, on its own host.
    pub fn keeper(&self, tasks: usize) -> Keeper {
        let host = self.lab.as_ref().map(|_| FRAMEWORK);
        let ip = self.lab.as_ref().map_or(Ipv4Addr::LOCALHOST, |lab| lab.ip(FRAMEWORK));
        Keeper::start(self.dir(), &self.url(), ip, tasks, |program| self.command(host, program))
    }
}

/// The newest segment of the log in a replica's directory.
pub fn last_segment(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let segments = files.filter(|path| path.to_string_lossy().contains("segment-"));
    segments.max().expect("the replica has stored something")
}
