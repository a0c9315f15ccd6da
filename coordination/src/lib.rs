//! Who leads: election and detection of masters, and where replicated state is kept.
//!
//! # Purpose
//! Slaves, drivers and masters ask one [`Detector`] who leads; masters contend for it through a
//! [`election::Contender`]. What a leader must not forget it keeps in a [`state::Storage`]: in
//! memory, in a local file, or in a log that a majority of masters' hosts agree on.
//!
//! # Non-goals
//! Nothing here knows tasks, offers or resources, nor what is stored. A session that ends says so to
//! whoever relies on it: that a leader then stops is up to the leader.
//!
//! # Map
//! - [`Detector`], [`Leader`], [`detector`]: the question, its answer, and who answers it
//! - [`authenticatee`]: how its clients prove to a leader who they are
//! - [`election`]: candidates, and the detector that looks at a group
//! - [`group`]: who is there: over ZooKeeper, simulated, or in memory
//! - [`log`]: the replicated log: replicas, their recovery, writers
//! - [`state`]: variables that outlive processes, behind one [`state::Storage`]
//! - [`standalone`]: the detector that is told
//! - [`url`]: how masters and groups are named on command lines
//!
//! Log and file storage share one format of files, `journal`: frames with checksums that tell what
//! a crash leaves from what is damaged.
//!
//! # Example
//! A candidate finds out that it leads:
//! ```
//! use std::sync::Arc;
//! use coordination::Detector;
//! use coordination::election::{Contender, GroupContender, GroupDetector};
//! use coordination::group::StandaloneGroup;
//! use libprocess::NodeConfig;
//! use libprocess::sim::World;
//! use protos::mesos::MasterInfo;
//!
//! let mut world = World::new(1);
//! let node = world.node("10.0.0.1:5050".parse().unwrap(), NodeConfig::default());
//! let group = Arc::new(StandaloneGroup::default());
//! let detector = GroupDetector::start(&node, group.clone());
//!
//! let pid = "master@10.0.0.1:5050".to_owned();
//! let info = MasterInfo { id: "m1".into(), pid: Some(pid.clone()), ..MasterInfo::default() };
//! let candidacy = futures::executor::block_on(GroupContender::new(group).contend(&info)).unwrap();
//! world.settle();
//! let leader = futures::executor::block_on(detector.detect(None)).unwrap();
//! assert_eq!(leader.pid.to_string(), pid);
//! // From here on it acts, until `candidacy.lost()` is ready.
//! drop(candidacy);
//! ```

pub mod authenticatee;
pub mod election;
pub mod group;
mod journal;
pub mod log;
pub mod standalone;
pub mod state;
pub mod url;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use libprocess::{Node, Pid};
use protos::mesos::MasterInfo;

pub use journal::Corrupt;
pub use standalone::StandaloneDetector;

/// The master that leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Leader {
    /// Where its messages go.
    pub pid: Pid,
    /// What it tells of itself, if that is known.
    pub info: Option<MasterInfo>,
}

impl Leader {
    /// A leader of whom only the PID is known.
    pub fn of(pid: Pid) -> Self {
        Self { pid, info: None }
    }
}

/// Tells who leads.
pub trait Detector: Send + Sync {
    /// Ready as soon as the leader differs from `previous`; None stands for "nobody".
    fn detect(&self, previous: Option<Leader>) -> BoxFuture<'static, Option<Leader>>;
}

/// The detector for a master's name on a command line. In a ZooKeeper ensemble it keeps a session
/// of `timeout` (10 s by default) on the node.
pub fn detector(node: &Node, master: &url::MasterUrl, timeout: Duration) -> Arc<dyn Detector> {
    match master {
        url::MasterUrl::Standalone(pid) => {
            Arc::new(StandaloneDetector::new(Some(Leader::of(pid.clone()))))
        }
        url::MasterUrl::ZooKeeper(url) => {
            let group = group::SessionGroup::zookeeper(node, url.clone(), timeout);
            Arc::new(election::GroupDetector::start(node, Arc::new(group)))
        }
    }
}
