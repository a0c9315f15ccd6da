//! The flags of `mesos-slave` and `mesos-agent`; environment variables `MESOS_*` stand in for them.

mod convert;
mod discovery;
mod docker;
mod effective;
mod exclusive;
mod idle;
mod security;
mod warnings;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use libprocess::flags::Logging;
use protos::duration;
use protos::mesos::{ContainerInfo, DomainInfo};
use protos::size::ByteSize;

pub use docker::{DockerFlags, Document};
pub use idle::IdleFlags;
pub use security::SecurityFlags;

use crate::modules::Modules;

/// Flags of the slave. Durations are written like `15secs`.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "mesos-slave",
    rename_all = "snake_case",
    about = "Runs the tasks that frameworks launch on this host"
)]
#[group(id = "slave")]
pub struct Flags {
    /// The master: host:port, master@host:port, zk://[user:password@]host:port,.../path where masters
    /// elect their leader, or file:///path of a file with one of these
    #[arg(long, help_heading = "Master")]
    pub master: Option<String>,
    /// Time after which a silent ZooKeeper is given up, and a session with another server begun
    #[arg(long, help_heading = "Master", default_value = "10secs", value_parser = duration::parse)]
    pub zk_session_timeout: Duration,
    /// Longest wait before the first registration; doubles with each attempt
    #[arg(long, help_heading = "Master", default_value = "1secs", value_parser = duration::parse)]
    pub registration_backoff_factor: Duration,

    /// Address to listen on; all when absent
    #[arg(long, help_heading = "Network")]
    pub ip: Option<Ipv4Addr>,
    /// Command that prints that address
    #[arg(long, help_heading = "Network")]
    pub ip_discovery_command: Option<String>,
    /// Port to listen on; 0 takes any
    #[arg(long, help_heading = "Network", default_value_t = 5051)]
    pub port: u16,
    /// Address that others are told instead of the one listened on
    #[arg(long, help_heading = "Network")]
    pub advertise_ip: Option<Ipv4Addr>,
    /// Port that others are told instead of the one listened on
    #[arg(long, help_heading = "Network")]
    pub advertise_port: Option<u16>,
    /// Name that others are told; the host's own when absent
    #[arg(long, help_heading = "Network")]
    pub hostname: Option<String>,
    /// Look the host's name up; without, the address stands for it
    #[arg(long, help_heading = "Network", default_value_t = true, action = clap::ArgAction::Set)]
    pub hostname_lookup: bool,

    /// Directory for sandboxes and checkpoints
    #[arg(long, help_heading = "Host")]
    pub work_dir: Option<PathBuf>,
    /// Directory for what need not outlive the host's next start; /var/run/mesos if that can be
    /// written
    #[arg(long, help_heading = "Host")]
    pub runtime_dir: Option<PathBuf>,
    /// What is offered, such as `cpus:4;mem:8192`; what is left out is detected
    #[arg(long, help_heading = "Host")]
    pub resources: Option<String>,
    /// Role of resources that name none
    #[arg(long, help_heading = "Host", default_value = "*")]
    pub default_role: String,
    /// What is told of the host, such as `rack:r1;zone:west`
    #[arg(long, help_heading = "Host")]
    pub attributes: Option<String>,

    /// Isolators, separated by commas
    #[arg(long, help_heading = "Containers", default_value = "posix/cpu,posix/mem")]
    pub isolation: String,
    /// How containers are launched: posix (a session each), or linux (namespaces and a cgroup each);
    /// linux when absent and root can use the freezer or cgroups of version 2
    #[arg(long, help_heading = "Containers", value_parser = ["posix", "linux"])]
    pub launcher: Option<String>,
    /// Directory below which cgroup hierarchies are mounted
    #[arg(long, help_heading = "Containers", default_value = "/sys/fs/cgroup")]
    pub cgroups_hierarchy: PathBuf,
    /// Cgroup that holds those of all containers
    #[arg(long, help_heading = "Containers", default_value = "mesos")]
    pub cgroups_root: String,
    /// Time that killing everything in a container may take
    #[arg(long, help_heading = "Containers", default_value = "60secs", value_parser = duration::parse)]
    pub cgroups_destroy_timeout: Duration,
    /// Containerizers, separated by commas: mesos, docker
    #[arg(long, help_heading = "Containers", default_value = "mesos")]
    pub containerizers: String,
    /// Container of executors and tasks that ask for none, as JSON of ContainerInfo
    #[arg(long, help_heading = "Containers", value_name = "JSON", value_parser = json::<ContainerInfo>)]
    pub default_container_info: Option<ContainerInfo>,
    /// Directory of mesos-executor and mesos-fetcher; that of this program when absent
    #[arg(long, help_heading = "Containers")]
    pub launcher_dir: Option<PathBuf>,
    /// Run executors as their user
    #[arg(long, help_heading = "Containers", default_value_t = true, action = clap::ArgAction::Set)]
    pub switch_user: bool,
    /// Directory that relative URIs start from
    #[arg(long, help_heading = "Containers")]
    pub frameworks_home: Option<String>,
    /// Directory of the Hadoop client, for what lies in HDFS; the one in the path when absent
    #[arg(long, help_heading = "Fetcher")]
    pub hadoop_home: Option<String>,
    /// Directory for what is fetched once for several tasks
    #[arg(long, help_heading = "Fetcher")]
    pub fetcher_cache_dir: Option<PathBuf>,
    /// Size of that
    #[arg(long, help_heading = "Fetcher", default_value = "2GB", value_parser = size)]
    pub fetcher_cache_size: ByteSize,
    /// Time after which a transfer that stands still has failed
    #[arg(long, help_heading = "Fetcher", default_value = "1mins", value_parser = duration::parse)]
    pub fetcher_stall_timeout: Duration,
    /// Environment of executors, as a JSON object
    #[arg(long, help_heading = "Containers", value_name = "JSON", value_parser = environment)]
    pub executor_environment_variables: Option<Environment>,
    /// Time that an executor has to register
    #[arg(long, help_heading = "Containers", default_value = "1mins", value_parser = duration::parse)]
    pub executor_registration_timeout: Duration,
    /// Time that an executor has to shut down
    #[arg(long, help_heading = "Containers", default_value = "5secs", value_parser = duration::parse)]
    pub executor_shutdown_grace_period: Duration,
    /// Time that executors of checkpointing frameworks wait for a slave that is gone
    #[arg(long, help_heading = "Containers", default_value = "15mins", value_parser = duration::parse)]
    pub recovery_timeout: Duration,
    /// What happens to executors of an earlier run: reconnect, or cleanup (they are shut down, and
    /// the slave ends)
    #[arg(long, help_heading = "Recovery", default_value = "reconnect", value_parser = ["reconnect", "cleanup"])]
    pub recover: String,
    /// End when a checkpoint cannot be read, rather than go on without it
    #[arg(long, help_heading = "Recovery", default_value_t = true, action = clap::ArgAction::Set)]
    pub strict: bool,
    /// What may differ from the slave's earlier run for it to keep its id: equal (nothing), or
    /// additive (resources may grow, attributes may be added)
    #[arg(long, help_heading = "Recovery", default_value = "equal", value_parser = ["equal", "additive"])]
    pub reconfiguration_policy: String,
    /// How often executors of an earlier run are asked to come back; once when absent
    #[arg(long, help_heading = "Recovery", value_parser = duration::parse)]
    pub executor_reregistration_retry_interval: Option<Duration>,
    /// Time that executors of an earlier run have to come back, at most 15secs
    #[arg(long, help_heading = "Recovery", default_value = "2secs", value_parser = reregistration)]
    pub executor_reregistration_timeout: Duration,
    /// Age at which what is over is removed: sandboxes and checkpoints; sooner when the disk fills
    #[arg(long, help_heading = "Containers", default_value = "1weeks", value_parser = duration::parse)]
    pub gc_delay: Duration,
    /// Share of the disk that is to stay free, from 0 to 1: as it shrinks, what is over goes sooner
    #[arg(long, help_heading = "Containers", default_value_t = 0.1, value_parser = share)]
    pub gc_disk_headroom: f64,
    /// Time between two looks at the disk
    #[arg(long, help_heading = "Containers", default_value = "1mins", value_parser = duration::parse)]
    pub disk_watch_interval: Duration,
    /// Finished executors that are kept for each framework
    #[arg(long, help_heading = "Containers", default_value_t = 150)]
    pub max_completed_executors_per_framework: usize,
    /// Accepted for scripts of hosts without systemd; nothing here needs systemd
    #[arg(long, help_heading = "Containers", default_value_t = true, action = clap::ArgAction::Set)]
    pub systemd_enable_support: bool,

    /// Region and zone of this host, as JSON of DomainInfo
    #[arg(long, help_heading = "Host", value_name = "JSON", value_parser = json::<DomainInfo>)]
    pub domain: Option<DomainInfo>,
    /// Parameters of built-in modules, as JSON of Modules; libraries are not loaded
    #[arg(long, help_heading = "Modules", value_name = "JSON", value_parser = Modules::parse)]
    pub modules: Option<Modules>,
    /// What takes containers' output: org_apache_mesos_LogrotateContainerLogger keeps it within
    /// bounds; plain files when absent
    #[arg(long, help_heading = "Modules")]
    pub container_logger: Option<String>,
    /// Who says what may be offered beyond what is allocated:
    /// org_apache_mesos_FixedResourceEstimator, or SlackResourceEstimator which measures; nobody when
    /// absent
    #[arg(long, help_heading = "Modules")]
    pub resource_estimator: Option<String>,
    /// Time between two reports of that to the master
    #[arg(long, help_heading = "Modules", default_value = "15secs", value_parser = duration::parse)]
    pub oversubscribed_resources_interval: Duration,
    /// Who says which containers yield: org_apache_mesos_LoadQoSController; nobody when absent
    #[arg(long, help_heading = "Modules")]
    pub qos_controller: Option<String>,
    /// Shortest time between two rounds of that
    #[arg(long, help_heading = "Modules", default_value = "0secs", value_parser = duration::parse)]
    pub qos_correction_interval_min: Duration,
    /// What isolators are told
    #[command(flatten)]
    pub isolators: isolators::flags::Flags,
    /// Images and Docker
    #[command(flatten)]
    pub docker: DockerFlags,
    /// Who may ask what
    #[command(flatten)]
    pub security: SecurityFlags,
    /// What is accepted only
    #[command(flatten)]
    pub idle: IdleFlags,

    /// Print the version and exit
    #[arg(long)]
    pub version: bool,
    /// The log
    #[command(flatten)]
    pub logging: Logging,
}

/// Variables by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment(pub BTreeMap<String, String>);

/// Longest wait for executors that come back.
const MAX_REREGISTRATION: Duration = Duration::from_secs(15);

fn reregistration(text: &str) -> Result<Duration, String> {
    let timeout = duration::parse(text).map_err(|error| error.to_string())?;
    let within = timeout <= MAX_REREGISTRATION;
    within.then_some(timeout).ok_or_else(|| "it is above 15secs".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().map_err(|error| error.to_string())?;
    (0.0..=1.0).contains(&share).then_some(share).ok_or_else(|| "not from 0 to 1".to_owned())
}

fn size(text: &str) -> Result<ByteSize, String> {
    text.parse::<ByteSize>().map_err(|error| error.to_string())
}

fn json<M: prost::Message + prost::Name + Default>(text: &str) -> Result<M, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    protos::json::from_json(&value).map_err(|error| error.to_string())
}

fn environment(text: &str) -> Result<Environment, String> {
    serde_json::from_str(text).map(Environment).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
