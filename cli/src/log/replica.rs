//! `mesos-log replica`: runs a replica without a master.

use clap::Parser;
use futures::future::{Either, select};
use libprocess::flags::{Logging, say};
use libprocess::real;

use super::joined::Joining;
use super::{Common, Failed};

/// Runs a replica of a log until it is stopped: for a log of one's own, or to keep a quorum while the
/// disk of a master's host is replaced.
#[derive(Parser, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Flags {
    /// Which replica, of which log
    #[command(flatten)]
    pub joining: Joining,
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
    let joined = flags.joining.join(log).await?;
    say(&joined.log.pid().to_string());
    match select(Box::pin(real::stop_signal()), joined.log.damage()).await {
        Either::Left(_) => Ok(()),
        Either::Right((damage, _)) => Err(damage.into()),
    }
}
