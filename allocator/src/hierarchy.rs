//! The deciding half: fair shares of roles, then of frameworks within a role, over all slaves.
//!
//! A *client* is a framework in one of its roles. Frameworks, clients, roles and slaves have small
//! numbers inside, so that a cycle looks at arrays, not at names.

mod clients;
mod cycle;
mod explain;
mod inspect;
mod judge;
mod maintenance;
mod order;
mod quota;
mod refusals;
mod roles;
mod slab;
mod slave;
mod slaves;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

use crate::amounts::Names;
use crate::{Config, FrameworkSpec, Minimum, Quota};
use clients::{Client, Framework};
use order::Lots;
use roles::{Bounds, Roles};
use slab::Slab;
use slave::Slave;

pub use inspect::{Excluded, RoleFigures};

/// Not allocated any more, with the roles they were allocated to.
type Parts = Arc<[(String, Resources)]>;

/// Things that came back that are remembered.
const PARTS: usize = 8;

type FrameworkIx = usize;
type ClientIx = usize;
type SlaveIx = usize;

/// The allocator's state.
#[derive(Debug)]
pub struct Hierarchy {
    config: Config,
    names: Names,
    frameworks: Slab<FrameworkId, Framework>,
    clients: Vec<Client>,
    free_clients: Vec<ClientIx>,
    /// Clients with offer constraints.
    constrained: BTreeSet<ClientIx>,
    slaves: Slab<SlaveId, Slave>,
    roles: Roles,
    whitelist: Option<BTreeSet<String>>,
    lots: Lots,
    /// Grows when somebody may take what nobody took before.
    epoch: u64,
    /// Totals of slaves that look alike are kept once.
    shapes: Vec<Arc<Resources>>,
    /// What was allocated last, ready for others of the same shape.
    ready: Vec<cycle::Ready>,
    /// What came back last, taken apart. Most offers are alike, and so is what comes back of them.
    parts: Vec<(Resources, Parts)>,
    cycles: u64,
    last_cycle: Time,
    /// So many slaves must be there before anything is offered.
    paused: Option<usize>,
}

impl Hierarchy {
    /// An empty hierarchy.
    pub fn new(config: Config) -> Self {
        let good = |weight: &f64| weight.is_finite() && *weight > 0.0;
        let weights = config.weights.clone().into_iter().filter(|(_, w)| good(w)).collect();
        Self {
            roles: Roles::new(weights, config.role_order, config.framework_order),
            config,
            names: Names::default(),
            frameworks: Slab::default(),
            clients: Vec::new(),
            free_clients: Vec::new(),
            constrained: BTreeSet::new(),
            slaves: Slab::default(),
            whitelist: None,
            lots: Lots(0x9E37_79B9_7F4A_7C15),
            epoch: 0,
            shapes: Vec::new(),
            ready: Vec::new(),
            parts: Vec::new(),
            cycles: 0,
            last_cycle: Time::EPOCH,
            paused: None,
        }
    }

    /// Where chance starts: the order of slaves, and of clients under [`crate::config::Order::Random`].
    pub fn seed(&mut self, seed: u64) {
        self.lots = Lots(seed | 1);
    }

    /// See [`crate::Allocator::add_framework`].
    pub fn add_framework(
        &mut self,
        id: FrameworkId,
        spec: FrameworkSpec,
        active: bool,
        used: BTreeMap<SlaveId, Resources>,
    ) {
        let ix = self.framework(&id);
        if let Some(framework) = self.frameworks.get_mut(ix) {
            (framework.spec, framework.active, framework.known) = (spec, active, true);
        }
        self.enrol(ix);
        for (slave, resources) in used {
            if let Some(slave) = self.slaves.find(&slave) {
                self.hold_all(ix, slave, &resources);
            }
        }
    }

    /// See [`crate::Allocator::update_framework`].
    pub fn update_framework(&mut self, id: &FrameworkId, spec: FrameworkSpec) {
        let Some(ix) = self.frameworks.find(id) else { return };
        let Some(framework) = self.frameworks.get_mut(ix) else { return };
        let roles = spec.roles.clone();
        framework.spec = spec;
        let left: Vec<ClientIx> = framework
            .clients
            .iter()
            .filter(|(role, _)| !roles.contains(&***role))
            .map(|(_, client)| *client)
            .collect();
        self.enrol(ix);
        for client in left {
            self.forget_refusals(client);
            self.retire_if_idle(client);
        }
    }

    /// See [`crate::Allocator::remove_framework`].
    pub fn remove_framework(&mut self, id: &FrameworkId) {
        let Some(ix) = self.frameworks.find(id) else { return };
        let Some(framework) = self.frameworks.get_mut(ix) else { return };
        (framework.known, framework.active) = (false, false);
        let clients: Vec<ClientIx> = framework.clients.values().copied().collect();
        for client in clients {
            self.forget_refusals(client);
            let holders = self.slaves.iter().filter(|(_, slave)| slave.held.contains_key(&client));
            for slave in holders.map(|(ix, _)| ix).collect::<Vec<_>>() {
                let held = self.slaves.get(slave).and_then(|s| s.held.get(&client).cloned());
                if let Some(held) = held {
                    self.release(client, slave, &held);
                }
            }
            self.retire_if_idle(client);
        }
        self.frameworks.remove(id);
        for slave in self.slaves.iter_mut().filter_map(|(_, slave)| slave.maintenance.as_mut()) {
            slave.forget(id);
        }
    }

    /// See [`crate::Allocator::activate_framework`] and its opposite.
    pub fn set_framework_active(&mut self, id: &FrameworkId, active: bool) {
        let Some(ix) = self.frameworks.find(id) else { return };
        let Some(framework) = self.frameworks.get_mut(ix).filter(|f| f.known) else { return };
        framework.active = active;
        let clients: Vec<ClientIx> = framework.clients.values().copied().collect();
        self.enrol(ix);
        if !active {
            clients.into_iter().for_each(|client| self.forget_refusals(client));
            for slave in self.slaves.iter_mut().filter_map(|(_, s)| s.maintenance.as_mut()) {
                slave.forget(id);
            }
        }
    }

    /// See [`crate::Allocator::recover_resources`].
    pub fn recover_resources(
        &mut self,
        framework: &FrameworkId,
        slave: &SlaveId,
        resources: &Resources,
        refuse_for: Option<Duration>,
        now: Time,
    ) {
        // Both may be gone: then their removal recovered everything.
        let Some(slave_ix) = self.slaves.find(slave) else { return };
        let Some(ix) = self.frameworks.find(framework) else { return };
        for (role, part) in self.parts_of(resources).iter() {
            let Some(client) = self.frameworks.get(ix).and_then(|f| f.clients.get(role.as_str()))
            else {
                continue;
            };
            let client = *client;
            self.release(client, slave_ix, part);
            let is_known = self.frameworks.get(ix).is_some_and(|framework| framework.known);
            match refuse_for {
                None => self.freed(slave_ix),
                Some(time) if time.is_zero() => self.returned(client, slave_ix),
                Some(time) if is_known => {
                    let until = now + time.max(self.config.allocation_interval);
                    self.refuse(client, slave_ix, part, until);
                }
                Some(_) => {}
            }
            self.retire_if_idle(client);
        }
    }

    /// See [`crate::Allocator::suppress_offers`].
    pub fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<String>) {
        let Some(ix) = self.frameworks.find(id) else { return };
        let Some(framework) = self.frameworks.get_mut(ix) else { return };
        let all = framework.spec.roles.clone();
        let roles = if roles.is_empty() { &all } else { roles };
        framework.spec.suppressed_roles.extend(roles.intersection(&all).cloned());
        self.enrol(ix);
    }

    /// See [`crate::Allocator::revive_offers`].
    pub fn revive(&mut self, id: &FrameworkId, roles: &BTreeSet<String>) {
        let Some(ix) = self.frameworks.find(id) else { return };
        let Some(framework) = self.frameworks.get_mut(ix) else { return };
        let all = framework.spec.roles.clone();
        let mut revived = Vec::new();
        for role in if roles.is_empty() { &all } else { roles } {
            framework.spec.suppressed_roles.remove(role);
            revived.extend(framework.clients.get(role.as_str()).copied());
        }
        revived.into_iter().for_each(|client| self.forget_refusals(client));
        self.enrol(ix);
    }

    /// See [`crate::Allocator::update_weights`].
    pub fn update_weights(&mut self, weights: Vec<(String, f64)>) {
        // What makes no sense must not replace what does.
        for (role, weight) in weights.into_iter().filter(|(_, w)| w.is_finite() && *w > 0.0) {
            self.roles.weights.insert(role, weight);
        }
        self.roles.unsort_all();
    }

    /// See [`crate::Allocator::update_quota`].
    pub fn update_quota(&mut self, role: &str, quota: &Quota) {
        let guarantees = self.names.amounts(&quota.guarantees);
        let limits = quota.limits.iter().map(|(name, limit)| (self.names.id(name), *limit));
        let limits = limits.collect();
        self.roles.set_quota(role, Bounds { guarantees, limits });
    }

    /// See [`crate::Allocator::update_whitelist`].
    pub fn update_whitelist(&mut self, hostnames: Option<BTreeSet<String>>) {
        self.whitelist = hostnames;
    }

    /// See [`crate::Allocator::recover`]. True when the pause begins that [`Hierarchy::resume`] ends
    /// at the latest.
    pub fn recover(&mut self, slaves: usize, quotas: &BTreeMap<String, Quota>) -> bool {
        quotas.iter().for_each(|(role, quota)| self.update_quota(role, quota));
        let has_quota = quotas.values().any(|quota| *quota != Quota::default());
        let needed = (slaves as f64 * self.config.recovery_factor.clamp(0.0, 1.0)).ceil() as usize;
        self.paused = (has_quota && needed > self.slaves.len()).then_some(needed);
        self.paused.is_some()
    }

    /// Ends the pause after a failover.
    pub fn resume(&mut self) {
        self.paused = None;
    }

    fn parts_of(&mut self, resources: &Resources) -> Parts {
        if let Some((_, parts)) = self.parts.iter().find(|(whole, _)| whole == resources) {
            return parts.clone();
        }
        let parts: Parts = by_role(resources).into();
        if self.parts.len() == PARTS {
            self.parts.remove(0);
        }
        self.parts.push((resources.clone(), parts.clone()));
        parts
    }

    fn minimum<'a>(&'a self, client: &'a Client) -> &'a Minimum {
        client.minimum.as_ref().unwrap_or(&self.config.minimum)
    }
}

/// Parts by the role they are allocated to, not allocated any more.
fn by_role(resources: &Resources) -> Vec<(String, Resources)> {
    let parts = resources.allocations().into_iter();
    parts.map(|(role, part)| (role, part.unallocated())).collect()
}

#[cfg(test)]
mod tests;
