//! Storage in a file, under crashes at every point and disks that fail.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::state::{FileStorage, InMemoryStorage, Storage, StorageError, Variable};
use futures::executor::block_on;
use libprocess::sim::World;
use libprocess::{Ctx, Node, NodeConfig, Process, Routes};
use rand::Rng;

const LIMIT: Duration = Duration::from_secs(60);
const PATH: &str = "/var/registry/state";

fn address() -> SocketAddrV4 {
    "10.0.0.1:5050".parse().unwrap()
}

/// Lets the world go on until `future` has a result.
fn wait<T: Send + 'static>(
    world: &mut World,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let slot = Arc::new(Mutex::new(None));
    let (put, node) = (slot.clone(), world.living(address()).unwrap());
    struct Waiter;
    impl Process for Waiter {
        fn routes(_: &mut Routes<Self>) {}
    }
    let waiter = node.spawn_numbered("waiter", Waiter);
    waiter.tell(move |_, cx: &mut Ctx<Waiter>| {
        cx.defer(future, move |_, value, cx| {
            *put.lock().unwrap() = Some(value);
            cx.stop();
        });
    });
    world.run_until(LIMIT, |_| slot.lock().unwrap().is_some()).unwrap();
    slot.lock().unwrap().take().unwrap()
}

fn start(world: &mut World) -> (Node, FileStorage) {
    let node = world.node(address(), NodeConfig::default());
    let storage = FileStorage::start(&node, "storage", PATH).unwrap();
    (node, storage)
}

fn put(world: &mut World, storage: &dyn Storage, name: &str, value: &'static str) -> Variable {
    let before = wait(world, storage.fetch(name)).unwrap();
    let change = before.change(value, world.living(address()).unwrap().uuid());
    wait(world, storage.store(change)).unwrap().unwrap()
}

#[test]
fn change_of_a_version_that_is_no_more_loses() {
    let mut world = World::new(1);
    let (node, file) = start(&mut world);
    let memory = InMemoryStorage::default();
    for storage in [&file as &dyn Storage, &memory] {
        let absent = wait(&mut world, storage.fetch("x")).unwrap();
        assert_eq!(absent, Variable::absent("x"));
        let first = put(&mut world, storage, "x", "1");
        let second = put(&mut world, storage, "x", "2");
        put(&mut world, storage, "y", "");
        for old in [&absent, &first] {
            let late = storage.store(old.change("late", node.uuid()));
            assert_eq!(wait(&mut world, late).unwrap(), None);
            assert!(!wait(&mut world, storage.expunge(old)).unwrap());
        }
        assert_eq!(wait(&mut world, storage.fetch("x")).unwrap(), second);
        let names = wait(&mut world, storage.names()).unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["x", "y"]);
        assert!(wait(&mut world, storage.expunge(&second)).unwrap());
        assert_eq!(wait(&mut world, storage.fetch("x")).unwrap(), absent);
        let revived = storage.store(second.change("revived", node.uuid()));
        assert_eq!(wait(&mut world, revived).unwrap(), None);
    }
}

#[test]
fn state_outlives_the_process_and_stays_small_when_it_changes_often() {
    let mut world = World::new(2);
    let (_, storage) = start(&mut world);
    let large = "v".repeat(100_000);
    for _ in 0..100 {
        let before = wait(&mut world, storage.fetch("large")).unwrap();
        let uuid = world.living(address()).unwrap().uuid();
        wait(&mut world, storage.store(before.change(large.clone(), uuid))).unwrap().unwrap();
    }
    let kept = wait(&mut world, storage.fetch("large")).unwrap();
    assert!(world.file(address(), PATH).unwrap().len() < 1_400_000);
    world.crash(address());
    let (_, storage) = start(&mut world);
    assert_eq!(wait(&mut world, storage.fetch("large")).unwrap(), kept);
}

/// What a client of one life did: the versions it was promised, and the one it may have stored.
#[derive(Default)]
struct History {
    promised: BTreeMap<String, Variable>,
    asked: BTreeMap<String, Vec<Variable>>,
}

/// Stores numbers under a few names, one after another for each name, and notes what it is told.
struct Client {
    storage: FileStorage,
    history: Arc<Mutex<History>>,
}

impl Process for Client {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        for name in ["a", "b", "c"] {
            self.next(name, cx);
        }
    }
}

impl Client {
    fn next(&mut self, name: &'static str, cx: &mut Ctx<Self>) {
        cx.defer(self.storage.fetch(name), move |client: &mut Self, fetched, cx| {
            client.fetched(name, fetched.unwrap(), cx);
        });
    }

    fn fetched(&mut self, name: &'static str, before: Variable, cx: &mut Ctx<Self>) {
        let size = cx.rng().random_range(1..2000);
        let change = before.change(vec![b'x'; size], cx.uuid());
        let mut history = self.history.lock().unwrap();
        history.asked.entry(name.into()).or_default().push(change.done());
        let stored = self.storage.store(change);
        drop(history);
        cx.defer(stored, move |client: &mut Self, stored, cx| {
            let stored = stored.unwrap().expect("nobody else changes it");
            client.history.lock().unwrap().promised.insert(name.into(), stored);
            client.next(name, cx);
        });
    }
}

/// Runs lives that each end after some events, and checks what the next one finds.
fn lives(seed: u64, ends: impl Iterator<Item = usize>) {
    let mut world = World::new(seed);
    let history = Arc::new(Mutex::new(History::default()));
    for end in ends {
        let (node, storage) = start(&mut world);
        for name in ["a", "b", "c"] {
            let found = wait(&mut world, storage.fetch(name)).unwrap();
            let mut history = history.lock().unwrap();
            let promised = history.promised.get(name).cloned();
            let asked = history.asked.remove(name).unwrap_or_default();
            let promised = promised.unwrap_or_else(|| Variable::absent(name));
            // A promise holds, unless the change that was under way has happened.
            let last = asked.last();
            assert!(found == promised || Some(&found) == last, "seed {seed}: {found:?}");
            history.promised.insert(name.into(), found);
        }
        let client = Client { storage, history: history.clone() };
        node.spawn("client", client).unwrap();
        let stop = world.events() + end;
        world.run_until(LIMIT, |world| world.events() >= stop).unwrap();
        world.crash_torn(&node);
        assert_eq!(world.panics(), Vec::<String>::new());
    }
}

#[test]
fn promises_hold_when_the_host_crashes_after_any_event() {
    for seed in 0..150 {
        lives(seed, [seed as usize, 7, 40].into_iter());
    }
}

#[test]
fn promises_hold_over_many_lives() {
    for seed in 0..10 {
        lives(seed, (1..40).map(|life| life * 13 % 97));
    }
}

#[test]
fn file_cut_at_any_byte_keeps_every_record_before_the_cut() {
    let mut world = World::new(3);
    let (_, storage) = start(&mut world);
    let mut ends = vec![(0, Variable::absent("x"))];
    for value in ["one", "two", "three"] {
        let stored = put(&mut world, &storage, "x", value);
        ends.push((world.file(address(), PATH).unwrap().len(), stored));
    }
    let whole = world.file(address(), PATH).unwrap();
    for cut in 0..=whole.len() {
        world.crash(address());
        world.put_file(address(), PATH, &whole[..cut]);
        let (_, storage) = start(&mut world);
        let found = wait(&mut world, storage.fetch("x")).unwrap();
        let expected = ends.iter().rev().find(|(end, _)| *end <= cut).unwrap();
        assert_eq!(found, expected.1, "cut at {cut}");
    }
}

#[test]
fn file_with_a_damaged_byte_is_refused_and_left_as_it_is() {
    let mut world = World::new(4);
    let (_, storage) = start(&mut world);
    put(&mut world, &storage, "x", "one");
    put(&mut world, &storage, "x", "two");
    let mut bytes = world.file(address(), PATH).unwrap().to_vec();
    bytes[20] ^= 1;
    world.crash(address());
    world.put_file(address(), PATH, &bytes);
    let (node, storage) = start(&mut world);
    let error = wait(&mut world, storage.fetch("x")).unwrap_err();
    assert!(matches!(&error, StorageError::Corrupt { .. }));
    assert!(error.to_string().starts_with("/var/registry/state: damaged at byte 0 of"), "{error}");
    let change = Variable::absent("x").change("three", node.uuid());
    assert!(wait(&mut world, storage.store(change)).is_err());
    assert_eq!(world.file(address(), PATH).unwrap(), bytes);
}

#[test]
fn full_disk_fails_the_change_and_storage_goes_on_when_there_is_room_again() {
    let mut world = World::new(5);
    let (node, storage) = start(&mut world);
    let kept = put(&mut world, &storage, "x", "one");
    world.fail_disk(address(), Some(ErrorKind::StorageFull));
    for _ in 0..2 {
        let failed = wait(&mut world, storage.store(kept.change("two", node.uuid())));
        assert!(matches!(failed, Err(StorageError::Disk(_))), "{failed:?}");
    }
    world.fail_disk(address(), None);
    assert_eq!(wait(&mut world, storage.fetch("x")).unwrap(), kept);
    put(&mut world, &storage, "x", "three");
}

#[test]
fn storage_that_has_ended_says_so() {
    let mut world = World::new(6);
    let (_, storage) = start(&mut world);
    world.crash(address());
    assert!(matches!(block_on(storage.fetch("x")), Err(StorageError::Ended)));
}
