//! `mesos-log benchmark`: measures appends.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use coordination::log::{Log, Writer};
use libprocess::Node;
use libprocess::flags::{Logging, say};

use super::joined::Joining;
use super::{Common, Failed};

/// Between two attempts to become the writer.
const PAUSE: Duration = Duration::from_millis(100);

/// Appends entries of given sizes to a log, one after the other, and notes how long each took.
#[derive(Parser, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Flags {
    /// Which replica, of which log
    #[command(flatten)]
    pub joining: Joining,
    /// File with the sizes of the entries, one a line, such as 4KB
    #[arg(long, required = true)]
    pub input: PathBuf,
    /// File that is written: position, bytes and milliseconds of each append, one a line
    #[arg(long, required = true)]
    pub output: PathBuf,
    /// What the entries are made of
    #[arg(long, default_value = "random", value_parser = ["zero", "one", "random"])]
    pub r#type: String,
    /// The log of this tool
    #[command(flatten)]
    pub logging: Logging,
}

impl Common for Flags {
    fn logging(&self) -> &Logging {
        &self.logging
    }
}

/// An append that was measured.
struct Measured {
    position: u64,
    bytes: usize,
    took: Duration,
}

pub(super) async fn run(flags: Flags, log: slog::Logger) -> Result<(), Failed> {
    let about = |path: &PathBuf, error| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(&flags.input).map_err(|error| about(&flags.input, error))?;
    let sizes = sizes(&text)?;
    let joined = flags.joining.join(log).await?;
    let measured = measure(&joined.node, &joined.log, &sizes, &flags.r#type).await?;
    let lines: Vec<String> = measured.iter().map(line).collect();
    std::fs::write(&flags.output, lines.join("\n") + "\n")
        .map_err(|error| about(&flags.output, error))?;
    say(&summary(&measured));
    Ok(())
}

fn sizes(text: &str) -> Result<Vec<usize>, Failed> {
    let words = text.lines().map(str::trim).filter(|line| !line.is_empty());
    words
        .map(|word| {
            let plain = word.parse::<u64>().ok();
            let size = plain.or_else(|| Some(word.parse::<protos::size::ByteSize>().ok()?.0));
            let size = size.and_then(|size| usize::try_from(size).ok());
            size.ok_or_else(|| format!("'{word}' is no size, such as 4096 or 4KB").into())
        })
        .collect()
}

async fn elected(node: &Node, log: &Log) -> Result<Writer, Failed> {
    let writer = log.writer(node);
    while writer.elect().await?.is_none() {
        node.sleep(PAUSE).await;
    }
    Ok(writer)
}

async fn measure(
    node: &Node,
    log: &Log,
    sizes: &[usize],
    kind: &str,
) -> Result<Vec<Measured>, Failed> {
    let writer = elected(node, log).await?;
    let mut measured = Vec::new();
    for &bytes in sizes {
        let entry = content(node, bytes, kind);
        let start = node.now();
        let Some(position) = writer.append(entry).await? else {
            return Err("another writer took over, or too few replicas answered".into());
        };
        measured.push(Measured { position, bytes, took: node.now() - start });
    }
    Ok(measured)
}

fn content(node: &Node, size: usize, kind: &str) -> Bytes {
    let filled = |byte| vec![byte; size].into();
    match kind {
        "zero" => filled(0),
        "one" => filled(u8::MAX),
        _ => {
            let mut bytes = Vec::with_capacity(size + 16);
            while bytes.len() < size {
                bytes.extend_from_slice(node.random_uuid().as_bytes());
            }
            bytes.truncate(size);
            bytes.into()
        }
    }
}

fn line(measured: &Measured) -> String {
    let millis = measured.took.as_secs_f64() * 1000.0;
    format!("{} {} {millis:.3}", measured.position, measured.bytes)
}

/// How many, how fast, and how long the slow ones took.
fn summary(measured: &[Measured]) -> String {
    let mut took: Vec<Duration> = measured.iter().map(|one| one.took).collect();
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 100).or(took.last()).copied();
    let total: Duration = took.iter().sum();
    let rate = measured.len() as f64 / total.as_secs_f64().max(f64::EPSILON);
    let [p50, p99] = [50, 99].map(|share| at(share).unwrap_or_default());
    format!("{} appends, {rate:.0}/s, p50 {p50:?}, p99 {p99:?}", measured.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_or_without_unit() {
        assert_eq!(sizes("10\n\n 4KB \n").unwrap(), [10, 4096]);
        assert!(sizes("much").is_err());
    }

    #[test]
    fn summary_names_the_slow_ones() {
        let one = |millis| Measured { position: 1, bytes: 1, took: Duration::from_millis(millis) };
        let measured: Vec<Measured> = (1..=100).map(one).collect();
        assert_eq!(summary(&measured), "100 appends, 20/s, p50 51ms, p99 100ms");
        assert_eq!(line(&measured[0]), "1 1 1.000");
    }
}
