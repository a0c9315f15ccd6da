//! The deciding half: fair shares of roles, then of frameworks within a role, over all slaves.

mod inspect;
mod slave;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

use crate::filters::Filters;
use crate::sorter::{Quantities, Sorter};
use crate::{Allocation, FrameworkSpec, SlaveSpec};
use slave::Slave;

/// Less than this of both is not worth an offer (flag `min_allocatable_resources`).
const MIN_CPUS: f64 = 0.01;
const MIN_MEM_MB: f64 = 32.0;

#[derive(Debug)]
struct Framework {
    spec: FrameworkSpec,
    active: bool,
}

/// The allocator's state.
#[derive(Debug, Default)]
pub struct Hierarchy {
    frameworks: BTreeMap<FrameworkId, Framework>,
    slaves: BTreeMap<SlaveId, Slave>,
    roles: Sorter,
    members: BTreeMap<String, Sorter>,
    weights: BTreeMap<String, f64>,
    total: Quantities,
    filters: Filters,
    whitelist: Option<BTreeSet<String>>,
    /// A filter lives at least this long.
    interval: Duration,
}

impl Hierarchy {
    /// An empty hierarchy whose periodic runs are `interval` apart.
    pub fn new(interval: Duration, weights: BTreeMap<String, f64>) -> Self {
        Self { interval, weights, ..Self::default() }
    }

    /// See [`crate::Allocator::add_framework`].
    pub fn add_framework(
        &mut self,
        id: FrameworkId,
        spec: FrameworkSpec,
        active: bool,
        used: BTreeMap<SlaveId, Resources>,
    ) {
        self.frameworks.insert(id.clone(), Framework { spec, active });
        self.enrol(&id);
        for (slave, resources) in used {
            self.hold(&id, &slave, &resources);
        }
    }

    /// See [`crate::Allocator::update_framework`].
    pub fn update_framework(&mut self, id: &FrameworkId, spec: FrameworkSpec) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let old = std::mem::replace(&mut framework.spec, spec);
        for role in old.roles.difference(&self.frameworks[id].spec.roles.clone()) {
            self.filters.forget_framework(id, Some(role));
            self.withdraw_if_idle(id, role);
        }
        self.enrol(id);
    }

    /// See [`crate::Allocator::remove_framework`].
    pub fn remove_framework(&mut self, id: &FrameworkId) {
        self.frameworks.remove(id);
        self.filters.forget_framework(id, None);
        let names: Vec<String> = self.members.keys().cloned().collect();
        for role in names {
            self.withdraw(id, &role);
        }
        for slave in self.slaves.values_mut() {
            if let Some(held) = slave.held.get(id).cloned() {
                slave.release(id, &held);
            }
        }
    }

    /// See [`crate::Allocator::activate_framework`] and its opposite.
    pub fn set_framework_active(&mut self, id: &FrameworkId, active: bool) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.active = active;
            self.enrol(id);
        }
        if !active {
            self.filters.forget_framework(id, None);
        }
    }

    /// See [`crate::Allocator::add_slave`].
    pub fn add_slave(
        &mut self,
        id: SlaveId,
        spec: SlaveSpec,
        total: Resources,
        used: BTreeMap<FrameworkId, Resources>,
    ) {
        self.remove_slave(&id);
        self.retotal(&Resources::new(), &total);
        let (available, taken) = (total.clone(), Resources::new());
        let slave = Slave { spec, total, held: BTreeMap::new(), taken, available, active: true };
        self.slaves.insert(id.clone(), slave);
        for (framework, resources) in used {
            self.hold(&framework, &id, &resources);
        }
    }

    /// See [`crate::Allocator::update_slave`].
    pub fn update_slave(&mut self, id: &SlaveId, total: Resources) {
        if let Some(slave) = self.slaves.get_mut(id) {
            let old = std::mem::replace(&mut slave.total, total.clone());
            slave.refresh();
            self.retotal(&old, &total);
        }
    }

    /// See [`crate::Allocator::remove_slave`].
    pub fn remove_slave(&mut self, id: &SlaveId) {
        let Some(slave) = self.slaves.remove(id) else { return };
        for (framework, resources) in &slave.held {
            self.account(framework, resources, Sorter::recovered);
            for role in resources.allocations().keys() {
                self.withdraw_if_idle(framework, role);
            }
        }
        self.filters.forget_slave(id);
        self.retotal(&slave.total, &Resources::new());
    }

    /// See [`crate::Allocator::activate_slave`] and its opposite.
    pub fn set_slave_active(&mut self, id: &SlaveId, active: bool) {
        if let Some(slave) = self.slaves.get_mut(id) {
            slave.active = active;
        }
    }

    /// See [`crate::Allocator::recover_resources`].
    pub fn recover(
        &mut self,
        framework: &FrameworkId,
        slave_id: &SlaveId,
        resources: &Resources,
        refuse_for: Option<Duration>,
        now: Time,
    ) {
        // Both may be gone: then their removal recovered everything.
        if let Some(slave) = self.slaves.get_mut(slave_id)
            && let Some(back) = slave.release(framework, resources)
        {
            self.account(framework, &back, Sorter::recovered);
            for role in back.allocations().keys() {
                self.withdraw_if_idle(framework, role);
            }
        }
        let Some(refuse_for) = refuse_for else { return };
        if self.frameworks.contains_key(framework) && self.slaves.contains_key(slave_id) {
            let until = now + refuse_for.max(self.interval);
            for (role, part) in resources.allocations() {
                self.filters.refuse(framework, &role, slave_id, part, until);
            }
        }
    }

    /// See [`crate::Allocator::suppress_offers`].
    pub fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<String>) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            let all = framework.spec.roles.clone();
            let roles = if roles.is_empty() { &all } else { roles };
            framework.spec.suppressed_roles.extend(roles.intersection(&all).cloned());
            self.enrol(id);
        }
    }

    /// See [`crate::Allocator::revive_offers`].
    pub fn revive(&mut self, id: &FrameworkId, roles: &BTreeSet<String>) {
        if let Some(framework) = self.frameworks.get_mut(id) {
            let all = framework.spec.roles.clone();
            for role in if roles.is_empty() { &all } else { roles } {
                framework.spec.suppressed_roles.remove(role);
                self.filters.forget_framework(id, Some(role));
            }
            self.enrol(id);
        }
    }

    /// See [`crate::Allocator::update_weights`].
    pub fn update_weights(&mut self, weights: Vec<(String, f64)>) {
        // What the sorter would ignore must not replace what a role that comes back is given.
        for (role, weight) in weights.into_iter().filter(|(_, w)| w.is_finite() && *w > 0.0) {
            self.roles.set_weight(&role, weight);
            self.weights.insert(role, weight);
        }
    }

    /// See [`crate::Allocator::update_whitelist`].
    pub fn update_whitelist(&mut self, hostnames: Option<BTreeSet<String>>) {
        self.whitelist = hostnames;
    }

    /// The ids of all slaves, sorted.
    pub fn slave_ids(&self) -> Vec<SlaveId> {
        self.slaves.keys().cloned().collect()
    }

    /// Gives what is free on `slaves`, in that order, to whom it belongs by fair share.
    pub fn allocate(&mut self, slaves: &[SlaveId], now: Time) -> BTreeMap<FrameworkId, Allocation> {
        self.filters.expire(now);
        let mut given: BTreeMap<FrameworkId, Allocation> = BTreeMap::new();
        let mut order = self.order();
        for id in slaves {
            if !self.may_offer(id) {
                continue;
            }
            while let Some((framework, role, resources)) = self.next_for(id, &order, now) {
                let resources = resources.allocated_to(&role);
                self.hold(&framework, id, &resources);
                let by_slave = given.entry(framework).or_default().entry(role).or_default();
                *by_slave.entry(id.clone()).or_default() += &resources;
                // Shares changed, and so may the order.
                order = self.order();
            }
        }
        given
    }

    /// (role, framework) pairs, who deserves most first.
    fn order(&self) -> Vec<(Arc<str>, FrameworkId)> {
        let mut order = Vec::new();
        for role in self.roles.sorted() {
            for member in self.members.get(&*role).map(Sorter::sorted).unwrap_or_default() {
                order.push((role.clone(), FrameworkId::new(member)));
            }
        }
        order
    }

    fn may_offer(&self, id: &SlaveId) -> bool {
        self.slaves.get(id).is_some_and(|slave| {
            let listed = self.whitelist.as_ref();
            slave.active
                && listed.is_none_or(|hosts| hosts.contains(&slave.spec.hostname))
                && worth_offering(&slave.available)
        })
    }

    fn next_for(
        &self,
        id: &SlaveId,
        order: &[(Arc<str>, FrameworkId)],
        now: Time,
    ) -> Option<(FrameworkId, String, Resources)> {
        let slave = self.slaves.get(id)?;
        if !worth_offering(&slave.available) {
            return None;
        }
        // Members of a role follow each other, and what each may be given differs little.
        let mut seen: Option<(&Arc<str>, bool, Resources)> = None;
        for (role, framework_id) in order {
            let Some(framework) = self.frameworks.get(framework_id) else { continue };
            let revocable = framework.spec.revocable;
            let known = seen.take().filter(|(r, kind, _)| *r == role && *kind == revocable);
            let (_, _, offer) = seen.insert(known.unwrap_or_else(|| {
                let offer = slave.available.available_to(role);
                (role, revocable, if revocable { offer } else { offer.non_revocable() })
            }));
            if worth_offering(offer) && !self.filters.hides(framework_id, role, id, offer, now) {
                return Some((framework_id.clone(), role.to_string(), offer.clone()));
            }
        }
        None
    }

    /// Notes that the framework holds `resources` (allocated) of the slave.
    fn hold(&mut self, framework: &FrameworkId, slave: &SlaveId, resources: &Resources) {
        if let Some(slave) = self.slaves.get_mut(slave) {
            slave.hold(framework, resources);
            self.account(framework, resources, Sorter::allocated);
        }
    }

    fn account(
        &mut self,
        framework: &FrameworkId,
        resources: &Resources,
        note: fn(&mut Sorter, &str, &Quantities),
    ) {
        for (role, part) in resources.allocations() {
            let quantities = part.quantities();
            self.join(framework, &role);
            note(&mut self.roles, &role, &quantities);
            if let Some(members) = self.members.get_mut(&role) {
                note(members, framework.as_str(), &quantities);
            }
        }
    }

    /// Makes the sorters agree with the framework's roles, activity and suppression.
    fn enrol(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else { return };
        let (active, spec) = (framework.active, framework.spec.clone());
        for role in &spec.roles {
            self.join(id, role);
        }
        for (role, members) in &mut self.members {
            let wanted = spec.roles.contains(role) && !spec.suppressed_roles.contains(role);
            members.set_active(id.as_str(), active && wanted);
        }
    }

    /// Adds a framework to a role; inactive until it is enrolled.
    fn join(&mut self, id: &FrameworkId, role: &str) {
        let members = self.members.entry(role.to_owned()).or_insert_with(|| {
            let mut sorter = Sorter::default();
            sorter.set_total(self.total.clone());
            sorter
        });
        if !members.contains(id.as_str()) {
            members.add(id.as_str());
            members.set_active(id.as_str(), false);
        }
        self.roles.add(role);
        self.roles.set_weight(role, self.weights.get(role).copied().unwrap_or(1.0));
    }

    fn withdraw(&mut self, id: &FrameworkId, role: &str) {
        let Some(members) = self.members.get_mut(role) else { return };
        let held = members.held(id.as_str());
        members.remove(id.as_str());
        self.roles.recovered(role, &held);
        if members.is_empty() {
            self.members.remove(role);
            self.roles.remove(role);
        }
    }

    /// A framework that left a role stays in its sorter as long as it holds something there.
    fn withdraw_if_idle(&mut self, id: &FrameworkId, role: &str) {
        let subscribed = self.frameworks.get(id).is_some_and(|f| f.spec.roles.contains(role));
        let idle = self
            .members
            .get(role)
            .is_some_and(|members| members.held(id.as_str()).values().all(|amount| *amount == 0));
        if idle && !subscribed {
            self.withdraw(id, role);
        }
    }

    /// A slave's total changed: what there is to share changes by the difference.
    fn retotal(&mut self, old: &Resources, new: &Resources) {
        for (name, amount) in new.quantities() {
            *self.total.entry(name).or_insert(0) += amount;
        }
        for (name, amount) in old.quantities() {
            *self.total.entry(name).or_insert(0) -= amount;
        }
        self.roles.set_total(self.total.clone());
        for members in self.members.values_mut() {
            members.set_total(self.total.clone());
        }
    }
}

fn worth_offering(resources: &Resources) -> bool {
    resources.cpus() >= MIN_CPUS || resources.mem() >= MIN_MEM_MB
}

#[cfg(test)]
mod tests;
