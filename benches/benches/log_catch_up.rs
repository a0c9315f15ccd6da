//! Claim: a replica that has lost its disk knows all again within seconds.
//!
//! Three replicas on the loopback, 100,000 positions of 256 bytes; the third is ended, its directory
//! removed, and it starts again. The peer copies a file of as many bytes, and syncs it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use coordination::log::{Log, LogConfig, Network};
use futures::future::join_all;
use libprocess::{Node, real};
use protos::mesos::internal::log::metadata::Status;

const POSITIONS: u64 = 100_000;
const ENTRY: usize = 256;
const AT_A_TIME: u64 = 1000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

async fn replica(dir: &Path, network: &Network) -> Outcome<(Node, Log)> {
    let ip = std::net::Ipv4Addr::LOCALHOST;
    let node = real::start(real::Config { ip, ..real::Config::default() }).await?;
    let log = Log::start(&node, LogConfig::new(dir, 2, network.clone()))?;
    Ok((node, log))
}

async fn voting(node: &Node, log: &Log) -> Outcome<()> {
    while log.status().await?.status != Status::Voting {
        node.sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn run() -> Outcome<()> {
    let (dir, network) = (tempfile::tempdir()?, Network::default());
    let mut replicas = Vec::new();
    for number in 0..3 {
        replicas.push(replica(&dir.path().join(number.to_string()), &network).await?);
    }
    for (node, log) in &replicas {
        voting(node, log).await?;
    }
    let (node, log) = &replicas[0];
    let writer = log.writer(node);
    while writer.elect().await?.is_none() {
        node.sleep(Duration::from_millis(50)).await;
    }
    let entry = Bytes::from(vec![7; ENTRY]);
    for _ in 0..POSITIONS / AT_A_TIME {
        let appends = (0..AT_A_TIME).map(|_| writer.append(entry.clone()));
        for appended in join_all(appends).await {
            appended?.ok_or("the writer lost its lead")?;
        }
    }
    let (lost, third) = replicas.remove(2);
    network.set(network.members().into_iter().filter(|pid| pid != third.pid()).collect());
    lost.close();
    let path = dir.path().join("2");
    std::fs::remove_dir_all(&path)?;
    let (fresh, log) = replica(&path, &network).await?;
    let start = fresh.now();
    voting(&fresh, &log).await?;
    let took = fresh.now() - start;
    let status = log.status().await?;
    if status.missing > 0 || status.end < POSITIONS {
        return Err(format!("the replica does not know all: {status:?}").into());
    }
    benches::report("100,000 positions caught up, with the wait of 4 s", took.as_secs_f64(), "s");
    let whole = vec![7; POSITIONS as usize * ENTRY];
    let (done, peer) = benches::timed(|| -> std::io::Result<()> {
        std::fs::write(dir.path().join("peer"), &whole)?;
        std::fs::File::open(dir.path().join("peer"))?.sync_all()
    });
    done?;
    benches::report("peer: as many bytes written and synced", peer.as_secs_f64(), "s");
    benches::ratio("catching up", took.as_secs_f64(), "peer", peer.as_secs_f64());
    Ok(())
}

fn main() -> ExitCode {
    match real::run(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("log_catch_up: {error}");
            ExitCode::FAILURE
        }
    }
}
