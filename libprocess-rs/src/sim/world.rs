//! The simulated world: nodes, faults and the passing of virtual time, in the hands of a test.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::chart::Chart;
use super::disk::{Extent, Store, torn};
use super::driver::SimDriver;
use super::programs::SpawnedProgram;
use super::queue::LifeId;
use super::rules::{Rule, RuleId};
use super::slots::Timers;
use super::state::{Life, Map, Shared};
use super::trace::Detail;
use crate::{Node, NodeConfig, Pid, Time};

/// Something that has a node's address.
pub trait At {
    /// The address.
    fn at(&self) -> SocketAddrV4;
}

impl At for SocketAddrV4 {
    fn at(&self) -> SocketAddrV4 {
        *self
    }
}

impl At for Node {
    fn at(&self) -> SocketAddrV4 {
        self.address()
    }
}

impl At for Pid {
    fn at(&self) -> SocketAddrV4 {
        self.address()
    }
}

impl<T: At> At for &T {
    fn at(&self) -> SocketAddrV4 {
        (*self).at()
    }
}

type Start = Rc<dyn Fn(&Node)>;
type Factory = Rc<dyn Fn(SpawnedProgram)>;

/// What the world knows of a node beyond its lives.
struct Place {
    config: NodeConfig,
    store: Store,
    start: Option<Start>,
}

/// Virtual time, simulated nodes, and what happens between them. Everything happens on the thread
/// that steps the world, in an order that depends on the seed alone.
pub struct World {
    pub(super) seed: u64,
    rng: ChaCha8Rng,
    pub(super) shared: Arc<Shared>,
    places: BTreeMap<SocketAddrV4, Place>,
    pub(super) programs: BTreeMap<String, Factory>,
    pub(super) ports: BTreeMap<Ipv4Addr, u16>,
}

impl World {
    /// A world without nodes, at [`super::START`]. With `SIM_TRACE` set in the environment it
    /// prints each event to standard error.
    pub fn new(seed: u64) -> Self {
        let print = std::env::var_os("SIM_TRACE").is_some_and(|value| value != "0");
        Self {
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            shared: Arc::new(Shared::new(seed, print)),
            places: BTreeMap::new(),
            programs: BTreeMap::new(),
            ports: BTreeMap::new(),
        }
    }

    /// What all randomness comes from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A generator for the test's own draws; independent of the network's and the processes'.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// Virtual time.
    pub fn now(&self) -> Time {
        self.shared.with(|state| state.now)
    }

    /// Starts a node. One that lives at the address crashes first; its disk stays.
    pub fn node(&mut self, address: SocketAddrV4, config: NodeConfig) -> Node {
        self.crash(address);
        let place = self.places.entry(address).or_insert_with(|| Place {
            config: config.clone(),
            store: Store::default(),
            start: None,
        });
        place.config = config.clone();
        let store = place.store.clone();
        self.live(address, config, store).1
    }

    /// Makes a new life at a free address.
    pub(super) fn live(
        &mut self,
        address: SocketAddrV4,
        config: NodeConfig,
        store: Store,
    ) -> (LifeId, Node) {
        let node = Node::new(address, config);
        let life = Life {
            address,
            node: node.clone(),
            hosted: Vec::new(),
            tasks: Map::default(),
            timers: Timers::default(),
            store: store.clone(),
            disk_busy_until: Time::EPOCH,
            parked: None,
            program: None,
        };
        let id = self.shared.with(|state| {
            let id = state.lives.insert(life);
            state.current.insert(address, id);
            state.note(&address, "start", &Detail::Nothing);
            state.mark(address, "start");
            id
        });
        node.start(Arc::new(SimDriver { shared: self.shared.clone(), life: id, store }));
        (id, node)
    }

    /// Calls `start` on the node now, and on each later life that [`World::restart`] gives it.
    pub fn on_start(&mut self, node: &Node, start: impl Fn(&Node) + 'static) {
        let start: Start = Rc::new(start);
        if let Some(place) = self.places.get_mut(&node.address()) {
            place.start = Some(start.clone());
        }
        start(node);
    }

    /// The node that lives at an address.
    pub fn living(&self, at: impl At) -> Option<Node> {
        self.shared.with(|state| {
            let life = state.life_at(at.at())?;
            Some(state.lives.get(life)?.node.clone())
        })
    }

    /// Ends a node at once: processes, futures, timers and unfinished disk operations are gone,
    /// connections to it break. No effect on a dead one.
    pub fn crash(&mut self, at: impl At) {
        if let Some(life) = self.shared.with(|state| state.life_at(at.at())) {
            self.end_life(life, "crash");
        }
    }

    /// As [`World::crash`], with disk operations under way: some of the oldest are done all the
    /// same, and appends that were under way together may be there for some files only, the last of
    /// a file in part. How many is drawn from the seed.
    pub fn crash_torn(&mut self, at: impl At) {
        let address = at.at();
        let (jobs, now) = self.shared.with(|state| {
            let life = state.life_at(address);
            let jobs = life.map(|life| state.queue.take_disk_jobs(life)).unwrap_or_default();
            let jobs = torn(jobs, &mut state.rng);
            let done = jobs.iter().filter(|(_, extent)| extent.is_some()).count();
            let text = format_args!("{done} of {}", jobs.len());
            state.note(&address, "torn", &Detail::Text(text));
            (jobs, state.now)
        });
        let store = self.store(address);
        self.crash(address);
        for (job, extent) in jobs {
            if let Some(extent) = extent {
                job.run(now, extent);
            }
        }
        if let Some(store) = store {
            store.lock().extent = Extent::All;
        }
    }

    /// Gives a node a new life over its disk, after a crash if it still lives, and calls what
    /// [`World::on_start`] left for it. None when there never was a node.
    pub fn restart(&mut self, at: impl At) -> Option<Node> {
        let address = at.at();
        let place = self.places.get(&address)?;
        let (config, start) = (place.config.clone(), place.start.clone());
        let node = self.node(address, config);
        if let Some(start) = start {
            start(&node);
        }
        Some(node)
    }

    /// Stops a node without ending it, as SIGSTOP does: what happens to it waits.
    pub fn freeze(&mut self, at: impl At) {
        let address = at.at();
        self.shared.with(|state| {
            let life = state.life_at(address);
            if let Some(life) = life.and_then(|life| state.lives.get_mut(life)) {
                life.parked.get_or_insert_default();
                state.note(&address, "freeze", &Detail::Nothing);
                state.mark(address, "freeze");
            }
        });
    }

    /// Lets a frozen node go on with what has happened meanwhile.
    pub fn thaw(&mut self, at: impl At) {
        let address = at.at();
        self.shared.with(|state| {
            let life = state.life_at(address);
            let parked = life.and_then(|life| state.lives.get_mut(life)?.parked.take());
            if let Some(parked) = parked {
                state.note(&address, "thaw", &Detail::Nothing);
                state.mark(address, "thaw");
                for entry in parked {
                    state.push_now(entry);
                }
            }
        });
    }

    /// Sets a node's clock off from the world's by `nanos` (negative: behind).
    pub fn skew(&mut self, at: impl At, nanos: i64) {
        self.shared.with(|state| state.skews.insert(at.at(), nanos));
    }

    /// Puts a fault in force.
    pub fn add_rule(&mut self, rule: impl Rule + 'static) -> RuleId {
        self.shared.with(|state| state.net.rules.add(Box::new(rule)))
    }

    /// Ends a fault; messages it has delayed stay delayed.
    pub fn remove_rule(&mut self, rule: RuleId) {
        self.shared.with(|state| state.net.rules.remove(rule));
    }

    /// Ends all faults.
    pub fn clear_rules(&mut self) {
        self.shared.with(|state| state.net.rules.clear());
    }

    /// Breaks the connections between two nodes, so that links over them exit.
    pub fn reset_connections(&mut self, a: impl At, b: impl At) {
        self.shared.with(|state| state.reset(a.at(), b.at()));
    }

    /// Says what stands in for a program, by the last component of its path. A program that
    /// nothing stands in for cannot be started (not found).
    pub fn program(&mut self, name: &str, factory: impl Fn(SpawnedProgram) + 'static) {
        self.programs.insert(name.to_owned(), Rc::new(factory));
    }

    /// Process ids of the programs that run.
    pub fn running_programs(&self) -> Vec<u32> {
        self.shared.with(|state| state.programs.by_pid.keys().copied().collect())
    }

    /// A file of a node's host, read without taking time.
    pub fn file(&self, at: impl At, path: impl AsRef<Path>) -> Option<Bytes> {
        self.store(at.at())?.lock().read(path.as_ref()).ok()
    }

    /// Writes a file of a node's host without taking time; false when it cannot be written.
    pub fn put_file(&mut self, at: impl At, path: impl AsRef<Path>, bytes: &[u8]) -> bool {
        self.store(at.at()).is_some_and(|store| store.lock().write(path.as_ref(), bytes).is_ok())
    }

    /// Makes all operations on a node's disk fail with an error, or work again (None).
    pub fn fail_disk(&mut self, at: impl At, fault: Option<std::io::ErrorKind>) {
        if let Some(store) = self.store(at.at()) {
            store.lock().fault = fault;
        }
    }

    fn store(&self, address: SocketAddrV4) -> Option<Store> {
        let place = self.places.get(&address).map(|place| place.store.clone());
        place.or_else(|| {
            self.shared.with(|state| {
                let life = state.life_at(address)?;
                Some(state.lives.get(life)?.store.clone())
            })
        })
    }

    /// A hash over all that has happened so far: equal for equal runs.
    pub fn trace_hash(&self) -> u64 {
        self.shared.with(|state| state.trace.hash())
    }

    /// How many events have happened so far.
    pub fn events(&self) -> usize {
        self.shared.with(|state| state.trace.events())
    }

    /// Keeps the trace's lines from now on.
    pub fn keep_trace(&mut self) {
        self.shared.with(|state| state.trace.keep());
    }

    /// The lines kept since [`World::keep_trace`]: time, node, kind, details.
    pub fn trace(&self) -> Vec<String> {
        self.shared.with(|state| state.trace.lines().to_vec())
    }

    /// Collects messages between nodes and what happens to nodes for a chart, from now on.
    pub fn keep_chart(&mut self) {
        self.shared.with(|state| {
            state.chart.get_or_insert_default();
        });
    }

    /// What was collected since [`World::keep_chart`].
    pub fn chart(&self) -> Chart {
        self.shared.with(|state| state.chart.clone().unwrap_or_default())
    }

    /// The addresses of all nodes that the world ever had, sorted.
    pub fn addresses(&self) -> Vec<SocketAddrV4> {
        self.places.keys().copied().collect()
    }

    /// The processes that ended by a panic, in order.
    pub fn panics(&self) -> Vec<String> {
        self.shared.with(|state| state.panics.clone())
    }
}

impl Drop for World {
    /// Nodes and what they host refer to each other; the world's end lets go of all of it.
    fn drop(&mut self) {
        let (entries, lives) = self.shared.with(|state| {
            state.ended = true;
            state.current.clear();
            (state.queue.drain(), std::mem::take(&mut state.lives))
        });
        drop((entries, lives));
        let programs = self.shared.with(|state| std::mem::take(&mut state.programs.by_pid));
        drop(programs);
    }
}
