//! How a master works: plain data, filled from flags or by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Everything a master must be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name that other hosts and people know this host by (flag `hostname`).
    pub hostname: String,
    /// Name of the cluster (flag `cluster`).
    pub cluster: Option<String>,
    /// Version that is told to others.
    pub version: String,
    /// Time between pings, and wait for a pong (flag `agent_ping_timeout`).
    pub ping_timeout: Duration,
    /// Missed pongs until a slave is unreachable (flag `max_agent_ping_timeouts`).
    pub max_ping_timeouts: u32,
    /// How long a disconnected slave may take to come back (flag `agent_reregister_timeout`).
    pub reregister_timeout: Duration,
    /// How long an offer may lie unanswered (flag `offer_timeout`).
    pub offer_timeout: Option<Duration>,
    /// Time between allocation runs (flag `allocation_interval`).
    pub allocation_interval: Duration,
    /// Roles that frameworks may use; all for None (flag `roles`).
    pub roles: Option<BTreeSet<String>>,
    /// Weights of roles (flag `weights`).
    pub weights: BTreeMap<String, f64>,
    /// May frameworks run tasks as root (flag `root_submissions`)?
    pub root_submissions: bool,
    /// Completed frameworks kept (flag `max_completed_frameworks`).
    pub max_completed_frameworks: usize,
    /// Completed tasks kept for each framework (flag `max_completed_tasks_per_framework`).
    pub max_completed_tasks: usize,
    /// Unreachable tasks kept for each framework (flag `max_unreachable_tasks_per_framework`).
    pub max_unreachable_tasks: usize,
    /// Effective flags, as `/flags` shows them.
    pub flags: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            cluster: None,
            version: VERSION.to_owned(),
            ping_timeout: Duration::from_secs(15),
            max_ping_timeouts: 5,
            reregister_timeout: Duration::from_secs(600),
            offer_timeout: None,
            allocation_interval: Duration::from_secs(1),
            roles: None,
            weights: BTreeMap::new(),
            root_submissions: true,
            max_completed_frameworks: 50,
            max_completed_tasks: 1000,
            max_unreachable_tasks: 1000,
            flags: BTreeMap::new(),
        }
    }
}

impl Config {
    /// After so long without a pong a slave is unreachable; slaves are told it.
    pub fn total_ping_timeout(&self) -> Duration {
        self.ping_timeout * self.max_ping_timeouts
    }
}

/// The version of the protocol family that this master speaks. Slaves and tools compare it, so it
/// is a version of the original's numbering, not of this package.
pub const VERSION: &str = "1.11.0";
