//! What runs on each host of a cluster with several masters.

use std::net::SocketAddrV4;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use coordination::election::{GroupContender, GroupDetector};
use coordination::group::simulated::{Directory, SimulatedConnect};
use coordination::group::{Group, SessionGroup};
use coordination::log::{Log, LogConfig, Network};
use coordination::state::LogStorage;
use drivers::scheduler::{self, SchedulerDriver};
use libprocess::sim::World;
use libprocess::{Node, Pid, slog};
use master::{Election, Fatal, registrar};
use protos::mesos::FrameworkInfo;

use super::super::cluster::{config, slave_on};
use super::super::jobs::{Jobs, SharedLedger};
use super::SharedDriver;

/// Of all sessions with directories.
pub(super) const SESSION: Duration = Duration::from_secs(5);

/// A directory service; what it knows outlives its processes.
pub(super) fn directory(world: &mut World, address: SocketAddrV4) {
    let (node, directory) = (world.node(address, config(None)), Directory::default());
    world.on_start(&node, move |node| _ = directory.serve(node));
}

fn group(node: &Node, server: SocketAddrV4) -> Arc<dyn Group> {
    let connect = SimulatedConnect { servers: vec![Pid::new("directory", server)] };
    Arc::new(SessionGroup::start(node, Arc::new(connect), SESSION))
}

fn detector(node: &Node, server: SocketAddrV4) -> Arc<GroupDetector> {
    Arc::new(GroupDetector::start(node, group(node, server)))
}

/// A master with a replica of the log; its process ends with it.
pub(super) fn master(
    world: &mut World,
    address: SocketAddrV4,
    directories: [SocketAddrV4; 2],
    quorum: usize,
) {
    let node = world.node(address, config(Some("master")));
    world.on_start(&node, move |node| {
        if let Err(error) = start_master(node, directories, quorum) {
            slog::crit!(node.log(), "cannot start a master: {error}");
        }
    });
}

fn start_master(
    node: &Node,
    [masters, replicas]: [SocketAddrV4; 2],
    quorum: usize,
) -> Result<(), libprocess::SpawnError> {
    let network = Network::default();
    let log = LogConfig {
        segment_bytes: 100_000,
        ..LogConfig::new("/var/replicated_log", quorum, network.clone())
    };
    let log = Log::start(node, log)?;
    network.follow(node, group(node, replicas), log.pid().clone());
    let storage = Arc::new(LogStorage::start(node, "registry-log", log)?);
    let group = group(node, masters);
    let ended = node.clone();
    let config = master::Config {
        contends: true,
        election: Some(Election {
            contender: Arc::new(GroupContender::new(group.clone())),
            detector: Arc::new(GroupDetector::start(node, group)),
        }),
        registrar: registrar::Config { storage, ..registrar::Config::default() },
        // The framework may never have got them.
        offer_timeout: Some(Duration::from_secs(30)),
        fatal: Fatal(Arc::new(move |_| ended.close())),
        ..master::Config::default()
    };
    master::start(node, config).map(drop)
}

/// A real slave.
pub(super) fn slave(world: &mut World, address: SocketAddrV4, masters: SocketAddrV4) {
    let node = world.node(address, config(Some("slave(1)")));
    world.on_start(&node, move |node| slave_on(node, detector(node, masters)));
}

/// A framework that resumes under its id when it is started again.
pub(super) fn framework(
    world: &mut World,
    address: SocketAddrV4,
    masters: SocketAddrV4,
    ledger: &SharedLedger,
    driver: &SharedDriver,
) {
    let (node, ledger, driver) =
        (world.node(address, config(None)), ledger.clone(), driver.clone());
    world.on_start(&node, move |node| {
        let id = ledger.open().id.clone();
        ledger.open().held.clear();
        let info = FrameworkInfo {
            user: "nobody".into(),
            name: format!("jobs at {}", address.ip()),
            id: id.map(|id| id.wire()),
            failover_timeout: Some(3600.0),
            checkpoint: Some(true),
            ..FrameworkInfo::default()
        };
        let config = scheduler::Config::new(info, detector(node, masters));
        let started = SchedulerDriver::start(node, config, Jobs::new(ledger.clone()));
        *driver.lock().unwrap_or_else(PoisonError::into_inner) = started.ok();
    });
}
