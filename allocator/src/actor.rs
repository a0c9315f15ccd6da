//! The doing half: an actor that runs the hierarchy on events and on an interval.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libprocess::{Ctx, Handle, Node, Process, Routes, SpawnError, Time};
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;
use rand::seq::SliceRandom;

use crate::hierarchy::Hierarchy;
use crate::{Allocator, FrameworkSpec, OfferCallback, SlaveSpec};

/// How the allocator works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time between runs over all slaves (flag `allocation_interval`, 1 s).
    pub allocation_interval: Duration,
    /// Weights of roles that differ from 1.
    pub weights: BTreeMap<String, f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self { allocation_interval: Duration::from_secs(1), weights: BTreeMap::new() }
    }
}

/// Slaves that the next run looks at.
#[derive(Debug)]
enum Candidates {
    All,
    Some(BTreeSet<SlaveId>),
}

/// The process `allocator`.
pub struct AllocatorProcess {
    hierarchy: Hierarchy,
    interval: Duration,
    offers: OfferCallback,
    /// Set while a run is queued: events until then share it.
    pending: Option<Candidates>,
    runs: u64,
}

impl Process for AllocatorProcess {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let (handle, node) = (cx.handle(), cx.node().clone());
        let metrics = node.metrics();
        metrics.gauge("allocator/mesos/allocation_runs", &handle, |a| a.runs as f64);
        for resource in ["cpus", "mem", "disk"] {
            register_resource(metrics, &handle, resource);
        }
        cx.after(self.interval, Self::tick);
    }
}

type Value = fn(&AllocatorProcess) -> f64;

fn register_resource(
    metrics: &libprocess::metrics::Metrics,
    handle: &Handle<AllocatorProcess>,
    resource: &str,
) {
    let prefix = format!("allocator/mesos/resources/{resource}");
    let (total, allocated): (Value, Value) = match resource {
        "cpus" => (|a| a.hierarchy.scalar("cpus").0, |a| a.hierarchy.scalar("cpus").1),
        "mem" => (|a| a.hierarchy.scalar("mem").0, |a| a.hierarchy.scalar("mem").1),
        _ => (|a| a.hierarchy.scalar("disk").0, |a| a.hierarchy.scalar("disk").1),
    };
    metrics.gauge(&format!("{prefix}/total"), handle, total);
    metrics.gauge(&format!("{prefix}/offered_or_allocated"), handle, allocated);
}

impl AllocatorProcess {
    fn tick(&mut self, cx: &mut Ctx<Self>) {
        self.look_at_all(cx);
        cx.after(self.interval, Self::tick);
    }

    fn look_at(&mut self, slave: SlaveId, cx: &mut Ctx<Self>) {
        match &mut self.pending {
            Some(Candidates::All) => {}
            Some(Candidates::Some(slaves)) => {
                slaves.insert(slave);
            }
            None => {
                self.pending = Some(Candidates::Some(BTreeSet::from([slave])));
                cx.later(Self::run);
            }
        }
    }

    fn look_at_all(&mut self, cx: &mut Ctx<Self>) {
        if self.pending.replace(Candidates::All).is_none() {
            cx.later(Self::run);
        }
    }

    fn run(&mut self, cx: &mut Ctx<Self>) {
        let mut slaves = match self.pending.take() {
            None => return,
            Some(Candidates::All) => self.hierarchy.slave_ids(),
            Some(Candidates::Some(slaves)) => slaves.into_iter().collect(),
        };
        slaves.shuffle(cx.rng());
        self.runs += 1;
        for (framework, allocation) in self.hierarchy.allocate(&slaves, cx.now()) {
            (self.offers)(framework, allocation);
        }
    }
}

/// The default allocator.
#[derive(Clone)]
pub struct HierarchicalAllocator {
    handle: Handle<AllocatorProcess>,
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
        let interval = config.allocation_interval;
        let hierarchy = Hierarchy::new(interval, config.weights);
        let process = AllocatorProcess { hierarchy, interval, offers, pending: None, runs: 0 };
        Ok(Arc::new(Self { handle: node.spawn("allocator", process)? }))
    }

    /// Changes the hierarchy, then looks at all slaves.
    fn change(&self, change: impl FnOnce(&mut Hierarchy, Time) + Send + 'static) {
        self.handle.tell(move |process, cx| {
            change(&mut process.hierarchy, cx.now());
            process.look_at_all(cx);
        });
    }

    /// Changes the hierarchy, then looks at one slave.
    fn change_slave(
        &self,
        slave: SlaveId,
        change: impl FnOnce(&mut Hierarchy, &SlaveId, Time) + Send + 'static,
    ) {
        self.handle.tell(move |process, cx| {
            change(&mut process.hierarchy, &slave, cx.now());
            process.look_at(slave, cx);
        });
    }
}

impl Allocator for HierarchicalAllocator {
    fn add_framework(
        &self,
        id: FrameworkId,
        spec: FrameworkSpec,
        active: bool,
        used: BTreeMap<SlaveId, Resources>,
    ) {
        self.change(move |hierarchy, _| hierarchy.add_framework(id, spec, active, used));
    }

    fn update_framework(&self, id: FrameworkId, spec: FrameworkSpec) {
        self.change(move |hierarchy, _| hierarchy.update_framework(&id, spec));
    }

    fn remove_framework(&self, id: FrameworkId) {
        self.change(move |hierarchy, _| hierarchy.remove_framework(&id));
    }

    fn activate_framework(&self, id: FrameworkId) {
        self.change(move |hierarchy, _| hierarchy.set_framework_active(&id, true));
    }

    fn deactivate_framework(&self, id: FrameworkId) {
        self.change(move |hierarchy, _| hierarchy.set_framework_active(&id, false));
    }

    fn add_slave(
        &self,
        id: SlaveId,
        spec: SlaveSpec,
        total: Resources,
        used: BTreeMap<FrameworkId, Resources>,
    ) {
        self.change_slave(id, move |hierarchy, id, _| {
            hierarchy.add_slave(id.clone(), spec, total, used);
        });
    }

    fn update_slave(&self, id: SlaveId, total: Resources) {
        self.change_slave(id, move |hierarchy, id, _| hierarchy.update_slave(id, total));
    }

    fn remove_slave(&self, id: SlaveId) {
        self.change_slave(id, |hierarchy, id, _| hierarchy.remove_slave(id));
    }

    fn activate_slave(&self, id: SlaveId) {
        self.change_slave(id, |hierarchy, id, _| hierarchy.set_slave_active(id, true));
    }

    fn deactivate_slave(&self, id: SlaveId) {
        self.change_slave(id, |hierarchy, id, _| hierarchy.set_slave_active(id, false));
    }

    fn recover_resources(
        &self,
        framework: FrameworkId,
        slave: SlaveId,
        resources: Resources,
        refuse_for: Option<Duration>,
    ) {
        self.change_slave(slave, move |hierarchy, slave, now| {
            hierarchy.recover(&framework, slave, &resources, refuse_for, now);
        });
    }

    fn suppress_offers(&self, framework: FrameworkId, roles: BTreeSet<String>) {
        self.handle.tell(move |process, _| process.hierarchy.suppress(&framework, &roles));
    }

    fn revive_offers(&self, framework: FrameworkId, roles: BTreeSet<String>) {
        self.change(move |hierarchy, _| hierarchy.revive(&framework, &roles));
    }

    fn update_weights(&self, weights: Vec<(String, f64)>) {
        self.change(move |hierarchy, _| hierarchy.update_weights(weights));
    }

    fn update_whitelist(&self, hostnames: Option<BTreeSet<String>>) {
        self.change(move |hierarchy, _| hierarchy.update_whitelist(hostnames));
    }
}
