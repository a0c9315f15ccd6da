//! Claim: a registry of 50,000 slaves is filled in batches and read back within seconds.
//!
//! A registrar over a log of three replicas on the loopback, all synced. Slaves are admitted 1,000 at a
//! time, as they come when a cluster starts; then another registrar recovers what is there. The peer
//! encodes a registry of that size and decodes it, without storing anything.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use coordination::log::{Log, LogConfig, Network};
use coordination::state::LogStorage;
use futures::future::join_all;
use libprocess::{Handle, Node, real};
use master::registrar::{Config, Operation, Registrar, Registry};
use prost::Message;
use protos::ids::SlaveId;
use protos::mesos::internal::log::metadata::Status;
use protos::mesos::{MasterInfo, SlaveInfo, internal as wire};
use protos::resources::Resources;

const SLAVES: usize = 50_000;
const AT_A_TIME: usize = 1000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn slave(number: usize) -> Outcome<(SlaveId, SlaveInfo)> {
    let id = SlaveId::new(format!("9d4a2c52-4ef0-4d6c-b4f5-5a3c1d8f1f0a-S{number}"));
    let resources: Resources = "cpus:32;mem:131072;disk:1000000;ports:[31000-32000]".parse()?;
    let info = SlaveInfo {
        hostname: format!("host-{number}.example.org"),
        port: Some(5051),
        resources: resources.to_wire(),
        id: Some(id.wire()),
        checkpoint: Some(true),
        ..SlaveInfo::default()
    };
    Ok((id, info))
}

async fn replicas(dir: &Path) -> Outcome<Vec<(Node, Log)>> {
    let (network, mut replicas) = (Network::default(), Vec::new());
    for number in 0..3 {
        let ip = std::net::Ipv4Addr::LOCALHOST;
        let node = real::start(real::Config { ip, ..real::Config::default() }).await?;
        let config = LogConfig::new(dir.join(number.to_string()), 2, network.clone());
        let log = Log::start(&node, config)?;
        replicas.push((node, log));
    }
    for (node, log) in &replicas {
        while log.status().await?.status != Status::Voting {
            node.sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(replicas)
}

/// Starts a registrar on a replica and waits until it has recovered.
async fn recover(node: &Node, log: &Log) -> Outcome<(Handle<Registrar>, Registry)> {
    let storage = Arc::new(LogStorage::start(node, "registry-log", log.clone())?);
    let config = Config { storage, ..Config::default() };
    let registrar = node.spawn_numbered("registrar", Registrar::new(config));
    let info = MasterInfo { id: "m".into(), ip: 1, port: 5050, ..MasterInfo::default() };
    let recovered = registrar.ask_later(move |registrar, cx| registrar.recover(info, cx)).await;
    Ok((registrar, recovered.map_err(|_| "the registrar is gone")??))
}

async fn run() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let replicas = replicas(dir.path()).await?;
    let (node, log) = &replicas[0];
    let (registrar, _) = recover(node, log).await?;
    let start = node.now();
    for first in (0..SLAVES).step_by(AT_A_TIME) {
        let slaves: Outcome<Vec<_>> = (first..first + AT_A_TIME).map(slave).collect();
        let admitted = slaves?.into_iter().map(|(id, info)| {
            registrar
                .ask_later(move |registrar, cx| registrar.apply(Operation::Admit(id, info), cx))
        });
        for admitted in join_all(admitted).await {
            let admitted = admitted.map_err(|_| "the registrar is gone")?;
            if !admitted? {
                return Err("a slave was refused".into());
            }
        }
    }
    let took = node.now() - start;
    benches::report("50,000 slaves admitted, 1,000 at a time", took.as_secs_f64(), "s");
    let (node, log) = &replicas[1];
    let start = node.now();
    let (_, registry) = recover(node, log).await?;
    let took = node.now() - start;
    if registry.slaves.len() != SLAVES {
        return Err(format!("{} slaves were recovered", registry.slaves.len()).into());
    }
    benches::report("50,000 slaves recovered by another master", took.as_secs_f64(), "s");
    let (decoded, peer) = benches::timed(|| {
        let bytes = registry.encode();
        wire::Registry::decode(&bytes[..]).map(|registry| (bytes.len(), registry))
    });
    let (bytes, _) = decoded?;
    benches::report("peer: encoded and decoded", peer.as_secs_f64(), "s");
    benches::report("bytes", bytes as f64, "");
    benches::ratio("recovery", took.as_secs_f64(), "peer", peer.as_secs_f64());
    Ok(())
}

fn main() -> ExitCode {
    match real::run(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("registry_recovery: {error}");
            ExitCode::FAILURE
        }
    }
}
