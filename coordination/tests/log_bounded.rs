//! A log that keeps a registry stays small however often that changes. `UPDATES` says how often;
//! 50,000 times when absent.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::log::{Log, LogConfig, Network};
use coordination::state::{LogStorage, Storage, StorageError, Variable};
use libprocess::sim::World;
use libprocess::{Ctx, NodeConfig, Pid, Process, Routes};

/// Bytes of the registry.
const REGISTRY: usize = 500;
/// Bytes of a segment.
const SEGMENT: u64 = 64 << 10;
/// Updates between two looks at the directory.
const LOOK: u64 = 1000;
const DIR: &str = "/var/replicated_log";

fn address(host: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, host), 5050)
}

/// How far it is, and the most bytes and files that were seen.
#[derive(Default, Clone, Copy)]
struct Seen {
    updates: u64,
    bytes: u64,
    files: usize,
}

struct Updater {
    storage: LogStorage,
    seen: Arc<Mutex<Seen>>,
}

impl Process for Updater {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.defer(self.storage.fetch("registry"), |updater: &mut Self, fetched, cx| {
            updater.update(fetched.unwrap(), cx);
        });
    }
}

impl Updater {
    fn update(&mut self, variable: Variable, cx: &mut Ctx<Self>) {
        let change = variable.change(vec![1; REGISTRY], cx.uuid());
        type Stored = Result<Option<Variable>, StorageError>;
        cx.defer(self.storage.store(change), |updater: &mut Self, stored: Stored, cx| {
            let variable = stored.unwrap().expect("nobody else changes it");
            updater.seen.lock().unwrap().updates += 1;
            if updater.seen.lock().unwrap().updates.is_multiple_of(LOOK) {
                updater.look(cx);
            }
            updater.update(variable, cx);
        });
    }

    fn look(&mut self, cx: &mut Ctx<Self>) {
        cx.defer(cx.disk().list(Path::new(DIR)), |updater: &mut Self, files, _| {
            let files = files.unwrap();
            let mut seen = updater.seen.lock().unwrap();
            seen.files = seen.files.max(files.len());
            seen.bytes = seen.bytes.max(files.iter().map(|file| file.size).sum());
        });
    }
}

#[test]
fn log_of_a_registry_stays_small_under_any_number_of_updates() {
    let updates = std::env::var("UPDATES").ok().and_then(|text| text.parse().ok());
    let updates = updates.unwrap_or(50_000_u64);
    let mut world = World::new(1);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let network = Network::new((1..=3).map(|host| Pid::new("log-replica(1)", address(host))));
    for host in 1..=3 {
        let node = world.node(address(host), NodeConfig::default());
        let config =
            LogConfig { segment_bytes: SEGMENT, ..LogConfig::new(DIR, 2, network.clone()) };
        let log = Log::start(&node, config).unwrap();
        if host == 1 {
            let storage = LogStorage::start(&node, "storage", log).unwrap();
            node.spawn("updater", Updater { storage, seen: seen.clone() }).unwrap();
        }
    }
    let limit = Duration::from_secs(60 + updates);
    world.run_until(limit, |_| seen.lock().unwrap().updates >= updates).unwrap();
    let Seen { updates, bytes, files } = *seen.lock().unwrap();
    println!("{updates} updates: at most {bytes} bytes in {files} files");
    // What is superseded is truncated after 64 entries, and goes with its segment.
    assert!(bytes <= 4 * SEGMENT && files <= 4, "{bytes} bytes in {files} files");
    assert!(world.panics().is_empty());
}
