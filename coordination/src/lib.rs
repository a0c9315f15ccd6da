//! Who leads: election and detection of masters, and what replicated state is kept where.
//!
//! # Purpose
//! Slaves, drivers and masters ask one [`Detector`] who leads. Today the standalone detector
//! answers with the one master it was told of; election over ZooKeeper, the replicated log and
//! state storage come behind the same traits.
//!
//! # Non-goals
//! Nothing here knows tasks, offers or resources.
//!
//! # Map
//! - [`Detector`], [`Leader`]: the question and its answer
//! - [`standalone`]: the detector that is told
//! - [`state`]: variables that outlive processes, behind one [`state::Storage`]
//! - [`url`]: how masters are named on command lines
//!
//! # Example
//! ```
//! use coordination::url::MasterUrl;
//! let url: MasterUrl = "10.0.0.1:5050".parse().unwrap();
//! assert_eq!(url, MasterUrl::Standalone("master@10.0.0.1:5050".parse().unwrap()));
//! ```

pub mod election;
pub mod group;
mod journal;
pub mod log;
pub mod standalone;
pub mod state;
pub mod url;

use futures::future::BoxFuture;
use libprocess::Pid;
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
