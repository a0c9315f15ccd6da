//! Claim: an append to the replicated log costs a few syncs of the disk, and many at a time share them.
//!
//! Three replicas on nodes of their own on the loopback, entries of 4 KiB, every answer synced first.
//! The peer appends the same entries to one file and syncs it after each, without replicas or network.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use coordination::log::{Log, LogConfig, Network, Writer};
use futures::stream::{FuturesUnordered, StreamExt};
use libprocess::{Node, real};
use protos::mesos::internal::log::metadata::Status;

const ENTRY: usize = 4096;
const ALONE: usize = 3000;
const BATCHED: usize = 40_000;
const IN_FLIGHT: usize = 256;
const PEER: usize = 3000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

async fn ensemble(dir: &Path) -> Outcome<(Vec<Node>, Vec<Log>)> {
    let (network, mut nodes, mut logs) = (Network::default(), Vec::new(), Vec::new());
    for number in 0..3 {
        let ip = std::net::Ipv4Addr::LOCALHOST;
        let node = real::start(real::Config { ip, ..real::Config::default() }).await?;
        let config = LogConfig::new(dir.join(number.to_string()), 2, network.clone());
        logs.push(Log::start(&node, config)?);
        nodes.push(node);
    }
    for (node, log) in nodes.iter().zip(&logs) {
        while log.status().await?.status != Status::Voting {
            node.sleep(Duration::from_millis(20)).await;
        }
    }
    Ok((nodes, logs))
}

async fn elected(node: &Node, log: &Log) -> Outcome<Writer> {
    let writer = log.writer(node);
    while writer.elect().await?.is_none() {
        node.sleep(Duration::from_millis(50)).await;
    }
    Ok(writer)
}

/// Appends so many with so many in flight: how long all took, and each.
async fn append(
    node: &Node,
    writer: &Writer,
    count: usize,
    in_flight: usize,
) -> Outcome<(Duration, Vec<Duration>)> {
    let entry = Bytes::from(vec![7; ENTRY]);
    let (start, mut each, mut flying) = (node.now(), Vec::new(), FuturesUnordered::new());
    let mut asked = 0;
    while each.len() < count {
        while asked < count && flying.len() < in_flight {
            let (began, appended) = (node.now(), writer.append(entry.clone()));
            flying.push(async move { (began, appended.await) });
            asked += 1;
        }
        let Some((began, appended)) = flying.next().await else { break };
        appended?.ok_or("the writer lost its lead")?;
        each.push(node.now() - began);
    }
    Ok((node.now() - start, each))
}

fn tell(what: &str, took: Duration, mut each: Vec<Duration>) -> f64 {
    each.sort_unstable();
    let rate = benches::rate(each.len() as u64, took);
    benches::report(what, rate, "appends/s");
    for (name, share) in [("p50", 50), ("p99", 99)] {
        let at = each.get(each.len() * share / 100).copied().unwrap_or_default();
        benches::report(&format!("{what}, {name}"), benches::millis(at), "ms");
    }
    rate
}

fn peer(dir: &Path) -> Outcome<f64> {
    let mut file = std::fs::File::create(dir.join("peer"))?;
    let entry = vec![7; ENTRY];
    let (done, took) = benches::timed(|| -> std::io::Result<()> {
        for _ in 0..PEER {
            file.write_all(&entry)?;
            file.sync_data()?;
        }
        Ok(())
    });
    done?;
    Ok(benches::rate(PEER as u64, took))
}

async fn run() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let (nodes, logs) = ensemble(dir.path()).await?;
    let writer = elected(&nodes[0], &logs[0]).await?;
    append(&nodes[0], &writer, 200, 1).await?;
    let (took, each) = append(&nodes[0], &writer, ALONE, 1).await?;
    let alone = tell("one at a time", took, each);
    let (took, each) = append(&nodes[0], &writer, BATCHED, IN_FLIGHT).await?;
    let batched = tell("256 in flight", took, each);
    let peer = peer(dir.path())?;
    benches::report("peer: append and sync of one file", peer, "appends/s");
    benches::ratio("one at a time", alone, "peer", peer);
    benches::ratio("256 in flight", batched, "peer", peer);
    Ok(())
}

fn main() -> ExitCode {
    match real::run(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("log_append: {error}");
            ExitCode::FAILURE
        }
    }
}
