//! The doing half: an actor that runs the hierarchy on events and on an interval.

mod calls;
mod endpoints;
mod figures;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libprocess::{Ctx, Handle, Node, Process, Routes, SpawnError, Time};
use protos::ids::SlaveId;
use rand::Rng;

use crate::hierarchy::Hierarchy;
use crate::{Allocator, Callbacks, OfferCallback};
use figures::Figures;

pub use crate::config::Config;

/// Slaves that the next run looks at.
#[derive(Debug)]
enum Candidates {
    Periodic,
    All,
    Some(BTreeSet<SlaveId>),
}

/// The process `allocator`.
pub struct AllocatorProcess {
    hierarchy: Hierarchy,
    config: Config,
    to: Callbacks,
    /// Set while a run is queued, with the time when it was first wanted: events until then share it.
    pending: Option<(Candidates, Time)>,
    figures: Figures,
}

impl Process for AllocatorProcess {
    fn routes(routes: &mut Routes<Self>) {
        endpoints::routes(routes);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.hierarchy.seed(cx.rng().random());
        let (handle, node) = (cx.handle(), cx.node().clone());
        figures::register(node.metrics(), &handle);
        cx.after(self.config.allocation_interval, Self::tick);
    }
}

impl AllocatorProcess {
    fn tick(&mut self, cx: &mut Ctx<Self>) {
        self.figures.due = true;
        self.look_at_all(Candidates::Periodic, cx);
        cx.after(self.config.allocation_interval, Self::tick);
    }

    fn look_at(&mut self, slave: SlaveId, cx: &mut Ctx<Self>) {
        match &mut self.pending {
            Some((Candidates::Periodic | Candidates::All, _)) => {}
            Some((Candidates::Some(slaves), _)) => {
                slaves.insert(slave);
            }
            None => {
                self.pending = Some((Candidates::Some(BTreeSet::from([slave])), cx.now()));
                cx.later(Self::run);
            }
        }
    }

    fn look_at_all(&mut self, why: Candidates, cx: &mut Ctx<Self>) {
        match &mut self.pending {
            Some((Candidates::Periodic, _)) => {}
            Some((candidates, _)) => *candidates = why,
            None => {
                self.pending = Some((why, cx.now()));
                cx.later(Self::run);
            }
        }
    }

    fn run(&mut self, cx: &mut Ctx<Self>) {
        let Some((candidates, wanted)) = self.pending.take() else { return };
        // The node's clock goes on within an event, other than the context's.
        let started = cx.node().now();
        let given = match candidates {
            Candidates::Periodic => self.hierarchy.allocate_all(cx.now()),
            Candidates::All => self.hierarchy.allocate_between(cx.now()),
            Candidates::Some(slaves) => self.hierarchy.allocate_some(slaves, cx.now()),
        };
        let asked = self.hierarchy.inverse_offers(cx.now());
        let ended = cx.node().now();
        self.figures.ran(started.since(wanted), ended.since(started));
        slog::trace!(cx.log(), "allocation cycle"; "number" => self.hierarchy.cycles(),
            "frameworks_with_offers" => given.len(), "frameworks_asked_to_leave" => asked.len());
        for (framework, allocation) in given {
            (self.to.offers)(framework, allocation);
        }
        for (framework, slaves) in asked {
            (self.to.inverse_offers)(framework, slaves);
        }
        self.figures.publish(cx.node().metrics(), &self.hierarchy, &self.config);
    }
}

/// The default allocator.
#[derive(Clone)]
pub struct HierarchicalAllocator {
    handle: Handle<AllocatorProcess>,
    /// Calls that wait for the process.
    queued: Arc<AtomicU64>,
}

impl HierarchicalAllocator {
    /// Starts the process `allocator` on a node; `offers` is called with each allocation.
    ///
    /// # Errors
    /// When the node has a process of that name.
    pub fn start(
        node: &Node,
        config: Config,
        offers: OfferCallback,
    ) -> Result<Arc<dyn Allocator>, SpawnError> {
        Self::start_with(node, config, offers.into())
    }

    /// As [`HierarchicalAllocator::start`], with inverse offers, too.
    ///
    /// # Errors
    /// When the node has a process of that name.
    pub fn start_with(
        node: &Node,
        config: Config,
        to: Callbacks,
    ) -> Result<Arc<dyn Allocator>, SpawnError> {
        let hierarchy = Hierarchy::new(config.clone());
        let figures = Figures::new(node.metrics());
        let process = AllocatorProcess { hierarchy, config, to, pending: None, figures };
        let queued = Arc::new(AtomicU64::new(0));
        for name in ["allocator/event_queue_dispatches", "allocator/mesos/event_queue_dispatches"] {
            let queued = queued.clone();
            node.metrics().gauge_fn(name, move || queued.load(Ordering::Relaxed) as f64);
        }
        Ok(Arc::new(Self { handle: node.spawn("allocator", process)?, queued }))
    }

    fn tell(
        &self,
        call: impl FnOnce(&mut AllocatorProcess, &mut Ctx<AllocatorProcess>) + Send + 'static,
    ) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        let queued = self.queued.clone();
        self.handle.tell(move |process, cx| {
            queued.fetch_sub(1, Ordering::Relaxed);
            call(process, cx);
        });
    }

    /// Changes the hierarchy, then looks at all slaves.
    fn change(&self, change: impl FnOnce(&mut Hierarchy, Time) + Send + 'static) {
        self.tell(move |process, cx| {
            change(&mut process.hierarchy, cx.now());
            process.look_at_all(Candidates::All, cx);
        });
    }

    /// As [`HierarchicalAllocator::change`], with new figures at once.
    fn change_roles(&self, change: impl FnOnce(&mut Hierarchy) + Send + 'static) {
        self.tell(move |process, cx| {
            change(&mut process.hierarchy);
            process.figures.due = true;
            process.look_at_all(Candidates::All, cx);
        });
    }

    /// Changes the hierarchy, then looks at one slave.
    fn change_slave(
        &self,
        slave: SlaveId,
        change: impl FnOnce(&mut Hierarchy, &SlaveId, Time) + Send + 'static,
    ) {
        self.tell(move |process, cx| {
            change(&mut process.hierarchy, &slave, cx.now());
            process.look_at(slave, cx);
        });
    }
}
