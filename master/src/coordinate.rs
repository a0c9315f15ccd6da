//! From flags to what a master coordinates with others by: its election, and its registry's storage.

use std::sync::Arc;

use coordination::election::{GroupContender, GroupDetector};
use coordination::group::SessionGroup;
use coordination::log::{DirLock, LockError, Log, LogConfig, LogError, Network};
use coordination::state::{FileStorage, InMemoryStorage, LogStorage, Storage, ZooKeeperStorage};
use futures::future::BoxFuture;
use libprocess::{Node, SpawnError};

use crate::Election;
use crate::flags::{self, FlagsError, Place};

/// The group of a log's replicas, below the masters'.
const REPLICAS: &str = "log_replicas";
/// The znode below which variables are kept, below the masters'.
const STATE: &str = "state";
/// What metrics of the registrar's log start with.
const PREFIX: &str = "registrar/";

/// A master cannot keep its registry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoordinateError {
    #[error(transparent)]
    Flags(#[from] FlagsError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("cannot start the registry's storage: {0}")]
    Spawn(#[from] SpawnError),
}

/// Where the registry is kept, and what must live as long as that.
pub(crate) struct Kept {
    pub(crate) storage: Arc<dyn Storage>,
    /// Ready with the reason when the storage is damaged.
    pub(crate) damage: BoxFuture<'static, LogError>,
    _lock: Option<DirLock>,
}

/// The group of masters that the flags speak of; None for a master without others.
pub(crate) fn masters(node: &Node, flags: &flags::Election) -> Option<SessionGroup> {
    let url = flags.zk.clone()?;
    Some(SessionGroup::zookeeper(node, url, flags.zk_session_timeout))
}

/// An election among a group of masters.
pub(crate) fn election(node: &Node, masters: SessionGroup) -> Election {
    let group = Arc::new(masters);
    let detector = Arc::new(GroupDetector::start(node, group.clone()));
    Election { contender: Arc::new(GroupContender::new(group)), detector }
}

/// Starts the storage that the flags speak of.
///
/// # Errors
/// [`CoordinateError`] when flags do not go together, or another process uses the same directory.
pub(crate) fn storage(node: &Node, flags: &flags::Election) -> Result<Kept, CoordinateError> {
    let kept = |storage: Arc<dyn Storage>| {
        let damage: BoxFuture<'static, LogError> = Box::pin(std::future::pending());
        Kept { storage, damage, _lock: None }
    };
    Ok(match flags.place()? {
        Place::InMemory => kept(Arc::new(InMemoryStorage::default())),
        Place::File(file) => kept(Arc::new(FileStorage::start(node, "registry-file", file)?)),
        Place::ZooKeeper(url) => {
            let group = SessionGroup::zookeeper(node, url.child(STATE), flags.zk_session_timeout);
            kept(Arc::new(ZooKeeperStorage::start(node, "registry-zookeeper", group)?))
        }
        Place::ReplicatedLog { dir, quorum } => {
            let lock = DirLock::take(&dir)?;
            let network = Network::default();
            let config = LogConfig {
                auto_initialize: flags.log_auto_initialize,
                ..LogConfig::new(dir, quorum, network.clone())
            };
            let log = Log::start(node, config)?;
            if let Some(url) = &flags.zk {
                let (url, timeout) = (url.child(REPLICAS), flags.zk_session_timeout);
                let group = SessionGroup::zookeeper(node, url, timeout);
                network.follow(node, Arc::new(group), log.pid().clone());
            }
            log.meter(node, PREFIX);
            let damage = log.damage();
            let storage = Arc::new(LogStorage::start(node, "registry-log", log)?);
            Kept { storage, damage, _lock: Some(lock) }
        }
    })
}
