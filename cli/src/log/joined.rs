//! A replica of a log whose other replicas are found in ZooKeeper.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use coordination::group::SessionGroup;
use coordination::log::{DirLock, Log, LogConfig, Network};
use coordination::url::ZkUrl;
use libprocess::Node;

use super::Failed;
use crate::node;

/// Where the replicas of a log find each other.
#[derive(Args, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Ensemble {
    /// ZooKeeper's servers: host:port,host:port
    #[arg(long, required = true)]
    pub servers: String,
    /// Znode below which the replicas are; masters' are at <path of their URL>/log_replicas
    #[arg(long, required = true)]
    pub znode: String,
    /// Time after which ZooKeeper takes a silent replica for gone
    #[arg(long, default_value = "10secs", value_parser = protos::duration::parse)]
    pub zk_session_timeout: Duration,
}

impl Ensemble {
    /// The group of the replicas.
    pub(super) fn url(&self) -> Result<ZkUrl, Failed> {
        let znode = self.znode.trim_start_matches('/');
        Ok(format!("zk://{}/{znode}", self.servers).parse::<ZkUrl>()?)
    }

    /// A session with the group, on a node that its servers' hosts can reach.
    pub(super) async fn group(&self, log: slog::Logger) -> Result<(Node, SessionGroup), Failed> {
        let url = self.url()?;
        let node = node::reached_from(&url.servers, log).await?;
        let group = SessionGroup::zookeeper(&node, url, self.zk_session_timeout);
        Ok((node, group))
    }
}

/// How a replica takes part.
#[derive(Args, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Joining {
    /// The replica's directory
    #[arg(long, required = true)]
    pub path: PathBuf,
    /// How many replicas have to store an entry: more than half of all
    #[arg(long, required = true, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub quorum: Option<u16>,
    /// May a new log start by itself once all replicas are up?
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub initialize: bool,
    /// Where the others are
    #[command(flatten)]
    pub ensemble: Ensemble,
}

/// A replica that takes part.
pub(super) struct Joined {
    pub(super) node: Node,
    pub(super) log: Log,
    _lock: DirLock,
}

impl Joining {
    pub(super) async fn join(&self, log: slog::Logger) -> Result<Joined, Failed> {
        let lock = DirLock::take(&self.path)?;
        let (node, group) = self.ensemble.group(log).await?;
        let (network, quorum) = (Network::default(), usize::from(self.quorum.unwrap_or(1)));
        let config = LogConfig {
            auto_initialize: self.initialize,
            ..LogConfig::new(&self.path, quorum, network.clone())
        };
        let log = Log::start(&node, config)?;
        network.follow(&node, Arc::new(group), log.pid().clone());
        Ok(Joined { node, log, _lock: lock })
    }
}
