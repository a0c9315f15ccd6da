//! The flags of `mesos-slave` and `mesos-agent`; environment variables `MESOS_*` stand in for them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use libprocess::flags::Logging;
use protos::duration;

use crate::containerizer::{ContainerizerOptions, LauncherKind, linux_is_usable};
use crate::detection::{self, Host};
use crate::fetcher::FetcherOptions;
use crate::sizes;
use crate::{Config, Helpers, Recover};

/// Flags of the slave. Durations are written like `15secs`.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "mesos-slave",
    rename_all = "snake_case",
    about = "Runs the tasks that frameworks launch on this host"
)]
pub struct Flags {
    /// The master: host:port or master@host:port
    #[arg(long, help_heading = "Master")]
    pub master: Option<String>,
    /// Longest wait before the first registration; doubles with each attempt
    #[arg(long, help_heading = "Master", default_value = "1secs", value_parser = duration::parse)]
    pub registration_backoff_factor: Duration,

    /// Address to listen on
    #[arg(long, help_heading = "Network", default_value = "0.0.0.0")]
    pub ip: Ipv4Addr,
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
    /// Containerizers: mesos
    #[arg(long, help_heading = "Containers", default_value = "mesos", value_parser = ["mesos"])]
    pub containerizers: String,
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
    #[arg(long, help_heading = "Fetcher", default_value = "2GB", value_parser = sizes::parse)]
    pub fetcher_cache_size: u64,
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
    #[arg(long, help_heading = "Containers", default_value_t = false, action = clap::ArgAction::Set)]
    pub systemd_enable_support: bool,

    /// What only isolators read
    #[command(flatten)]
    pub isolators: isolators::Flags,

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

fn default_runtime_dir() -> PathBuf {
    use nix::unistd::{AccessFlags, access};
    let usable = access("/var/run", AccessFlags::R_OK | AccessFlags::W_OK).is_ok();
    if usable { "/var/run/mesos".into() } else { std::env::temp_dir().join("mesos/runtime") }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().map_err(|error| error.to_string())?;
    (0.0..=1.0).contains(&share).then_some(share).ok_or_else(|| "not from 0 to 1".to_owned())
}

fn environment(text: &str) -> Result<Environment, String> {
    serde_json::from_str(text).map(Environment).map_err(|error| error.to_string())
}

impl Flags {
    /// The slave's configuration; `effective` are the flags as `/flags` shows them.
    ///
    /// # Errors
    /// Text naming the flag that cannot be used.
    pub fn config(
        &self,
        hostname: String,
        effective: BTreeMap<String, String>,
    ) -> Result<Config, String> {
        let work_dir = self.work_dir.clone().ok_or("flag 'work_dir' is required")?;
        let work_dir =
            std::path::absolute(&work_dir).map_err(|error| format!("flag 'work_dir': {error}"))?;
        let host = Host::detect(&work_dir);
        let resources = detection::resources(self.resources.as_deref(), &self.default_role, host)
            .map_err(|error| format!("flag 'resources': {error}"))?;
        let attributes = protos::attributes::parse(self.attributes.as_deref().unwrap_or_default())
            .map_err(|error| format!("flag 'attributes': {error}"))?;
        Ok(Config {
            work_dir,
            hostname,
            resources,
            attributes,
            registration_backoff: self.registration_backoff_factor,
            executor_registration_timeout: self.executor_registration_timeout,
            executor_shutdown_grace: self.executor_shutdown_grace_period,
            recovery_timeout: self.recovery_timeout,
            recover: match self.recover.as_str() {
                "cleanup" => Recover::Cleanup,
                _ => Recover::Reconnect,
            },
            strict: self.strict,
            reconfiguration_policy: self
                .reconfiguration_policy
                .parse()
                .map_err(|error| format!("flag 'reconfiguration_policy': {error}"))?,
            executor_reregistration_timeout: self.executor_reregistration_timeout,
            executor_reregistration_retry: self.executor_reregistration_retry_interval,
            switch_user: self.switch_user,
            executor_environment: self.executor_environment_variables.clone().map(|e| e.0),
            max_completed_executors: self.max_completed_executors_per_framework,
            gc_delay: self.gc_delay,
            gc_disk_headroom: self.gc_disk_headroom,
            disk_watch_interval: self.disk_watch_interval,
            helpers: self.helpers(),
            flags: effective,
            ..Config::default()
        })
    }

    /// What the containerizer is told; `config` is the slave's.
    pub fn containerizer(&self, config: &Config) -> ContainerizerOptions {
        let launcher = match self.launcher.as_deref() {
            Some("linux") => LauncherKind::Linux,
            Some(_) => LauncherKind::Posix,
            None if linux_is_usable(&self.cgroups_hierarchy) => LauncherKind::Linux,
            None => LauncherKind::Posix,
        };
        ContainerizerOptions {
            isolation: self.isolation.clone(),
            fetcher: config.helpers.fetcher.clone(),
            frameworks_home: self.frameworks_home.clone(),
            fetching: FetcherOptions {
                // Slaves of one host do not empty each other's.
                cache_dir: self.fetcher_cache_dir.clone().unwrap_or_else(|| {
                    std::env::temp_dir().join("mesos/fetch").join(self.port.to_string())
                }),
                cache_bytes: self.fetcher_cache_size,
                stall_timeout: self.fetcher_stall_timeout,
                hadoop_home: self.hadoop_home.clone(),
                ..FetcherOptions::default()
            },
            work_dir: config.work_dir.clone(),
            runtime_dir: self.runtime_dir.clone().unwrap_or_else(default_runtime_dir),
            launcher,
            helper: config.helpers.containerizer.clone(),
            cgroups_hierarchy: self.cgroups_hierarchy.clone(),
            cgroups_root: self.cgroups_root.clone(),
            cgroups_destroy_timeout: self.cgroups_destroy_timeout,
            isolating: self.isolators.clone().apply(isolators::Options {
                agent_ports: config.resources.ports(),
                ..isolators::Options::default()
            }),
        }
    }

    /// The helper programs, in the launcher's directory or beside this program.
    fn helpers(&self) -> Helpers {
        let own = std::env::current_exe().ok().and_then(|path| path.parent().map(PathBuf::from));
        let directory = self.launcher_dir.clone().or(own).unwrap_or_default();
        let program = |name: &str| vec![directory.join(name).display().to_string()];
        Helpers {
            executor: program("mesos-executor"),
            fetcher: program("mesos-fetcher"),
            containerizer: program("mesos-containerizer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libprocess::flags::Loader;

    fn load(args: &[&str]) -> Result<Config, String> {
        let loaded = Loader::new("mesos-slave").load::<Flags>(args.iter().copied());
        let loaded = loaded.map_err(|error| error.to_string())?;
        loaded.flags.config("h".to_owned(), loaded.effective)
    }

    #[test]
    fn flags_known_ones_are_read() {
        let config =
            load(&["--work_dir=/tmp/x", "--resources=cpus:3", "--no-switch_user"]).unwrap();
        assert_eq!(config.resources.cpus(), 3.0);
        assert!(!config.switch_user);
    }

    #[test]
    fn flags_bad_values_are_refused_in_one_line() {
        for bad in [
            "--port=x",
            "--nonsense=1",
            "--resources=cpus",
            "--attributes=rack",
            "--launcher=nonsense",
            "--recover=nonsense",
            "--executor_reregistration_timeout=16secs",
            "--executor_environment_variables=nonsense",
        ] {
            let error = load(&["--work_dir=/tmp/x", bad]).unwrap_err();
            assert_eq!(error.lines().count(), 1, "{bad}: {error}");
        }
        assert!(load(&[]).is_err());
    }
}
