//! The flags of `mesos-master`; environment variables `MESOS_*` stand in for them.

mod allocation;
mod election;
mod idle;
mod registry;
mod security;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use libprocess::flags::Logging;
use protos::duration;

pub use allocation::Allocation;
pub use election::{Election, FlagsError, Place};
pub use idle::IdleFlags;
pub use registry::{Rate, Registry};
pub use security::Security;

use crate::security::{Credentials, CredentialsError, TokenKey};
use crate::{Config, Whitelist, registrar};

/// Flags of the master. Durations are written like `15secs`.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "mesos-master",
    rename_all = "snake_case",
    about = "Offers a cluster's resources to frameworks"
)]
pub struct Flags {
    /// Address to listen on
    #[arg(long, help_heading = "Network", default_value = "0.0.0.0")]
    pub ip: Ipv4Addr,
    /// Port to listen on; 0 takes any
    #[arg(long, help_heading = "Network", default_value_t = 5050)]
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

    /// Name of the cluster
    #[arg(long, help_heading = "Cluster")]
    pub cluster: Option<String>,

    /// Time between pings of a slave, 1secs to 15mins
    #[arg(long, help_heading = "Slaves", alias = "slave_ping_timeout", default_value = "15secs", value_parser = ping_timeout)]
    pub agent_ping_timeout: Duration,
    /// Pings without an answer until a slave is unreachable, at least 1
    #[arg(long, help_heading = "Slaves", alias = "max_slave_ping_timeouts", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_agent_ping_timeouts: u32,
    /// Time that a disconnected slave has to come back, at least 10mins
    #[arg(long, help_heading = "Slaves", alias = "slave_reregister_timeout", default_value = "10mins", value_parser = reregister_timeout)]
    pub agent_reregister_timeout: Duration,

    /// Time that an offer may lie unanswered; for ever when absent
    #[arg(long, help_heading = "Frameworks", value_parser = duration::parse)]
    pub offer_timeout: Option<Duration>,
    /// Time between allocation runs
    #[arg(long, help_heading = "Frameworks", default_value = "1secs", value_parser = duration::parse)]
    pub allocation_interval: Duration,
    /// Roles that frameworks may use, separated by commas; all when absent
    #[arg(long, help_heading = "Frameworks")]
    pub roles: Option<String>,
    /// Weights of roles, such as `web=2,db=3`
    #[arg(long, help_heading = "Frameworks", value_parser = weights)]
    pub weights: Option<Weights>,
    /// May frameworks run tasks as root?
    #[arg(long, help_heading = "Frameworks", default_value_t = true, action = clap::ArgAction::Set)]
    pub root_submissions: bool,
    /// Completed frameworks that are kept for display
    #[arg(long, help_heading = "Frameworks", default_value_t = 50)]
    pub max_completed_frameworks: usize,
    /// Completed tasks that are kept for each framework
    #[arg(long, help_heading = "Frameworks", default_value_t = 1000)]
    pub max_completed_tasks_per_framework: usize,
    /// Unreachable tasks that are kept for each framework
    #[arg(long, help_heading = "Frameworks", default_value_t = 1000)]
    pub max_unreachable_tasks_per_framework: usize,

    /// Publish metrics of each framework?
    #[arg(long, help_heading = "Frameworks", default_value_t = true, action = clap::ArgAction::Set)]
    pub publish_per_framework_metrics: bool,

    /// Election and the registry's place
    #[command(flatten)]
    pub election: Election,
    /// The allocator
    #[command(flatten)]
    pub allocation: Allocation,
    /// Authentication and authorisation
    #[command(flatten)]
    pub security: Security,
    /// The registry
    #[command(flatten)]
    pub registry_flags: Registry,

    /// What is accepted without effect
    #[command(flatten)]
    pub idle: IdleFlags,

    /// Print the version and exit
    #[arg(long)]
    pub version: bool,
    /// The log
    #[command(flatten)]
    pub logging: Logging,
}

/// Weights by role.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights(pub BTreeMap<String, f64>);

/// A message in JSON.
fn json<M: prost::Message + prost::Name + Default>(text: &str) -> Result<M, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    protos::json::from_json(&value).map_err(|error| error.to_string())
}

/// A file that a flag names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsFileError {
    /// It cannot be read.
    #[error("cannot read credentials {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("credentials {path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CredentialsError,
    },
}

fn within(text: &str, from: Duration, to: Duration) -> Result<Duration, String> {
    let value = duration::parse(text).map_err(|error| error.to_string())?;
    if (from..=to).contains(&value) {
        return Ok(value);
    }
    Err(format!("expected {} to {}", duration::print(from), duration::print(to)))
}

fn ping_timeout(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(1), Duration::from_secs(900))
}

fn reregister_timeout(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(600), Duration::from_secs(365 * 86_400))
}

fn weights(text: &str) -> Result<Weights, String> {
    let mut weights = BTreeMap::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (role, weight) = item.split_once('=').ok_or("expected role=weight,...")?;
        match weight.trim().parse::<f64>() {
            Ok(weight) if weight.is_finite() && weight > 0.0 => {
                weights.insert(role.trim().to_owned(), weight);
            }
            _ => return Err(format!("weight '{weight}' is not a positive number")),
        }
    }
    Ok(Weights(weights))
}

impl Flags {
    /// What operators should know of the flags they gave; `effective` are those of
    /// [`Flags::config`].
    pub fn warnings(effective: &BTreeMap<String, String>) -> Vec<String> {
        idle::warnings(effective)
    }

    /// The key that flag `jwt_secret_key` leads to; None without the flag.
    ///
    /// # Errors
    /// [`CredentialsFileError`] naming the file.
    pub fn token_key(&self) -> Result<Option<TokenKey>, CredentialsFileError> {
        let Some(path) = self.security.jwt_secret_key.clone() else { return Ok(None) };
        match std::fs::read(&path) {
            Err(source) => Err(CredentialsFileError::Read { path, source }),
            Ok(bytes) => Ok(Some(TokenKey::new(bytes.trim_ascii_end()))),
        }
    }

    /// The secrets that flag `credentials` leads to; None without the flag.
    ///
    /// # Errors
    /// [`CredentialsFileError`] naming the file, never what is in it.
    pub fn credentials(&self) -> Result<Option<Credentials>, CredentialsFileError> {
        let Some(path) = self.security.credentials.clone() else { return Ok(None) };
        match std::fs::read_to_string(&path) {
            Err(source) => Err(CredentialsFileError::Read { path, source }),
            Ok(text) => match Credentials::parse(&text) {
                Ok(credentials) => Ok(Some(credentials)),
                Err(source) => Err(CredentialsFileError::Parse { path, source }),
            },
        }
    }

    /// The master's configuration; `effective` are the flags as `/flags` shows them.
    pub fn config(&self, hostname: String, effective: BTreeMap<String, String>) -> Config {
        let roles = self.roles.as_ref().map(|text| {
            let listed = text.split(',').map(str::trim).filter(|role| !role.is_empty());
            listed.map(str::to_owned).chain(["*".to_owned()]).collect::<BTreeSet<_>>()
        });
        Config {
            hostname,
            cluster: self.cluster.clone(),
            ping_timeout: self.agent_ping_timeout,
            max_ping_timeouts: self.max_agent_ping_timeouts,
            reregister_timeout: self.agent_reregister_timeout,
            offer_timeout: self.offer_timeout,
            allocation_interval: self.allocation_interval,
            roles,
            weights: self.weights.clone().unwrap_or_default().0,
            root_submissions: self.root_submissions,
            max_completed_frameworks: self.max_completed_frameworks,
            max_completed_tasks: self.max_completed_tasks_per_framework,
            max_unreachable_tasks: self.max_unreachable_tasks_per_framework,
            flags: effective,
            allocator: self.allocation.allocator.clone(),
            allocation: self.allocation.config(),
            registrar: registrar::Config {
                fetch_timeout: self.registry_flags.registry_fetch_timeout,
                store_timeout: self.registry_flags.registry_store_timeout,
                ..registrar::Config::default()
            },
            registry_strict: self.registry_flags.registry_strict,
            registry_gc_interval: self.registry_flags.registry_gc_interval,
            registry_max_agent_age: self.registry_flags.registry_max_agent_age,
            registry_max_agent_count: self.registry_flags.registry_max_agent_count,
            agent_removal_rate_limit: self
                .registry_flags
                .agent_removal_rate_limit
                .map(|Rate(count, within)| (count, within)),
            recovery_agent_removal_limit: self.registry_flags.recovery_agent_removal_limit,
            whitelist: self
                .registry_flags
                .whitelist
                .clone()
                .filter(|path| path.as_os_str() != "*")
                .map_or(Whitelist::All, Whitelist::File),
            require_agent_domain: self.registry_flags.require_agent_domain,
            domain: self.registry_flags.domain.clone(),
            rate_limits: self.security.rate_limits.clone().map(Into::into),
            acls: self.security.acls.clone(),
            disabled_endpoints: self
                .security
                .firewall_rules
                .iter()
                .flat_map(|rules| &rules.disabled_endpoints)
                .flat_map(|disabled| disabled.paths.iter().cloned())
                .collect(),
            authenticate_frameworks: self.security.authenticate_frameworks,
            authenticate_agents: self.security.authenticate_agents,
            authenticate_http_readonly: self.security.authenticate_http_readonly,
            authenticate_http_readwrite: self.security.authenticate_http_readwrite,
            authentication_timeout: self.security.authentication_v0_timeout,
            publish_per_framework_metrics: self.publish_per_framework_metrics,
            ..Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libprocess::flags::Loader;

    fn load(args: &[&str]) -> Result<Flags, String> {
        let loaded = Loader::new("mesos-master").load::<Flags>(args.iter().copied());
        loaded.map(|loaded| loaded.flags).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_known_ones_are_read() {
        let flags =
            load(&["--port=0", "--slave_ping_timeout=1secs", "--weights=a=2,b=0.5"]).unwrap();
        assert_eq!(flags.port, 0);
        assert_eq!(flags.agent_ping_timeout, Duration::from_secs(1));
        let expected = BTreeMap::from([("a".to_owned(), 2.0), ("b".to_owned(), 0.5)]);
        assert_eq!(flags.weights, Some(Weights(expected)));
    }

    #[test]
    fn flags_of_security_are_read_and_the_secrets_are_not_among_them() {
        let directory = std::env::temp_dir().join(format!("credentials-{}", std::process::id()));
        std::fs::write(&directory, "p hidden").unwrap();
        let path = format!("--credentials={}", directory.display());
        let acls = r#"--acls={"permissive": false}"#;
        let limits = r#"--rate_limits={"limits": [{"principal": "p", "qps": 1}]}"#;
        let args = [path.as_str(), acls, limits, "--authenticate", "--registry_strict"];
        let loaded = Loader::new("mesos-master").load::<Flags>(args).unwrap();
        assert!(!loaded.effective.values().any(|value| value.contains("hidden")));
        let secrets = loaded.flags.credentials().unwrap();
        std::fs::remove_file(&directory).unwrap();
        assert_eq!(secrets.unwrap().secret("p"), Some("hidden"));
        assert!(loaded.flags.credentials().is_err());
        let config = loaded.flags.config("h".into(), BTreeMap::new());
        assert_eq!(config.acls.unwrap().permissive, Some(false));
        assert!(config.authenticate_frameworks && config.registry_strict);
        assert_eq!(config.rate_limits.unwrap().by_principal["p"].unwrap().qps, 1.0);
    }

    #[test]
    fn flags_without_effect_are_taken_and_named() {
        let args = ["--max_executors_per_slave=3", "--memory_profiling=false"];
        let loaded = Loader::new("mesos-master").load::<Flags>(args).unwrap();
        assert_eq!(Flags::warnings(&loaded.effective).len(), 2, "{:?}", loaded.effective);
        assert!(Flags::warnings(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn flags_of_the_firewall_close_endpoints() {
        let rules = r#"--firewall_rules={"disabled_endpoints": {"paths": ["/master/tasks"]}}"#;
        let config = load(&[rules]).unwrap().config("h".into(), BTreeMap::new());
        assert!(config.disabled_endpoints.contains("/master/tasks"));
    }

    #[test]
    fn flags_bad_values_are_refused_in_one_line() {
        for bad in [
            "--port=x",
            "--ip=::1",
            "--nonsense=1",
            "--agent_ping_timeout=1ms",
            "--max_agent_ping_timeouts=0",
            "--weights=a=-1",
            "--registry=nowhere",
            "--zk=zk://host/path",
            "--zk=http://host:1/path",
            "--quorum=0",
            "--zk_session_timeout=0ns",
            "--offer_timeout=5",
            "--acls=nonsense",
            "--role_sorter=fair",
            "--min_allocatable_resources=much",
            "--rate_limits={\"limits\": [{}]}",
            "--agent_removal_rate_limit=1",
            "--recovery_agent_removal_limit=200%",
        ] {
            let error = load(&[bad]).unwrap_err();
            assert_eq!(error.lines().count(), 1, "{bad}: {error}");
        }
    }
}
