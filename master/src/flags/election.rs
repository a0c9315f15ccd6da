//! Flags of election and of where the registry is kept.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args, Command};
use coordination::url::ZkUrl;
use protos::duration;

/// Sessions shorter than this end by themselves.
const SHORTEST: Duration = Duration::from_millis(500);

/// Flags of election and of where the registry is kept.
#[derive(Args, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Election {
    /// Where masters elect their leader: zk://[user:password@]host:port,.../path, or file:///path of a
    /// file with such a URL. One master without others when absent
    #[arg(long, help_heading = "Availability", value_name = "URL", value_parser = Url)]
    pub zk: Option<ZkUrl>,
    /// Time after which ZooKeeper takes a silent master for gone; its servers bound it, too
    #[arg(long, help_heading = "Availability", default_value = "10secs", value_parser = session)]
    pub zk_session_timeout: Duration,
    /// Masters that have to store each change of the registry: more than half of all. Required with
    /// zk and a replicated log
    #[arg(long, help_heading = "Availability", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub quorum: Option<u16>,
    /// May a new replicated log start by itself? With false each replica is prepared by `mesos-log initialize`
    #[arg(long, help_heading = "Availability", default_value_t = true, action = clap::ArgAction::Set)]
    pub log_auto_initialize: bool,
    /// Where the registry is kept: replicated_log (on disks of a majority of masters; log_storage is the
    /// same), zookeeper (needs zk), file (below the work directory), in_memory (forgotten at the end)
    #[arg(long, help_heading = "Availability", default_value = "replicated_log", value_parser = ["replicated_log", "log_storage", "zookeeper", "file", "in_memory"])]
    pub registry: String,
    /// Directory for what the master keeps on disk; required with a replicated log or a file
    #[arg(long, help_heading = "Cluster")]
    pub work_dir: Option<PathBuf>,
}

fn url(text: &str) -> Result<ZkUrl, String> {
    text.parse().map_err(|error: coordination::url::UrlError| error.to_string())
}

/// Reads URLs; what cannot be read is not shown, as there may be a password in it.
#[derive(Clone)]
struct Url;

impl TypedValueParser for Url {
    type Value = ZkUrl;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<ZkUrl, clap::Error> {
        let text = value.to_str().ok_or_else(|| "expected text".to_owned());
        text.and_then(url).map_err(|error| {
            let message = format!("invalid value for '--zk <URL>': {error}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

fn session(text: &str) -> Result<Duration, String> {
    let timeout = duration::parse(text).map_err(|error| error.to_string())?;
    match timeout >= SHORTEST {
        true => Ok(timeout),
        false => Err(format!("expected {} or more", duration::print(SHORTEST))),
    }
}

/// Where the registry is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the disks of a majority of so many masters.
    ReplicatedLog {
        /// The local replica's directory.
        dir: PathBuf,
        /// How many have to agree.
        quorum: usize,
    },
    /// In ZooKeeper.
    ZooKeeper(ZkUrl),
    /// In a file.
    File(PathBuf),
    /// Nowhere.
    InMemory,
}

/// Flags that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagsError {
    /// One flag needs another.
    #[error("flag 'registry={registry}' needs flag '{needed}'")]
    Needs {
        /// The value of flag `registry`.
        registry: String,
        /// The flag that is missing.
        needed: &'static str,
    },
    /// Masters that nobody elects have only themselves.
    #[error("flag 'quorum={0}' needs flag 'zk': a single master is its own quorum")]
    Quorum(u16),
}

impl Election {
    /// Where the registry is kept, as the flags together say.
    ///
    /// # Errors
    /// [`FlagsError`] when one of them is missing.
    pub fn place(&self) -> Result<Place, FlagsError> {
        let needs = |needed| FlagsError::Needs { registry: self.registry.clone(), needed };
        let work_dir = || self.work_dir.clone().ok_or_else(|| needs("work_dir"));
        Ok(match self.registry.as_str() {
            "in_memory" => Place::InMemory,
            "file" => Place::File(work_dir()?.join("registry")),
            "zookeeper" => Place::ZooKeeper(self.zk.clone().ok_or_else(|| needs("zk"))?),
            _ => {
                let quorum = match (&self.zk, self.quorum) {
                    (Some(_), quorum) => quorum.ok_or_else(|| needs("quorum"))?,
                    (None, None | Some(1)) => 1,
                    (None, Some(quorum)) => return Err(FlagsError::Quorum(quorum)),
                };
                let dir = work_dir()?.join("replicated_log");
                Place::ReplicatedLog { dir, quorum: quorum.into() }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        election: Election,
    }

    fn place(args: &[&str]) -> Result<Place, String> {
        let words = ["master"].iter().chain(args);
        let alone = Alone::try_parse_from(words).map_err(|error| error.to_string())?;
        alone.election.place().map_err(|error| error.to_string())
    }

    #[test]
    fn place_of_the_registry_follows_from_the_flags_together() {
        let zk = "--zk=zk://h:2181/mesos";
        let log = |quorum| Place::ReplicatedLog { dir: "/w/replicated_log".into(), quorum };
        assert_eq!(place(&["--work_dir=/w"]), Ok(log(1)));
        assert_eq!(place(&["--work_dir=/w", zk, "--quorum=2"]), Ok(log(2)));
        assert_eq!(
            place(&["--work_dir=/w", "--registry=file"]),
            Ok(Place::File("/w/registry".into()))
        );
        assert_eq!(place(&["--registry=in_memory", zk]), Ok(Place::InMemory));
        let url = "zk://h:2181/mesos".parse().unwrap();
        assert_eq!(place(&["--registry=zookeeper", zk]), Ok(Place::ZooKeeper(url)));
        for (args, part) in [
            (&[][..], "work_dir"),
            (&["--registry=file"], "work_dir"),
            (&["--registry=zookeeper"], "zk"),
            (&["--work_dir=/w", zk], "quorum"),
            (&["--work_dir=/w", "--quorum=2"], "zk"),
            (&["--work_dir=/w", "--quorum=0"], "quorum"),
            (&["--zk=zk://u:secret@h:1/"], "path"),
            (&["--zk_session_timeout=1ms"], "500ms"),
        ] {
            let error = place(args).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{args:?}: {error}");
        }
    }
}
