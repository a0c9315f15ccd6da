//! The flags of `mesos-local`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Parser;
use libprocess::flags::Logging;

/// Runs a master and slaves in one process. Flags of masters and slaves can be given too; flags
/// that nobody knows are ignored.
#[derive(Parser, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Flags {
    /// Number of slaves
    #[arg(long, alias = "num_agents", default_value_t = 1)]
    pub num_slaves: usize,
    /// Address that all listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub ip: Ipv4Addr,
    /// Port of the master; slaves take any free one
    #[arg(long, default_value_t = 5050)]
    pub port: u16,
    /// Where slaves keep their work; by default mesos/work in the directory for temporary files
    #[arg(long)]
    pub work_dir: Option<PathBuf>,
    /// The log.
    #[command(flatten)]
    pub logging: Logging,
}

impl Flags {
    /// Where slaves keep their work.
    pub fn work_dir(&self) -> PathBuf {
        self.work_dir.clone().unwrap_or_else(|| std::env::temp_dir().join("mesos").join("work"))
    }
}

#[cfg(test)]
mod tests {
    use libprocess::flags::Loader;

    use super::*;

    #[test]
    fn flags_have_the_defaults_of_a_small_cluster() {
        let loaded = Loader::new("mesos-local").lenient().load::<Flags>(["--unknown=1"]).unwrap();
        let flags = loaded.flags;
        assert_eq!((flags.num_slaves, flags.ip, flags.port), (1, Ipv4Addr::LOCALHOST, 5050));
        assert!(flags.work_dir().ends_with("mesos/work"));
    }
}
