//! An allocator of a different kind: strict priority with back-filling.
//!
//! Roles are served by weight, the heaviest first; within a role, who holds fewer CPUs comes first. A
//! framework that asked for more than any slave has free (`request_resources`) waits for the slave that
//! could hold it and has most free now: nobody else is given that one. Others fill the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use allocator::catalogue::Factory;
use allocator::{Allocation, Allocator, Callbacks, Config, FrameworkSpec, SlaveSpec};
use libprocess::{Ctx, Handle, Process, Routes, Time};
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

type Used<K> = BTreeMap<K, Resources>;

/// The factory: `Catalogue::default().with("priority", priority::factory())`.
pub fn factory() -> Factory {
    Arc::new(|node, config: Config, to| {
        let (frameworks, slaves, refusals) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let (whitelist, queued) = (None, false);
        let process = Priority { config, to, frameworks, slaves, refusals, whitelist, queued };
        let handle = node.spawn("allocator", process)?;
        Ok(Arc::new(PriorityAllocator(handle)) as Arc<dyn Allocator>)
    })
}

#[derive(Default)]
struct Framework {
    spec: FrameworkSpec,
    active: bool,
    /// What it asked for and was not given yet.
    wanted: Resources,
}

struct Slave {
    spec: SlaveSpec,
    total: Resources,
    /// Allocated to roles.
    held: Used<FrameworkId>,
    active: bool,
}

impl Slave {
    fn free(&self) -> Resources {
        self.total.minus(&self.held.values().map(Resources::unallocated).sum())
    }
}

/// Who refused what of which slave, until when; allocated to a role.
type Refusal = (FrameworkId, SlaveId, Resources, Time);

struct Priority {
    config: Config,
    to: Callbacks,
    frameworks: BTreeMap<FrameworkId, Framework>,
    slaves: BTreeMap<SlaveId, Slave>,
    refusals: Vec<Refusal>,
    whitelist: Option<BTreeSet<String>>,
    queued: bool,
}

impl Process for Priority {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.after(self.config.allocation_interval, Self::tick);
    }
}

impl Priority {
    fn tick(&mut self, cx: &mut Ctx<Self>) {
        self.run(cx);
        cx.after(self.config.allocation_interval, Self::tick);
    }

    fn run(&mut self, cx: &mut Ctx<Self>) {
        self.queued = false;
        let given = self.cycle(cx.now());
        given
            .into_iter()
            .for_each(|(framework, allocation)| (self.to.offers)(framework, allocation));
    }

    /// Frameworks that take part with their roles, who comes first.
    fn order(&self) -> Vec<(FrameworkId, String)> {
        let cpus = |id: &FrameworkId| -> f64 {
            self.slaves.values().filter_map(|slave| slave.held.get(id)).map(Resources::cpus).sum()
        };
        let weight = |role: &str| self.config.weights.get(role).copied().unwrap_or(1.0);
        let mut order = Vec::new();
        for (id, framework) in self.frameworks.iter().filter(|(_, framework)| framework.active) {
            let roles = framework.spec.roles.difference(&framework.spec.suppressed_roles);
            order.extend(roles.map(|role| (-weight(role), cpus(id), id.clone(), role.clone())));
        }
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        order.into_iter().map(|(_, _, id, role)| (id, role)).collect()
    }

    /// The first framework that waits for more than any slave has free, and the slave kept for it.
    fn kept(&self, order: &[(FrameworkId, String)]) -> Option<(FrameworkId, SlaveId)> {
        let waits = |id: &FrameworkId| {
            let wanted = &self.frameworks[id].wanted;
            let fits = |slave: &Slave| slave.free().find(wanted).is_some();
            !wanted.is_empty() && !self.slaves.values().any(fits)
        };
        let id = order.iter().map(|(id, _)| id).find(|id| waits(id))?;
        let wanted = &self.frameworks[id].wanted;
        let could = self.slaves.iter().filter(|(_, slave)| slave.total.find(wanted).is_some());
        let best = could.max_by(|a, b| a.1.free().cpus().total_cmp(&b.1.free().cpus()))?;
        Some((id.clone(), best.0.clone()))
    }

    fn cycle(&mut self, now: Time) -> BTreeMap<FrameworkId, Allocation> {
        self.refusals.retain(|(_, _, _, until)| now < *until);
        let order = self.order();
        let kept = self.kept(&order);
        let mut given: BTreeMap<FrameworkId, Allocation> = BTreeMap::new();
        for id in self.slaves.keys().cloned().collect::<Vec<_>>() {
            for (framework, role) in &order {
                if kept.as_ref().is_some_and(|(by, kept)| *kept == id && by != framework) {
                    continue;
                }
                let Some(offer) = self.offer(framework, role, &id) else { continue };
                self.hold(framework.clone(), &id, &offer);
                let by_slave = given.entry(framework.clone()).or_default().entry(role.clone());
                by_slave.or_default().insert(id.clone(), offer);
            }
        }
        given
    }

    fn offer(&self, framework: &FrameworkId, role: &str, id: &SlaveId) -> Option<Resources> {
        let slave = self.slaves.get(id).filter(|slave| slave.active)?;
        let listed = |hosts: &BTreeSet<String>| hosts.contains(&slave.spec.hostname);
        let offer = slave.free().available_to(role).non_revocable().allocated_to(role);
        let refused = self.refusals.iter().any(|(by, of, resources, _)| {
            (by, of) == (framework, id) && resources.contains(&offer)
        });
        let worth = offer.cpus() >= 0.01 || offer.mem() >= 32.0;
        (worth && !refused && self.whitelist.as_ref().is_none_or(listed)).then_some(offer)
    }

    fn hold(&mut self, id: FrameworkId, slave: &SlaveId, resources: &Resources) {
        if let Some(slave) = self.slaves.get_mut(slave) {
            *slave.held.entry(id).or_default() += resources;
        }
    }

    fn release(&mut self, id: &FrameworkId, slave: &SlaveId, resources: &Resources) {
        if let Some(held) = self.slaves.get_mut(slave).and_then(|slave| slave.held.get_mut(id)) {
            *held = held.minus(resources);
        }
    }
}

/// The contract: every call becomes an event of the process, and a cycle follows.
struct PriorityAllocator(Handle<Priority>);

impl PriorityAllocator {
    fn change(&self, change: impl FnOnce(&mut Priority) + Send + 'static) {
        self.0.tell(move |process, cx| {
            change(process);
            if !std::mem::replace(&mut process.queued, true) {
                cx.later(Priority::run);
            }
        });
    }

    fn framework(&self, id: FrameworkId, change: impl FnOnce(&mut Framework) + Send + 'static) {
        self.change(move |all| all.frameworks.get_mut(&id).map(change).unwrap_or_default());
    }

    fn slave(&self, id: SlaveId, change: impl FnOnce(&mut Slave) + Send + 'static) {
        self.change(move |process| process.slaves.get_mut(&id).map(change).unwrap_or_default());
    }
}

impl Allocator for PriorityAllocator {
    fn add_framework(&self, id: FrameworkId, spec: FrameworkSpec, active: bool, on: Used<SlaveId>) {
        self.change(move |process| {
            let framework = Framework { spec, active, ..Framework::default() };
            process.frameworks.insert(id.clone(), framework);
            on.iter().for_each(|(slave, resources)| process.hold(id.clone(), slave, resources));
        });
    }

    fn update_framework(&self, id: FrameworkId, spec: FrameworkSpec) {
        self.framework(id, move |framework| framework.spec = spec);
    }

    fn remove_framework(&self, id: FrameworkId) {
        self.change(move |process| {
            process.frameworks.remove(&id);
            process.refusals.retain(|(by, ..)| *by != id);
            process.slaves.values_mut().for_each(|slave| drop(slave.held.remove(&id)));
        });
    }

    fn activate_framework(&self, id: FrameworkId) {
        self.framework(id, |framework| framework.active = true);
    }

    fn deactivate_framework(&self, id: FrameworkId) {
        self.framework(id, |framework| framework.active = false);
    }

    fn add_slave(&self, id: SlaveId, spec: SlaveSpec, total: Resources, held: Used<FrameworkId>) {
        self.change(move |process| {
            process.slaves.insert(id, Slave { spec, total, held, active: true });
        });
    }

    fn update_slave(&self, id: SlaveId, total: Resources) {
        self.slave(id, move |slave| slave.total = total);
    }

    fn remove_slave(&self, id: SlaveId) {
        self.change(move |process| drop(process.slaves.remove(&id)));
    }

    fn activate_slave(&self, id: SlaveId) {
        self.slave(id, |slave| slave.active = true);
    }

    fn deactivate_slave(&self, id: SlaveId) {
        self.slave(id, |slave| slave.active = false);
    }

    fn track_allocation(&self, slave: SlaveId, more: Used<FrameworkId>) {
        self.change(move |process| {
            more.into_iter().for_each(|(id, resources)| process.hold(id, &slave, &resources));
        });
    }

    fn update_allocation(
        &self,
        framework: FrameworkId,
        slave: SlaveId,
        total: Resources,
        before: Resources,
        after: Resources,
    ) {
        self.update_slave(slave.clone(), total);
        self.change(move |process| {
            process.release(&framework, &slave, &before);
            process.hold(framework, &slave, &after);
        });
    }

    fn recover_resources(
        &self,
        framework: FrameworkId,
        slave: SlaveId,
        resources: Resources,
        refuse_for: Option<Duration>,
    ) {
        // The next periodic cycle is soon enough.
        self.0.tell(move |process, cx| {
            process.release(&framework, &slave, &resources);
            if let Some(refuse_for) = refuse_for {
                let until = cx.now() + refuse_for.max(process.config.allocation_interval);
                process.refusals.push((framework, slave, resources, until));
            }
        });
    }

    fn suppress_offers(&self, framework: FrameworkId, roles: BTreeSet<String>) {
        self.framework(framework, move |framework| {
            let roles = if roles.is_empty() { framework.spec.roles.clone() } else { roles };
            framework.spec.suppressed_roles.extend(roles);
        });
    }

    fn revive_offers(&self, framework: FrameworkId, roles: BTreeSet<String>) {
        self.change(move |process| {
            process.refusals.retain(|(by, ..)| *by != framework);
            if let Some(framework) = process.frameworks.get_mut(&framework) {
                let suppressed = &mut framework.spec.suppressed_roles;
                suppressed.retain(|role| !roles.is_empty() && !roles.contains(role));
            }
        });
    }

    fn request_resources(&self, framework: FrameworkId, wanted: Vec<(Option<SlaveId>, Resources)>) {
        let wanted = wanted.into_iter().map(|(_, resources)| resources).next().unwrap_or_default();
        self.framework(framework, move |framework| framework.wanted = wanted);
    }

    fn update_weights(&self, weights: Vec<(String, f64)>) {
        self.change(move |process| process.config.weights.extend(weights));
    }

    fn update_whitelist(&self, hostnames: Option<BTreeSet<String>>) {
        self.change(move |process| process.whitelist = hostnames);
    }
}
