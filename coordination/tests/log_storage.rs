//! Storage on the replicated log: several hosts that change the same variables, with faults.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::log::{Log, LogConfig, Network};
use coordination::state::{LogStorage, Storage, StorageError, Variable};
use libprocess::sim::{Cut, World, loss, partition, seeds};
use libprocess::{Ctx, Node, NodeConfig, Pid, Process, Routes};
use rand::Rng;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(120);
const DIR: &str = "/var/replicated_log";
const HOSTS: u8 = 3;

fn address(host: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, host), 5050)
}

type Storages = Arc<Mutex<BTreeMap<SocketAddrV4, LogStorage>>>;

fn start(node: &Node, storages: &Storages) {
    let members = (1..=HOSTS).map(|host| Pid::new("log-replica(1)", address(host)));
    let config =
        LogConfig { segment_bytes: 10_000, ..LogConfig::new(DIR, 2, Network::new(members)) };
    let log = Log::start(node, config).unwrap();
    let storage = LogStorage::start(node, "storage", log).unwrap();
    storages.lock().unwrap().insert(node.address(), storage);
}

fn cluster(seed: u64) -> (World, Storages) {
    let (mut world, storages) = (World::new(seed), Storages::default());
    for host in 1..=HOSTS {
        let node = world.node(address(host), NodeConfig::default());
        let storages = storages.clone();
        world.on_start(&node, move |node| start(node, &storages));
    }
    (world, storages)
}

fn storage(storages: &Storages, host: u8) -> LogStorage {
    storages.lock().unwrap()[&address(host)].clone()
}

struct Waiter;
impl Process for Waiter {
    fn routes(_: &mut Routes<Self>) {}
}

fn wait<T: Send + 'static>(
    world: &mut World,
    host: u8,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let slot = Arc::new(Mutex::new(None));
    let put = slot.clone();
    let waiter = world.living(address(host)).unwrap().spawn_numbered("waiter", Waiter);
    waiter.tell(move |_, cx: &mut Ctx<Waiter>| {
        cx.defer(future, move |_, value, cx| {
            *put.lock().unwrap() = Some(value);
            cx.stop();
        });
    });
    world.run_until(LIMIT, |_| slot.lock().unwrap().is_some()).unwrap();
    slot.lock().unwrap().take().unwrap()
}

#[test]
fn state_moves_with_the_writer_and_the_old_one_is_told() {
    let (mut world, storages) = cluster(1);
    let (one, two) = (storage(&storages, 1), storage(&storages, 2));
    let absent = wait(&mut world, 1, one.fetch("x")).unwrap();
    assert_eq!(absent, Variable::absent("x"));
    let uuid = |number| Uuid::from_u128(number);
    let first = wait(&mut world, 1, one.store(absent.change("1", uuid(1)))).unwrap().unwrap();
    assert_eq!(wait(&mut world, 2, two.fetch("x")).unwrap(), first);
    let second = wait(&mut world, 2, two.store(first.change("2", uuid(2)))).unwrap().unwrap();
    let late = wait(&mut world, 1, one.store(first.change("late", uuid(3))));
    assert!(matches!(late, Err(StorageError::Demoted { .. })), "{late:?}");
    let late = wait(&mut world, 1, one.store(first.change("late", uuid(3))));
    assert_eq!(late.unwrap(), None);
    assert_eq!(wait(&mut world, 1, one.fetch("x")).unwrap(), second);
    assert!(wait(&mut world, 1, one.expunge(&second)).unwrap());
    assert!(wait(&mut world, 1, one.names()).unwrap().is_empty());
}

fn bytes_on_disk(world: &World, host: u8) -> usize {
    let path = |number| format!("{DIR}/segment-{number:010}");
    (0..3000).filter_map(|number| world.file(address(host), path(number))).map(|f| f.len()).sum()
}

#[test]
fn log_stays_small_under_many_changes_beside_a_variable_that_never_changes() {
    let (mut world, storages) = cluster(2);
    let one = storage(&storages, 1);
    let node = world.living(address(1)).unwrap();
    // Long enough for all three to vote.
    world.run_for(Duration::from_secs(10));
    world.crash(address(3));
    let constant = Variable::absent("constant").change(vec![7; 5000], node.uuid());
    let constant = wait(&mut world, 1, one.store(constant)).unwrap().unwrap();
    let mut variable = wait(&mut world, 1, one.fetch("x")).unwrap();
    for number in 0..1500_u32 {
        let change = variable.change(number.to_string().repeat(100), node.uuid());
        variable = wait(&mut world, 1, one.store(change)).unwrap().unwrap();
    }
    world.run_for(Duration::from_secs(2));
    for host in 1..HOSTS {
        let size = bytes_on_disk(&world, host);
        assert!((1000..400_000).contains(&size), "{size} bytes on host {host}");
    }
    // One that has missed all of it leads as soon as any other.
    world.crash(address(1));
    world.restart(address(3));
    let (three, back) = (storage(&storages, 3), world.now());
    assert_eq!(wait(&mut world, 3, three.fetch("x")).unwrap(), variable);
    assert!(world.now() - back < Duration::from_secs(2));
    assert_eq!(wait(&mut world, 3, three.fetch("constant")).unwrap(), constant);
}

/// Acknowledged changes: from which version to which.
type Chain = Arc<Mutex<Vec<(Option<Uuid>, Uuid)>>>;

/// Changes one variable for ever.
struct Client {
    storage: LogStorage,
    chain: Chain,
}

impl Process for Client {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.pause(cx);
    }
}

impl Client {
    fn pause(&mut self, cx: &mut Ctx<Self>) {
        let pause = cx.random_within(Duration::from_secs(4));
        cx.after(pause, |client: &mut Self, cx| {
            cx.defer(client.storage.fetch("x"), |client: &mut Self, fetched, cx| match fetched {
                Ok(variable) => client.change(&variable, cx),
                Err(_) => client.pause(cx),
            });
        });
    }

    fn change(&mut self, variable: &Variable, cx: &mut Ctx<Self>) {
        let change = variable.change(vec![1; 300], cx.uuid());
        let link = (change.expected, change.uuid);
        cx.defer(self.storage.store(change), move |client: &mut Self, stored, cx| {
            if let Ok(Some(variable)) = stored {
                client.chain.lock().unwrap().push(link);
                if cx.rng().random_bool(0.9) {
                    return client.change(&variable, cx);
                }
            }
            client.pause(cx);
        });
    }
}

fn client(world: &World, storages: &Storages, host: u8, chain: &Chain) {
    let node = world.living(address(host)).unwrap();
    let client = Client { storage: storage(storages, host), chain: chain.clone() };
    node.spawn("client", client).unwrap();
}

fn run(seed: u64) {
    let (mut world, storages) = cluster(seed);
    let chain = Chain::default();
    (1..=HOSTS).for_each(|host| client(&world, &storages, host, &chain));
    world.run_for(Duration::from_secs(5));
    for _ in 0..15 {
        let host = world.rng().random_range(1..=HOSTS);
        match world.rng().random_range(0..4) {
            0 => {
                let others = (1..=HOSTS).filter(|other| *other != host);
                let others: Vec<_> = others.map(|host| *address(host).ip()).collect();
                let cut = if world.rng().random() { Cut::Both } else { Cut::OneWay };
                world.add_rule(partition([*address(host).ip()], others, cut));
            }
            1 => _ = world.add_rule(loss(0.1)),
            2 => world.clear_rules(),
            _ => {
                world.crash_torn(address(host));
                world.restart(address(host));
                client(&world, &storages, host, &chain);
            }
        }
        let pause = world.rng().random_range(200..3000);
        world.run_for(Duration::from_millis(pause));
    }
    world.clear_rules();
    let goal = chain.lock().unwrap().len() + 10;
    world.run_until(LIMIT, |_| chain.lock().unwrap().len() >= goal).unwrap();
    assert!(world.panics().is_empty());
    let mut followers = BTreeMap::new();
    for (from, to) in chain.lock().unwrap().iter() {
        // Two that both changed the same version: one of them did not see the other.
        assert_eq!(followers.insert(*from, *to), None, "seed {seed}: fork after {from:?}");
    }
}

#[test]
fn no_version_is_changed_twice_whatever_happens_to_hosts_and_network() {
    seeds(25).into_iter().for_each(run);
}
