//! Storage in a simulated directory service: hosts that change the same variable, with faults.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::group::SessionGroup;
use coordination::group::simulated::{Directory, SimulatedConnect};
use coordination::state::{Storage, StorageError, Variable, ZooKeeperStorage};
use libprocess::sim::{Cut, World, loss, partition, seeds};
use libprocess::{Ctx, Node, NodeConfig, Pid, Process, Routes};
use rand::Rng;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(60);
const SERVER: u8 = 100;

fn address(host: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, host), 5050)
}

fn storage(node: &Node) -> ZooKeeperStorage {
    let connect = SimulatedConnect { servers: vec![Pid::new("directory", address(SERVER))] };
    let group = SessionGroup::start(node, Arc::new(connect), Duration::from_secs(4));
    ZooKeeperStorage::start(node, "storage", group).unwrap()
}

/// Acknowledged changes: from which version to which.
type Chain = Arc<Mutex<Vec<(Option<Uuid>, Uuid)>>>;

/// Changes one variable for ever.
struct Client {
    storage: ZooKeeperStorage,
    chain: Chain,
}

impl Process for Client {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.defer(self.storage.fetch("x"), |client: &mut Self, fetched, cx| {
            let variable: Variable = fetched.unwrap();
            let change = variable.change(vec![1; 100], cx.uuid());
            let link = (change.expected, change.uuid);
            cx.defer(client.storage.store(change), move |client: &mut Self, stored, cx| {
                if stored.unwrap().is_some() {
                    client.chain.lock().unwrap().push(link);
                }
                let pause = cx.random_within(Duration::from_millis(500));
                cx.after(pause, Self::initialize);
            });
        });
    }
}

fn cluster(seed: u64, clients: bool) -> (World, Chain) {
    let (mut world, chain, directory) = (World::new(seed), Chain::default(), Directory::default());
    let node = world.node(address(SERVER), NodeConfig::default());
    world.on_start(&node, move |node| _ = directory.serve(node).unwrap());
    for host in (1..=3).filter(|_| clients) {
        let node = world.node(address(host), NodeConfig::default());
        let chain = chain.clone();
        world.on_start(&node, move |node| {
            let client = Client { storage: storage(node), chain: chain.clone() };
            node.spawn("client", client).unwrap();
        });
    }
    (world, chain)
}

fn run(seed: u64) {
    let (mut world, chain) = cluster(seed, true);
    for _ in 0..15 {
        let pause = world.rng().random_range(200..3000);
        world.run_for(Duration::from_millis(pause));
        let host = world.rng().random_range(1..=3);
        let ip = |host| *address(host).ip();
        match world.rng().random_range(0..6) {
            0 => _ = world.add_rule(loss(0.2)),
            1 => _ = world.add_rule(partition([ip(host)], [ip(SERVER)], Cut::Both)),
            2 => _ = world.add_rule(partition([ip(SERVER)], [ip(host)], Cut::OneWay)),
            3 => _ = world.restart(address(host)),
            4 => _ = world.restart(address(SERVER)),
            _ => world.clear_rules(),
        }
    }
    world.clear_rules();
    let goal = chain.lock().unwrap().len() + 20;
    world.run_until(LIMIT, |_| chain.lock().unwrap().len() >= goal).unwrap();
    assert!(world.panics().is_empty());
    let mut followers = BTreeMap::new();
    for (from, to) in chain.lock().unwrap().iter() {
        assert_eq!(followers.insert(*from, *to), None, "seed {seed}: fork after {from:?}");
    }
}

#[test]
fn no_version_is_changed_twice_whatever_happens_to_hosts_and_network() {
    seeds(40).into_iter().for_each(run);
}

#[test]
fn variables_are_kept_expunged_and_never_larger_than_the_service_takes() {
    let (mut world, _) = cluster(1, false);
    let node = world.node(address(1), NodeConfig::default());
    let storage = storage(&node);
    let asked = async move {
        let absent = storage.fetch("x").await.unwrap();
        assert_eq!(absent, Variable::absent("x"));
        let first = absent.change("1", Uuid::from_u128(1));
        let first = storage.store(first).await.unwrap().unwrap();
        assert_eq!(storage.store(absent.change("late", Uuid::from_u128(2))).await.unwrap(), None);
        assert_eq!(storage.fetch("x").await.unwrap(), first);
        assert_eq!(storage.names().await.unwrap().into_iter().collect::<Vec<_>>(), ["x"]);
        assert!(!storage.expunge(&absent).await.unwrap());
        assert!(storage.expunge(&first).await.unwrap());
        assert_eq!(storage.fetch("x").await.unwrap(), absent);
        let large = absent.change(vec![0; 1 << 20], Uuid::from_u128(3));
        let refused = storage.store(large).await;
        assert!(matches!(refused, Err(StorageError::TooLarge { .. })), "{refused:?}");
    };
    struct Asker(bool);
    impl Process for Asker {
        fn routes(_: &mut Routes<Self>) {}
    }
    let asker = node.spawn("asker", Asker(false)).unwrap();
    asker.tell(move |_, cx| cx.defer(asked, |asker: &mut Asker, (), _| asker.0 = true));
    world.run_for(LIMIT);
    assert_eq!(
        futures::executor::block_on(async {
            let asked = asker.ask(|asker, _| asker.0);
            world.run_for(Duration::from_secs(1));
            asked.await
        }),
        Ok(true)
    );
}
