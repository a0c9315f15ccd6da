//! How a master works: plain data, filled from flags or by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coordination::Detector;
use coordination::election::Contender;
use protos::mesos;

use crate::registrar;

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
    /// Which allocator decides (flag `allocator`); the default one when the catalogue lacks it.
    pub allocator: String,
    /// The allocators to choose from.
    pub catalogue: allocator::Catalogue,
    /// How it decides; interval, weights, domain and metrics are those of this configuration.
    pub allocation: allocator::Config,
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
    /// This master is one of several: it leads once [`crate::Master::leader_changed`] says so.
    pub contends: bool,
    /// How it is elected, if it contends and nobody else tells it.
    pub election: Option<Election>,
    /// Where the registry is, and how long it may take.
    pub registrar: registrar::Config,
    /// Slaves that were removed, unreachable or never admitted may not come back under their old id
    /// (flag `registry_strict`).
    pub registry_strict: bool,
    /// Time between prunings of the registry (flag `registry_gc_interval`).
    pub registry_gc_interval: Duration,
    /// How long slaves stay listed as unreachable or gone (flag `registry_max_agent_age`).
    pub registry_max_agent_age: Duration,
    /// How many stay listed at most (flag `registry_max_agent_count`).
    pub registry_max_agent_count: usize,
    /// Slaves that may be marked unreachable: so many within so long (flag
    /// `agent_removal_rate_limit`).
    pub agent_removal_rate_limit: Option<(u32, Duration)>,
    /// Share of the slaves of an earlier master, 0 to 1, that may stay away before this one gives up
    /// (flag `recovery_agent_removal_limit`).
    pub recovery_agent_removal_limit: f64,
    /// Hosts whose slaves may be offered; all for None (flag `whitelist`).
    pub whitelist: Whitelist,
    /// Limits of frameworks' messages by principal (flag `rate_limits`).
    pub rate_limits: Option<RateLimits>,
    /// Who may do what; everybody everything for None (flag `acls`).
    pub acls: Option<mesos::AcLs>,
    /// Secrets by principal; None refuses all who try (flag `credentials`).
    pub credentials: Option<crate::security::Credentials>,
    /// Key of operators' tokens; None takes no tokens (flag `jwt_secret_key`).
    pub token_key: Option<crate::security::TokenKey>,
    /// Endpoints that answer nobody (flag `firewall_rules`).
    pub disabled_endpoints: BTreeSet<String>,
    /// Frameworks must authenticate (flag `authenticate_frameworks`).
    pub authenticate_frameworks: bool,
    /// Slaves must authenticate (flag `authenticate_agents`).
    pub authenticate_agents: bool,
    /// Must who reads over HTTP authenticate (flag `authenticate_http_readonly`)?
    pub authenticate_http_readonly: bool,
    /// Must who changes something over HTTP authenticate (flag `authenticate_http_readwrite`)?
    pub authenticate_http_readwrite: bool,
    /// How long an authentication may take (flag `authentication_v0_timeout`).
    pub authentication_timeout: Duration,
    /// Slaves must tell where they are (flag `require_agent_domain`).
    pub require_agent_domain: bool,
    /// Where this master is (flag `domain`).
    pub domain: Option<mesos::DomainInfo>,
    /// Metrics for each framework (flag `publish_per_framework_metrics`).
    pub publish_per_framework_metrics: bool,
    /// Called when the master cannot go on: the process is to end with a failure.
    pub fatal: Fatal,
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
            allocator: allocator::catalogue::DEFAULT.to_owned(),
            catalogue: allocator::Catalogue::default(),
            allocation: allocator::Config::default(),
            roles: None,
            weights: BTreeMap::new(),
            root_submissions: true,
            max_completed_frameworks: 50,
            max_completed_tasks: 1000,
            max_unreachable_tasks: 1000,
            contends: false,
            election: None,
            registrar: registrar::Config::default(),
            registry_strict: false,
            registry_gc_interval: Duration::from_secs(15 * 60),
            registry_max_agent_age: Duration::from_secs(14 * 86_400),
            registry_max_agent_count: 102_400,
            agent_removal_rate_limit: None,
            recovery_agent_removal_limit: 1.0,
            whitelist: Whitelist::All,
            rate_limits: None,
            acls: None,
            credentials: None,
            token_key: None,
            disabled_endpoints: BTreeSet::new(),
            authenticate_frameworks: false,
            authenticate_agents: false,
            authenticate_http_readonly: false,
            authenticate_http_readwrite: false,
            authentication_timeout: Duration::from_secs(15),
            require_agent_domain: false,
            domain: None,
            publish_per_framework_metrics: true,
            fatal: Fatal::default(),
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

/// Which hosts' slaves may be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whitelist {
    /// All.
    All,
    /// Those that a file names, one a line; it is read again and again.
    File(std::path::PathBuf),
}

/// A limit of messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Messages a second; above 0.
    pub qps: f64,
    /// Messages that may wait; any number for None.
    pub capacity: Option<u64>,
}

/// Limits of frameworks' messages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RateLimits {
    /// By principal; None lets all of that principal's messages pass.
    pub by_principal: BTreeMap<String, Option<RateLimit>>,
    /// For all others together.
    pub others: Option<RateLimit>,
}

impl From<mesos::RateLimits> for RateLimits {
    fn from(wire: mesos::RateLimits) -> Self {
        let limit = |qps: Option<f64>, capacity| {
            let qps = qps.filter(|qps| qps.is_finite() && *qps > 0.0)?;
            Some(RateLimit { qps, capacity })
        };
        let each = wire.limits.into_iter();
        Self {
            others: limit(wire.aggregate_default_qps, wire.aggregate_default_capacity),
            by_principal: each.map(|l| (l.principal, limit(l.qps, l.capacity))).collect(),
        }
    }
}

/// Where a master contends, and where it finds out who leads.
#[derive(Clone)]
pub struct Election {
    /// Makes it a candidate.
    pub contender: std::sync::Arc<dyn Contender>,
    /// Tells who leads.
    pub detector: std::sync::Arc<dyn Detector>,
}

impl std::fmt::Debug for Election {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Election")
    }
}

/// What a master does that cannot go on. It has stopped acting by then.
#[derive(Clone)]
pub struct Fatal(pub std::sync::Arc<dyn Fn(&str) + Send + Sync>);

impl Default for Fatal {
    /// Nothing more.
    fn default() -> Self {
        Self(std::sync::Arc::new(|_| {}))
    }
}

impl std::fmt::Debug for Fatal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fatal")
    }
}

/// The version of the protocol family that this master speaks. Slaves and tools compare it, so it
/// is a version of the original's numbering, not of this package.
pub const VERSION: &str = "1.11.0";
