//! `mesos-log read`: shows what a replica holds.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use coordination::log::{Entry, LogError, Value};
use libprocess::flags::{Logging, say};
use prost::Message;
use protos::mesos::internal::state::{Operation, operation};

use super::{Alone, Common, Failed};

/// Positions asked for at a time.
const CHUNK: u64 = 128;

/// Shows the entries of a replica, one a line, while no master uses it. What the replica does not know
/// to be settled is shown as unsettled: other replicas may know more.
#[derive(Parser, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Flags {
    /// The replica's directory; a master's is <work_dir>/replicated_log
    #[arg(long, required = true)]
    pub path: PathBuf,
    /// First position; the log's beginning when absent
    #[arg(long)]
    pub from: Option<u64>,
    /// Last position; the log's end when absent
    #[arg(long)]
    pub to: Option<u64>,
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
    let alone = Alone::open(&flags.path, log).await?;
    let status = alone.answer(alone.log.status(), flags.timeout).await?;
    let (from, to) = (flags.from.unwrap_or(status.begin), flags.to.unwrap_or(status.end));
    if from < status.begin || to > status.end {
        let (begin, end) = (status.begin, status.end);
        return Err(format!("the replica holds positions {begin} to {end}").into());
    }
    let mut next = from;
    while next <= to {
        let last = to.min(next + CHUNK - 1);
        for (position, entry) in chunk(&alone, next, last, flags.timeout).await? {
            say(&line(position, entry.as_ref()));
        }
        next = last + 1;
    }
    Ok(())
}

/// The entries of some positions; None for what is not settled.
async fn chunk(
    alone: &Alone,
    from: u64,
    to: u64,
    limit: Option<Duration>,
) -> Result<Vec<(u64, Option<Entry>)>, Failed> {
    match alone.log.read(from, to).await {
        Ok(entries) => Ok(entries.into_iter().map(|entry| (entry.position, Some(entry))).collect()),
        Err(LogError::Range { .. }) if from == to => Ok(vec![(from, None)]),
        Err(LogError::Range { .. }) => {
            let middle = from + (to - from) / 2;
            let mut all = Box::pin(chunk(alone, from, middle, limit)).await?;
            all.extend(Box::pin(chunk(alone, middle + 1, to, limit)).await?);
            Ok(all)
        }
        Err(error) => Err(error.into()),
    }
}

/// One line about a position.
fn line(position: u64, entry: Option<&Entry>) -> String {
    let what = match entry.map(|entry| &entry.value) {
        None => "unsettled".to_owned(),
        Some(Value::Nop) => "nothing".to_owned(),
        Some(Value::Truncate(to)) => format!("truncation to {to}"),
        Some(Value::Append(bytes)) => {
            let size = bytes.len();
            let said = Operation::decode(bytes.clone()).ok().and_then(|record| said(&record));
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            format!("append of {size} bytes{said}")
        }
    };
    format!("{position}: {what}")
}

/// What an entry does to the variables of a master, if it is of that kind.
fn said(record: &Operation) -> Option<String> {
    match record.r#type() {
        operation::Type::Snapshot => {
            let entry = &record.snapshot.as_ref()?.entry;
            let version = libprocess::Uuid::from_slice(&entry.uuid).ok()?;
            Some(format!("'{}' is version {version}, {} bytes", entry.name, entry.value.len()))
        }
        operation::Type::Expunge => Some(format!("'{}' is removed", record.expunge.as_ref()?.name)),
        operation::Type::Diff => Some("a difference".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::mesos::internal::state;

    #[test]
    fn entries_are_shown_by_what_they_do() {
        let entry = state::Entry {
            name: "registry".into(),
            uuid: vec![0; 16].into(),
            value: vec![1; 5].into(),
        };
        let record = Operation {
            r#type: operation::Type::Snapshot.into(),
            snapshot: Some(operation::Snapshot { entry }),
            ..Operation::default()
        };
        let bytes = record.encode_to_vec();
        let size = bytes.len();
        let of = |value| Some(Entry { position: 7, value });
        let shown = |value: Option<Entry>| line(7, value.as_ref());
        let version = "00000000-0000-0000-0000-000000000000";
        assert_eq!(
            shown(of(Value::Append(bytes.into()))),
            format!("7: append of {size} bytes: 'registry' is version {version}, 5 bytes")
        );
        assert_eq!(shown(of(Value::Append("x".into()))), "7: append of 1 bytes");
        assert_eq!(shown(of(Value::Truncate(3))), "7: truncation to 3");
        assert_eq!(shown(of(Value::Nop)), "7: nothing");
        assert_eq!(shown(None), "7: unsettled");
    }
}
