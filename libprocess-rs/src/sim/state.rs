//! The world's state behind one lock. The lock is never held while processes, futures or timers
//! run or are dropped: these call back.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxBuildHasher;

use super::chart::Chart;
use super::disk::Store;
use super::executor::Task;
use super::net::Net;
use super::programs::Programs;
use super::queue::{Entry, LifeId, Queue};
use super::slots::{Lives, Timers};
use super::trace::{Detail, Trace};
use crate::driver::Run;
use crate::{Node, Time};

/// When every world starts: 2015-01-01 00:00:00 UTC.
pub const START: Time = Time::from_nanos(1_420_070_400_000_000_000);

/// How long a disk operation takes.
const DISK_LATENCY: (Duration, Duration) = (Duration::from_micros(50), Duration::from_micros(500));

/// Looked up at each event; never iterated where the order could be seen.
pub(super) type Map<K, V> = IndexMap<K, V, FxBuildHasher>;

/// One life of a node with all that dies with it.
pub(super) struct Life {
    pub(super) address: SocketAddrV4,
    pub(super) node: Node,
    /// By slot; None while a process runs, and where one has ended.
    pub(super) hosted: Vec<Option<Box<dyn Run>>>,
    pub(super) tasks: Map<u64, Task>,
    pub(super) timers: Timers,
    pub(super) store: Store,
    /// When the disk is done with what it was asked so far.
    pub(super) disk_busy_until: Time,
    /// Set while frozen: what happened meanwhile.
    pub(super) parked: Option<Vec<Entry>>,
    /// The program that this node is, if a node started it.
    pub(super) program: Option<u32>,
}

pub(super) struct State {
    pub(super) now: Time,
    pub(super) queue: Queue,
    /// Draws of the network and the disks.
    pub(super) rng: ChaCha8Rng,
    /// Seeds of processes; apart, so that faults do not change them.
    pub(super) seeds: ChaCha8Rng,
    pub(super) trace: Trace,
    pub(super) lives: Lives,
    pub(super) current: Map<SocketAddrV4, LifeId>,
    /// Clock skew in nanoseconds.
    pub(super) skews: BTreeMap<SocketAddrV4, i64>,
    pub(super) net: Net,
    pub(super) programs: Programs,
    pub(super) panics: Vec<String>,
    /// Messages and marks for a chart, while somebody wants one.
    pub(super) chart: Option<Chart>,
    last_id: u64,
    /// The world is gone: nothing more happens.
    pub(super) ended: bool,
}

/// The state, shared by the world and its nodes' drivers.
pub(super) struct Shared {
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(seed: u64, print: bool) -> Self {
        let stream = |number: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(number);
            rng
        };
        let mut state = State {
            now: START,
            queue: Queue::default(),
            rng: stream(1),
            seeds: stream(2),
            trace: Trace::new(print),
            lives: Lives::default(),
            current: Map::default(),
            skews: BTreeMap::new(),
            net: Net::default(),
            programs: Programs::default(),
            panics: Vec::new(),
            chart: None,
            last_id: 0,
            ended: false,
        };
        state.trace.note(START, None, "seed", &Detail::Number(seed));
        Self { state: Mutex::new(state) }
    }

    /// Runs `work` under the lock. A panic inside cannot leave more than the trace half-written,
    /// so poison is ignored.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn push(&mut self, at: Time, entry: Entry) {
        if !self.ended {
            self.queue.push(at.max(self.now), entry);
        }
    }

    pub(super) fn push_now(&mut self, entry: Entry) {
        self.push(self.now, entry);
    }

    /// A uniform draw between two durations.
    pub(super) fn draw(&mut self, (low, high): (Duration, Duration)) -> Duration {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.random_range(nanos(low)..=nanos(high)))
    }

    /// The time as the node of a life tells it.
    pub(super) fn time_of(&self, life: LifeId) -> Time {
        if self.skews.is_empty() {
            return self.now;
        }
        let address = self.address_of(life);
        let skew = address.and_then(|address| self.skews.get(&address)).copied().unwrap_or(0);
        Time::from_nanos(self.now.as_nanos().saturating_add_signed(skew))
    }

    /// When the next operation on a node's disk completes: after those before it.
    pub(super) fn disk_time(&mut self, life: LifeId) -> Time {
        let latency = self.draw(DISK_LATENCY);
        let now = self.now;
        match self.lives.get_mut(life) {
            Some(alive) => {
                alive.disk_busy_until = alive.disk_busy_until.max(now) + latency;
                alive.disk_busy_until
            }
            None => now + latency,
        }
    }

    pub(super) fn address_of(&self, life: LifeId) -> Option<SocketAddrV4> {
        self.lives.get(life).map(|life| life.address)
    }

    pub(super) fn life_at(&self, address: SocketAddrV4) -> Option<LifeId> {
        self.current.get(&address).copied()
    }

    pub(super) fn note(&mut self, at: &SocketAddrV4, kind: &'static str, detail: &Detail<'_>) {
        self.trace.note(self.now, Some(*at), kind, detail);
    }

    /// Notes on the chart that something happened to a node.
    pub(super) fn mark(&mut self, at: SocketAddrV4, kind: &'static str) {
        let now = self.now;
        if let Some(chart) = &mut self.chart {
            chart.mark(now, at, kind);
        }
    }

    /// Sets an entry aside when it happens to a frozen node.
    pub(super) fn park(&mut self, entry: Entry) -> Option<Entry> {
        let parked = entry
            .life()
            .and_then(|life| self.lives.get_mut(life))
            .and_then(|life| life.parked.as_mut());
        match parked {
            Some(parked) => {
                parked.push(entry);
                None
            }
            None => Some(entry),
        }
    }

    /// Ends a life. What it held is returned, to be dropped outside the lock.
    #[must_use]
    pub(super) fn end(&mut self, id: LifeId, kind: &'static str) -> Option<Box<Life>> {
        let life = self.lives.remove(id)?;
        self.current.swap_remove(&life.address);
        self.note(&life.address, kind, &Detail::Nothing);
        self.mark(life.address, kind);
        self.break_connections(id);
        Some(life)
    }
}
