//! A master and its slaves, each on a node of its own, in this OS process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use coordination::{Leader, StandaloneDetector};
use libprocess::flags::{FlagError, Loader};
use libprocess::{Node, NodeConfig, real};
use slave::Helpers;
use slave::containerizer::ContainerizerOptions;

use super::flags::Flags;

/// What a cluster is to be.
#[derive(Clone)]
pub struct Settings {
    /// Address that all nodes listen on.
    pub ip: Ipv4Addr,
    /// The master's port; 0 takes any.
    pub port: u16,
    /// How many slaves.
    pub slaves: usize,
    /// Each slave works in a directory of its own below this one.
    pub work_dir: PathBuf,
    /// The master's settings.
    pub master: master::Config,
    /// The slaves' settings; directories and addresses are the cluster's.
    pub slave: slave::flags::Flags,
    /// The slaves' flags as `/flags` shows them.
    pub slave_flags: BTreeMap<String, String>,
    /// Where everything logs.
    pub log: slog::Logger,
}

/// A cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A node could not be started.
    #[error(transparent)]
    Node(#[from] real::StartError),
    /// A process could not be started on its node.
    #[error(transparent)]
    Spawn(#[from] libprocess::SpawnError),
    /// A slave's settings cannot be used.
    #[error("slave: {0}")]
    Slave(String),
    /// The path of this program is not known, so that slaves cannot start helpers.
    #[error("cannot find the path of this program: {0}")]
    Program(std::io::Error),
}

impl Settings {
    /// Reads the flags of masters and slaves besides the cluster's own.
    ///
    /// # Errors
    /// [`FlagError`] of the master's or a slave's flags.
    pub fn load(
        loader: &Loader,
        arguments: &[OsString],
        flags: &Flags,
        log: slog::Logger,
    ) -> Result<Self, FlagError> {
        let master = loader.load::<master::flags::Flags>(arguments)?;
        let slave = loader.load::<slave::flags::Flags>(arguments)?;
        let hostname = master.flags.hostname.clone().unwrap_or_else(|| flags.ip.to_string());
        Ok(Self {
            ip: flags.ip,
            port: flags.port,
            slaves: flags.num_slaves,
            work_dir: flags.work_dir(),
            master: master.flags.config(hostname, master.effective),
            slave: slave.flags,
            slave_flags: slave.effective,
            log,
        })
    }

    /// One slave on the loopback, any ports, no flags.
    pub fn small(work_dir: PathBuf, log: slog::Logger) -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST,
            port: 0,
            slaves: 1,
            work_dir,
            master: master::Config::default(),
            slave: slave::flags::Flags::parse_from(["mesos-slave"]),
            slave_flags: BTreeMap::new(),
            log,
        }
    }
}

/// A cluster that runs.
pub struct Cluster {
    master: Node,
    slaves: Vec<(Node, PathBuf)>,
}

impl Cluster {
    /// Starts the master, then the slaves. Must be called inside [`real::run`].
    ///
    /// # Errors
    /// [`ClusterError`] when a node or process cannot be started.
    pub async fn start(settings: Settings) -> Result<Self, ClusterError> {
        let config = master::node_config(settings.log.new(slog::o!("node" => "master")));
        let master = node(&settings, settings.port, config).await?;
        master::start(&master, settings.master.clone())?;
        let mut cluster = Self { master, slaves: Vec::new() };
        for number in 1..=settings.slaves {
            let directory = settings.work_dir.join(format!("slave-{number}"));
            let slave = start_slave(&settings, &cluster.master, number, &directory).await?;
            cluster.slaves.push((slave, directory));
        }
        Ok(cluster)
    }

    /// The master's node.
    pub fn master(&self) -> &Node {
        &self.master
    }

    /// The slaves' nodes and the directories they work in.
    pub fn slaves(&self) -> impl Iterator<Item = (&Node, &Path)> {
        self.slaves.iter().map(|(node, directory)| (node, directory.as_path()))
    }

    /// Ends slaves, then the master.
    pub async fn stop(self) {
        for (slave, _) in &self.slaves {
            slave.close();
        }
        self.master.close();
    }
}

async fn node(settings: &Settings, port: u16, node: NodeConfig) -> Result<Node, real::StartError> {
    let config = real::Config { ip: settings.ip, port, node, ..real::Config::default() };
    real::start(config).await
}

async fn start_slave(
    settings: &Settings,
    master: &Node,
    number: usize,
    directory: &Path,
) -> Result<Node, ClusterError> {
    let log = settings.log.new(slog::o!("node" => format!("slave-{number}")));
    let node = node(settings, 0, slave::node_config(log.clone())).await?;
    let flags =
        slave::flags::Flags { work_dir: Some(directory.to_owned()), ..settings.slave.clone() };
    let hostname = flags.hostname.clone().unwrap_or_else(|| settings.ip.to_string());
    let config =
        flags.config(hostname, settings.slave_flags.clone()).map_err(ClusterError::Slave)?;
    let config = slave::Config {
        helpers: own_helpers()?,
        executor_ip: Some(settings.ip),
        // Only root can become somebody else; anybody can run tasks as himself.
        switch_user: config.switch_user && nix::unistd::geteuid().is_root(),
        on_exit: Arc::new(move |_, reason| slog::error!(log, "slave ended"; "reason" => reason)),
        ..config
    };
    let options = ContainerizerOptions {
        isolation: flags.isolation.clone(),
        fetcher: config.helpers.fetcher.clone(),
        frameworks_home: flags.frameworks_home.clone(),
        ..ContainerizerOptions::default()
    };
    let detector = StandaloneDetector::new(Some(Leader::of(master.pid("master"))));
    slave::start_with(&node, config, options, Arc::new(detector))
        .map_err(|error| ClusterError::Slave(error.to_string()))?;
    Ok(node)
}

/// This same program serves as the slaves' helpers.
fn own_helpers() -> Result<Helpers, ClusterError> {
    let program = std::env::current_exe().map_err(ClusterError::Program)?;
    let program = program.display().to_string();
    let helper = |name: &str| vec![program.clone(), name.to_owned()];
    Ok(Helpers {
        executor: helper("mesos-executor"),
        docker_executor: helper("mesos-docker-executor"),
        fetcher: helper("mesos-fetcher"),
        containerizer: helper("mesos-containerizer"),
        logger: helper("mesos-logrotate-logger"),
    })
}
