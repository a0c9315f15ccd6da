//! How a slave works: plain data, filled from flags or by hand.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coordination::authenticatee::Patience;
use protos::credentials::Credential;
use protos::mesos;
use protos::resources::Resources;

use crate::gc::Limits;
use crate::oversubscription::{NewController, NewEstimator};
use crate::recovery::ReconfigurationPolicy;
use crate::security::Security;

/// Called once when the slave must end: the exit code and why.
pub type ExitCallback = Arc<dyn Fn(i32, String) + Send + Sync>;

/// Programs that the slave starts: each the program and its leading arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helpers {
    /// `mesos-executor`.
    pub executor: Vec<String>,
    /// `mesos-fetcher`.
    pub fetcher: Vec<String>,
    /// `mesos-docker-executor`.
    pub docker_executor: Vec<String>,
    /// `mesos-containerizer`.
    pub containerizer: Vec<String>,
    /// `mesos-logrotate-logger`.
    pub logger: Vec<String>,
}

/// What happens to executors of an earlier run of the slave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recover {
    /// They are asked to come back.
    Reconnect,
    /// They are shut down, and the slave ends.
    Cleanup,
}

/// Everything a slave must be told.
#[derive(Clone)]
pub struct Config {
    /// Sandboxes and checkpoints (flag `work_dir`).
    pub work_dir: PathBuf,
    /// Name that other hosts and people know this host by (flag `hostname`).
    pub hostname: String,
    /// What the host has to offer (flag `resources`, else detected).
    pub resources: Resources,
    /// What is told of the host (flag `attributes`).
    pub attributes: Vec<mesos::Attribute>,
    /// Version that is told to others.
    pub version: String,
    /// Longest wait before the first registration (flag `registration_backoff_factor`).
    pub registration_backoff: Duration,
    /// What this slave proves to masters who it is with (flag `credential`).
    pub credential: Option<Credential>,
    /// How it does (flags `authentication_*`).
    pub authentication: Patience,
    /// An executor must register within (flag `executor_registration_timeout`).
    pub executor_registration_timeout: Duration,
    /// From a shutdown to the destruction of the container (flag `executor_shutdown_grace_period`).
    pub executor_shutdown_grace: Duration,
    /// Executors of checkpointing frameworks wait so long for the slave (flag `recovery_timeout`).
    pub recovery_timeout: Duration,
    /// What happens to executors of an earlier run (flag `recover`).
    pub recover: Recover,
    /// End when a checkpoint cannot be read, rather than go on without it (flag `strict`).
    pub strict: bool,
    /// What may differ from the earlier run (flag `reconfiguration_policy`).
    pub reconfiguration_policy: ReconfigurationPolicy,
    /// Executors of an earlier run must come back within (flag `executor_reregistration_timeout`).
    pub executor_reregistration_timeout: Duration,
    /// How often they are asked meanwhile; once when absent (flag
    /// `executor_reregistration_retry_interval`).
    pub executor_reregistration_retry: Option<Duration>,
    /// Region and zone of the host (flag `domain`).
    pub domain: Option<mesos::DomainInfo>,
    /// CPUs are limits, too (flag `cgroups_enable_cfs`).
    pub cgroups_enable_cfs: bool,
    /// Run executors as their user rather than as the slave's (flag `switch_user`).
    pub switch_user: bool,
    /// Executors' environment (flag `executor_environment_variables`); the path only when absent.
    pub executor_environment: Option<BTreeMap<String, String>>,
    /// The isolators of containers (flag `isolation`).
    pub isolation: String,
    /// Where executors listen, if the slave was told an address of its own to listen at (flag `ip`).
    pub executor_ip: Option<Ipv4Addr>,
    /// Finished executors kept for each framework.
    pub max_completed_executors: usize,
    /// Age at which what is over is removed (flag `gc_delay`).
    pub gc_delay: Duration,
    /// Share of the disk that is to stay free, from 0 to 1 (flag `gc_disk_headroom`).
    pub gc_disk_headroom: f64,
    /// Between two looks at the disk (flag `disk_watch_interval`).
    pub disk_watch_interval: Duration,
    /// Who says what may be offered beyond what is allocated (flag `resource_estimator`).
    pub estimator: Option<NewEstimator>,
    /// How often (flag `oversubscribed_resources_interval`).
    pub oversubscribed_interval: Duration,
    /// Who says which executors yield (flag `qos_controller`).
    pub controller: Option<NewController>,
    /// How often, at least a second apart (flag `qos_correction_interval_min`).
    pub qos_correction_interval: Duration,
    /// Who may ask what of the slave.
    pub security: Security,
    /// The programs that the slave starts.
    pub helpers: Helpers,
    /// Effective flags, as `/flags` shows them.
    pub flags: BTreeMap<String, String>,
    /// Where to turn to when the slave must end.
    pub on_exit: ExitCallback,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("work_dir", &self.work_dir)
            .field("hostname", &self.hostname)
            .field("resources", &self.resources.to_string())
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            work_dir: PathBuf::from("/var/lib/mesos"),
            hostname: "localhost".to_owned(),
            resources: Resources::new(),
            attributes: Vec::new(),
            version: VERSION.to_owned(),
            registration_backoff: Duration::from_secs(1),
            credential: None,
            authentication: Patience::default(),
            executor_registration_timeout: Duration::from_secs(60),
            executor_shutdown_grace: Duration::from_secs(5),
            recovery_timeout: Duration::from_secs(900),
            recover: Recover::Reconnect,
            strict: true,
            reconfiguration_policy: ReconfigurationPolicy::Equal,
            executor_reregistration_timeout: Duration::from_secs(2),
            executor_reregistration_retry: None,
            domain: None,
            cgroups_enable_cfs: false,
            switch_user: true,
            executor_environment: None,
            isolation: "posix/cpu,posix/mem".to_owned(),
            executor_ip: None,
            max_completed_executors: 150,
            gc_delay: Duration::from_secs(7 * 24 * 3600),
            gc_disk_headroom: 0.1,
            disk_watch_interval: Duration::from_secs(60),
            estimator: None,
            oversubscribed_interval: Duration::from_secs(15),
            controller: None,
            qos_correction_interval: Duration::ZERO,
            security: Security::default(),
            helpers: Helpers {
                executor: vec!["mesos-executor".to_owned()],
                fetcher: vec!["mesos-fetcher".to_owned()],
                docker_executor: vec!["mesos-docker-executor".to_owned()],
                containerizer: vec!["mesos-containerizer".to_owned()],
                logger: vec!["mesos-logrotate-logger".to_owned()],
            },
            flags: BTreeMap::new(),
            on_exit: Arc::new(|_, _| {}),
        }
    }
}

impl Config {
    pub(crate) fn gc_limits(&self) -> Limits {
        Limits {
            work_dir: self.work_dir.clone(),
            delay: self.gc_delay,
            headroom: self.gc_disk_headroom,
            watch: self.disk_watch_interval,
        }
    }
}

/// The version of the protocol family that this slave speaks; masters refuse those below 1.0.0.
pub const VERSION: &str = "1.11.0";
