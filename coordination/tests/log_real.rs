//! The log over sockets and disks of one host: three nodes in this process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use coordination::log::{Log, LogConfig, LogError, Network, Value, Writer};
use coordination::state::{FileStorage, LogStorage, Storage, Variable};
use futures::future::join_all;
use libprocess::Node;
use libprocess::real::{Config, run, start};
use protos::mesos::internal::log::metadata::Status;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn node() -> Node {
    start(Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() }).await.unwrap()
}

fn config(dir: &Path, number: usize, network: &Network) -> LogConfig {
    let dir = dir.join(number.to_string());
    LogConfig { segment_bytes: 200_000, ..LogConfig::new(dir, 2, network.clone()) }
}

async fn voting(node: &Node, log: &Log) {
    while log.status().await.unwrap().status != Status::Voting {
        node.sleep(Duration::from_millis(20)).await;
    }
}

async fn elected(node: &Node, writer: &Writer) -> u64 {
    loop {
        if let Some(elected) = writer.elect().await.unwrap() {
            return elected.last;
        }
        node.sleep(Duration::from_millis(50)).await;
    }
}

async fn ensemble(dir: &Path) -> (Vec<Node>, Vec<Log>, Network) {
    let (network, mut nodes, mut logs) = (Network::default(), Vec::new(), Vec::new());
    for number in 0..3 {
        let node = node().await;
        logs.push(Log::start(&node, config(dir, number, &network)).unwrap());
        nodes.push(node);
    }
    for (node, log) in nodes.iter().zip(&logs) {
        voting(node, log).await;
    }
    (nodes, logs, network)
}

#[test]
fn log_goes_on_without_one_replica_and_a_fresh_one_catches_up() {
    let scratch = Scratch::new("log-goes-on");
    run(async {
        let (nodes, logs, network) = ensemble(&scratch.0).await;
        let writer = logs[0].writer(&nodes[0]);
        elected(&nodes[0], &writer).await;
        let one_by_one = nodes[0].now();
        for _ in 0..200 {
            writer.append(Bytes::from(vec![1; 4096])).await.unwrap().unwrap();
        }
        let batches = nodes[0].now();
        let appends = (0..2000).map(|_| writer.append(Bytes::from(vec![2; 4096])));
        let positions = join_all(appends).await;
        let end = positions.last().cloned().unwrap().unwrap().unwrap();
        println!(
            "200 appends in {:?}, 2000 overlapping ones in {:?}",
            batches - one_by_one,
            nodes[0].now() - batches
        );
        assert!(positions.is_sorted_by_key(|position| position.clone().unwrap()));

        nodes[0].close();
        let mut left = network.members();
        left.remove(logs[0].pid());
        network.set(left);
        let writer = logs[1].writer(&nodes[1]);
        assert_eq!(elected(&nodes[1], &writer).await, end);
        let entries = logs[1].read(end - 10, end).await.unwrap();
        assert!(entries.iter().all(|entry| entry.value == Value::Append(vec![2; 4096].into())));

        let fresh = node().await;
        let started = fresh.now();
        let log = Log::start(&fresh, config(&scratch.0, 7, &network)).unwrap();
        voting(&fresh, &log).await;
        println!("{end} positions caught up in {:?}", fresh.now() - started);
        assert_eq!(log.read(1, end).await.unwrap().len() as u64, end);
        writer.truncate(end).await.unwrap().unwrap();
        let read = logs[1].read(end - 1, end).await;
        assert!(matches!(read, Err(LogError::Range { .. })), "{read:?}");
    });
}

#[test]
fn replica_finds_on_disk_what_it_knew() {
    let scratch = Scratch::new("log-on-disk");
    run(async {
        let (nodes, logs, network) = ensemble(&scratch.0).await;
        let storage = LogStorage::start(&nodes[0], "storage", logs[0].clone()).unwrap();
        let mut variable = storage.fetch("x").await.unwrap();
        for number in 0..100_u8 {
            let change = variable.change(vec![number; 10_000], nodes[0].uuid());
            variable = storage.store(change).await.unwrap().unwrap();
        }
        nodes.iter().for_each(Node::close);
        network.set(Default::default());
        let (mut again, mut nodes) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let node = node().await;
            again.push(Log::start(&node, config(&scratch.0, number, &network)).unwrap());
            nodes.push(node);
        }
        voting(&nodes[1], &again[1]).await;
        let storage = LogStorage::start(&nodes[1], "storage", again[1].clone()).unwrap();
        assert_eq!(storage.fetch("x").await.unwrap(), variable);
        let segments = std::fs::read_dir(scratch.0.join("1")).unwrap().count();
        assert!((1..6).contains(&segments), "{segments} segments");
    });
}

#[test]
fn directory_of_something_else_is_left_alone() {
    let scratch = Scratch::new("log-foreign");
    std::fs::create_dir_all(scratch.0.join("0")).unwrap();
    std::fs::write(scratch.0.join("0/CURRENT"), "MANIFEST-000001").unwrap();
    run(async {
        let node = node().await;
        let log = Log::start(&node, config(&scratch.0, 0, &Network::default())).unwrap();
        let status = log.status().await;
        assert!(matches!(status, Err(LogError::Ended)), "{status:?}");
        assert_eq!(std::fs::read_dir(scratch.0.join("0")).unwrap().count(), 1);
    });
}

#[test]
fn file_storage_finds_on_disk_what_it_stored() {
    let scratch = Scratch::new("file-storage");
    run(async {
        let path = scratch.0.join("state");
        let first = node().await;
        let storage = FileStorage::start(&first, "storage", &path).unwrap();
        let change = Variable::absent("x").change("value", first.uuid());
        let stored = storage.store(change).await.unwrap().unwrap();
        first.close();
        let second = node().await;
        let storage = FileStorage::start(&second, "storage", &path).unwrap();
        assert_eq!(storage.fetch("x").await.unwrap(), stored);
    });
}
