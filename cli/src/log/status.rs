//! `mesos-log status`: tells how replicas are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use coordination::group::{Group, SessionGroup};
use coordination::log::{Probed, probe};
use futures::future::{Either, select};
use libprocess::flags::{Logging, say};
use libprocess::{Node, Pid};

use super::joined::Ensemble;
use super::{Alone, Common, Failed};
use crate::node;

/// Tells how the replica in a directory is, which no master uses meanwhile (--path), or all replicas
/// that ZooKeeper knows of, which run (--servers and --znode).
#[derive(Parser, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Flags {
    /// The replica's directory; a master's is <work_dir>/replicated_log
    #[arg(long)]
    pub path: Option<PathBuf>,
    /// ZooKeeper's servers: host:port,host:port
    #[arg(long)]
    pub servers: Option<String>,
    /// Znode below which the replicas are; masters' are at <path of their URL>/log_replicas
    #[arg(long)]
    pub znode: Option<String>,
    /// How long to wait for answers
    #[arg(long, default_value = "5secs", value_parser = protos::duration::parse)]
    pub timeout: Duration,
    /// The log of this tool
    #[command(flatten)]
    pub logging: Logging,
}

impl Common for Flags {
    fn logging(&self) -> &Logging {
        &self.logging
    }
}

pub(super) async fn run(flags: Flags, log: slog::Logger) -> Result<(), Failed> {
    match (&flags.path, &flags.servers, &flags.znode) {
        (Some(path), None, None) => {
            let alone = Alone::open(path, log).await?;
            let status = alone.answer(alone.log.status(), Some(flags.timeout)).await?;
            say(&format!(
                "{}: {}, promised {}, positions {} to {}, {} of them not known to be settled",
                path.display(),
                status.status.as_str_name(),
                status.promised,
                status.begin,
                status.end,
                status.missing
            ));
            Ok(())
        }
        (None, Some(servers), Some(znode)) => {
            let ensemble = Ensemble {
                servers: servers.clone(),
                znode: znode.clone(),
                zk_session_timeout: node::SESSION,
            };
            let (node, group) = ensemble.group(log).await?;
            let members = match select(
                Box::pin(members(&group)),
                Box::pin(node.sleep(flags.timeout)),
            )
            .await
            {
                Either::Left((members, _)) => members?,
                Either::Right(_) => {
                    return Err(format!("no answer from {}", ensemble.url()?).into());
                }
            };
            all(&node, &members, flags.timeout).await
        }
        _ => Err("give --path, or --servers and --znode".into()),
    }
}

/// The replicas that a group knows of, by the names of their znodes.
async fn members(group: &SessionGroup) -> Result<BTreeMap<String, Option<Pid>>, Failed> {
    let mut members = BTreeMap::new();
    for member in group.watch(None).await? {
        let data = group.data(&member).await?.unwrap_or_default();
        let pid = std::str::from_utf8(&data).ok().and_then(|text| text.parse().ok());
        members.insert(member.name(), pid);
    }
    Ok(members)
}

async fn all(
    node: &Node,
    members: &BTreeMap<String, Option<Pid>>,
    limit: Duration,
) -> Result<(), Failed> {
    let answers = probe(node, members.values().flatten().cloned(), limit).await;
    for (name, pid) in members {
        say(&line(name, pid.as_ref(), pid.as_ref().and_then(|pid| answers.get(pid))));
    }
    match members.len() == answers.len() && !members.is_empty() {
        true => Ok(()),
        false => Err(format!("{} of {} replicas answered", answers.len(), members.len()).into()),
    }
}

/// One line about a replica.
fn line(name: &str, pid: Option<&Pid>, answer: Option<&Probed>) -> String {
    let (Some(pid), answer) = (pid, answer) else { return format!("{name}: no replica's PID") };
    match answer {
        None => format!("{name} {pid}: no answer"),
        Some(Probed { status, range }) => {
            let range = range.map(|(begin, end)| format!(", positions {begin} to {end}"));
            format!("{name} {pid}: {}{}", status.as_str_name(), range.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::mesos::internal::log::metadata::Status;

    #[test]
    fn replicas_are_shown_by_what_they_answer() {
        let pid: Pid = "log-replica(1)@127.0.0.1:5050".parse().unwrap();
        let voting = Probed { status: Status::Voting, range: Some((3, 9)) };
        let shown = line("0000000001", Some(&pid), Some(&voting));
        assert_eq!(shown, "0000000001 log-replica(1)@127.0.0.1:5050: VOTING, positions 3 to 9");
        assert!(line("0000000001", Some(&pid), None).ends_with("no answer"));
        assert!(line("0000000001", None, None).contains("PID"));
    }
}
