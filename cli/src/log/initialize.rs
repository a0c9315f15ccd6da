//! `mesos-log initialize`: lets an empty replica vote.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use libprocess::flags::{Logging, say};

use super::{Alone, Common, Failed};

/// Lets the empty replica in a directory vote. To be done once on each host of a new log whose masters
/// have --log_auto_initialize=false, before they start; never on a host that has lost its disk.
#[derive(Parser, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Flags {
    /// The replica's directory; a master's is <work_dir>/replicated_log
    #[arg(long, required = true)]
    pub path: PathBuf,
    /// How long to try; for ever when absent
    #[arg(long, value_parser = protos::duration::parse)]
    pub timeout: Option<Duration>,
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
    let alone = Alone::open_or_make(&flags.path, log).await?;
    match alone.answer(alone.log.initialize(), flags.timeout).await? {
        true => say(&format!("{} votes from now on", flags.path.display())),
        false => return Err(format!("{} is not empty: left as it is", flags.path.display()).into()),
    }
    Ok(())
}
