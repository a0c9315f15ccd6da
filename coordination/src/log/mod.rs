//! The replicated log: a sequence of entries that a majority of replicas agree on, position by
//! position, whatever hosts and networks do meanwhile.
//!
//! A [`Log`] is one replica with its way back into the ensemble after losses. A [`Writer`] leads:
//! it gets a majority's promise, settles what earlier writers left open, and appends. All of them
//! speak `mesos.internal.log.*`.

mod call;
mod filler;
mod lock;
mod network;
mod probe;
mod recovery;
mod replica;
mod replicas;
mod tally;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use libprocess::disk::DiskError;
use libprocess::{Handle, Node, Pid, SpawnError};
use protos::mesos::internal::log::{action, metadata};

use crate::journal::Corrupt;
use recovery::Recovery;
use replica::Replica;

pub use lock::{DirLock, LockError};
pub use network::Network;
pub use probe::{Probed, probe};
pub use writer::{Elected, Writer};

/// How long a writer counts answers to one of its requests. A replica that lost its disk waits
/// longer than this before it takes part again: by then nobody counts on what it said before.
pub(crate) const ANSWERS_COUNT_FOR: Duration = Duration::from_secs(3);
/// How long a replica that does not vote waits before it may, except in a new ensemble.
pub(crate) const SILENCE: Duration = Duration::from_secs(4);

/// The log failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The disk failed.
    #[error("{0}")]
    Disk(Arc<DiskError>),
    /// A segment is damaged; it is left as it is.
    #[error("{path}: {cause}")]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where and how.
        cause: Corrupt,
    },
    /// A segment holds what no replica writes.
    #[error("{path}: {reason}")]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The log's directory holds something else.
    #[error("{path} is no part of a log")]
    Foreign {
        /// The file that does not belong there.
        path: PathBuf,
    },
    /// Positions that are truncated, not yet written, or not known here to be settled.
    #[error("positions {from} to {to} cannot be read: the log holds {begin} to {end}, {missing}")]
    Range {
        /// First position asked for.
        from: u64,
        /// Last position asked for.
        to: u64,
        /// First position of the log.
        begin: u64,
        /// Last position of the log.
        end: u64,
        /// What is not settled, in words.
        missing: String,
    },
    /// The replica is gone, or its disk failed before what was asked for was safe.
    #[error("the replica is gone or its disk failed")]
    Ended,
}

impl From<DiskError> for LogError {
    fn from(error: DiskError) -> Self {
        Self::Disk(Arc::new(error))
    }
}

/// What the log answers, once it is known.
pub type LogFuture<T> = BoxFuture<'static, Result<T, LogError>>;

/// Errors put in on purpose, by which tests show that they would be noticed.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Planted {
    #[default]
    Nothing,
    /// Promises are not kept on disk.
    ForgetsPromises,
    /// One answer less than a quorum will do.
    ShortQuorum,
}

/// What a replica and its writers need to know.
#[derive(Clone)]
pub struct LogConfig {
    /// The replica's directory.
    pub dir: PathBuf,
    /// How many replicas have to agree: more than half of them.
    pub quorum: usize,
    /// A new ensemble starts by itself once all 2 × quorum − 1 replicas, all empty, are up.
    pub auto_initialize: bool,
    /// Who takes part.
    pub network: Network,
    /// Bytes after which a new segment file is begun.
    pub segment_bytes: u64,
    #[doc(hidden)]
    pub planted: Planted,
}

impl LogConfig {
    /// A configuration with automatic initialisation.
    pub fn new(dir: impl Into<PathBuf>, quorum: usize, network: Network) -> Self {
        let (auto_initialize, segment_bytes) = (true, 8 << 20);
        let planted = Planted::Nothing;
        Self { dir: dir.into(), quorum, auto_initialize, network, segment_bytes, planted }
    }

    /// How many answers of replicas decide.
    fn answers(&self) -> usize {
        match self.planted {
            Planted::ShortQuorum => self.quorum - 1,
            _ => self.quorum,
        }
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing; it fills a position.
    Nop,
    /// What a writer appended.
    Append(Bytes),
    /// Everything before this position is gone.
    Truncate(u64),
}

/// A settled position of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub position: u64,
    /// What.
    pub value: Value,
}

impl Entry {
    fn of(action: protos::mesos::internal::log::Action) -> Self {
        let value = match action.r#type() {
            action::Type::Nop => Value::Nop,
            action::Type::Append => {
                Value::Append(action.append.map(|append| append.bytes).unwrap_or_default())
            }
            action::Type::Truncate => {
                Value::Truncate(action.truncate.map_or(0, |truncate| truncate.to))
            }
        };
        Self { position: action.position, value }
    }
}

/// What a replica knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Whether it votes.
    pub status: metadata::Status,
    /// The highest proposal it promised to follow.
    pub promised: u64,
    /// First position that is not truncated.
    pub begin: u64,
    /// Last position that something was written to.
    pub end: u64,
    /// How many positions between them are not known to be settled.
    pub missing: usize,
}

/// A replica of the log, and its recovery.
#[derive(Clone)]
pub struct Log {
    replica: Handle<Replica>,
    config: LogConfig,
}

impl Log {
    /// Starts a replica under the next free `log-replica(N)`, adds it to the network, and has it
    /// recover until it votes.
    ///
    /// # Errors
    /// When the id of its recovery is taken.
    pub fn start(node: &Node, config: LogConfig) -> Result<Self, SpawnError> {
        let replica = node.spawn_numbered("log-replica", Replica::new(config.clone()));
        config.network.add(replica.pid().clone());
        let id = format!("recovery-of-{}", replica.pid().id());
        node.spawn(&id, Recovery::new(config.clone(), replica.clone()))?;
        Ok(Self { replica, config })
    }

    /// The replica's PID, by which others of the ensemble know it.
    pub fn pid(&self) -> &Pid {
        self.replica.pid()
    }

    /// A writer, which has to be elected before it writes.
    pub fn writer(&self, node: &Node) -> Writer {
        Writer::start(node, self.config.clone(), self.replica.clone())
    }

    /// A replica alone, without recovery, network or group: for tools that look at its directory
    /// while nobody else uses it. `dir` is as in [`LogConfig`].
    pub fn open(node: &Node, dir: impl Into<PathBuf>) -> Self {
        let config = LogConfig::new(dir, 1, Network::default());
        let replica = node.spawn_numbered("log-replica", Replica::new(config.clone()));
        Self { replica, config }
    }

    /// Ready with the reason when the replica's directory is damaged or holds something else: that
    /// does not pass by itself. [`LogError::Ended`] when the replica is gone.
    pub fn damage(&self) -> BoxFuture<'static, LogError> {
        Replica::damage_of(&self.replica)
    }

    /// What the replica knows of itself.
    pub fn status(&self) -> LogFuture<ReplicaStatus> {
        Replica::status_of(&self.replica)
    }

    /// Registers the gauges `<prefix>log/recovered` (1 when the replica votes) and
    /// `<prefix>log/ensemble_size` (replicas known) at a node; the master's prefix is `registrar/`.
    pub fn meter(&self, node: &Node, prefix: &str) {
        let recovered = format!("{prefix}log/recovered");
        node.metrics().gauge(&recovered, &self.replica, |replica| f64::from(replica.votes()));
        let network = self.config.network.clone();
        let size = format!("{prefix}log/ensemble_size");
        node.metrics().gauge_fn(&size, move || network.members().len() as f64);
    }

    /// The entries of positions `from` to `to`, both included, as this replica knows them.
    pub fn read(&self, from: u64, to: u64) -> LogFuture<Vec<Entry>> {
        Replica::read_of(&self.replica, from, to)
    }

    /// Has an empty replica vote at once: what `mesos-log initialize` does to each replica of a
    /// new ensemble. False when it is not empty.
    pub fn initialize(&self) -> LogFuture<bool> {
        Replica::initialize(&self.replica)
    }
}
