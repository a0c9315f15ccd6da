//! Frameworks, and frameworks in roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libprocess::Time;
use protos::ids::FrameworkId;
use protos::resources::Resources;

use super::quota::is_plain;
use super::roles::{Holding, RoleIx};
use super::slave::bits;
use super::{ClientIx, FrameworkIx, Hierarchy, SlaveIx};
use crate::{FrameworkSpec, Minimum};

#[derive(Debug)]
pub(super) struct Framework {
    pub(super) id: FrameworkId,
    pub(super) spec: FrameworkSpec,
    pub(super) active: bool,
    /// False as long as only slaves told of it.
    pub(super) known: bool,
    /// By role: those it is subscribed to, and others in which it holds something yet.
    pub(super) clients: BTreeMap<Arc<str>, ClientIx>,
}

/// A framework in a role.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) framework_id: FrameworkId,
    pub(super) role: RoleIx,
    /// It takes part: connected, subscribed, not suppressed.
    pub(super) active: bool,
    pub(super) held: Holding,
    /// How often it was given something.
    pub(super) grants: u64,
    /// See [`bits`].
    pub(super) has: u8,
    /// Slaves that its offer constraints exclude.
    pub(super) excluded: BTreeSet<SlaveIx>,
    pub(super) minimum: Option<Minimum>,
    pub(super) refusals: usize,
}

impl Hierarchy {
    /// The framework of that id; made, unknown and inactive, when it is new.
    pub(super) fn framework(&mut self, id: &FrameworkId) -> FrameworkIx {
        match self.frameworks.find(id) {
            Some(ix) => ix,
            None => self.frameworks.insert(
                id.clone(),
                Framework {
                    id: id.clone(),
                    spec: FrameworkSpec::default(),
                    active: false,
                    known: false,
                    clients: BTreeMap::new(),
                },
            ),
        }
    }

    /// The framework's client for a role; made, inactive, when it is new.
    pub(super) fn client(&mut self, ix: FrameworkIx, role: &str) -> Option<ClientIx> {
        let framework = self.frameworks.get(ix)?;
        if let Some(client) = framework.clients.get(role) {
            return Some(*client);
        }
        let framework_id = framework.id.clone();
        let role_ix = self.roles.make(role);
        let client = Client {
            framework_id: framework_id.clone(),
            role: role_ix,
            active: false,
            held: Holding::default(),
            grants: 0,
            has: 0,
            excluded: BTreeSet::new(),
            minimum: None,
            refusals: 0,
        };
        let at = self.free_clients.pop().unwrap_or(self.clients.len());
        match self.clients.get_mut(at) {
            Some(slot) => *slot = client,
            None => self.clients.push(client),
        }
        let role = self.roles.get(role_ix).name.clone();
        self.frameworks.get_mut(ix)?.clients.insert(role, at);
        self.roles.get_mut(role_ix).members.insert(framework_id, at);
        Some(at)
    }

    /// Makes the clients agree with the framework's roles, capabilities, activity and suppression.
    pub(super) fn enrol(&mut self, ix: FrameworkIx) {
        self.epoch += 1;
        let Some(framework) = self.frameworks.get(ix) else { return };
        for role in framework.spec.roles.clone() {
            self.client(ix, &role);
        }
        let Some(framework) = self.frameworks.get(ix) else { return };
        let (spec, slaves) = (&framework.spec, &self.slaves);
        let mut changed = Vec::new();
        for (role, at) in &framework.clients {
            let client = &mut self.clients[*at];
            let wanted = spec.roles.contains(&**role) && !spec.suppressed_roles.contains(&**role);
            let active = framework.active && framework.known && wanted;
            if client.active != active {
                client.active = active;
                changed.push(client.role);
            }
            client.has = has(spec, role);
            client.minimum = spec.minimum.get(&**role).cloned();
            client.excluded = if spec.constraints.is_free(role) {
                self.constrained.remove(at);
                BTreeSet::new()
            } else {
                self.constrained.insert(*at);
                let out = slaves.iter().filter(|(_, s)| !spec.constraints.admits(role, &s.spec));
                out.map(|(slave, _)| slave).collect()
            };
        }
        changed.into_iter().for_each(|role| self.roles.unsort(role));
    }

    /// Notes that the framework holds `resources` (allocated) of the slave.
    pub(super) fn hold_all(&mut self, ix: FrameworkIx, slave: SlaveIx, resources: &Resources) {
        for (role, part) in super::by_role(resources) {
            if let Some(client) = self.client(ix, &role) {
                self.hold(client, slave, &part, false);
            }
        }
    }

    /// Notes that the client holds `resources` (not allocated); `grant` when they were given to it.
    pub(super) fn hold(
        &mut self,
        client: ClientIx,
        slave: SlaveIx,
        resources: &Resources,
        grant: bool,
    ) -> Holding {
        let holding = self.holding(resources);
        let role = self.clients[client].role;
        if let Some(slave) = self.slaves.get_mut(slave) {
            slave.hold(client, resources, &mut self.names);
            let held = &mut self.clients[client].held;
            held.fair.add(&holding.fair);
            held.plain.add(&holding.plain);
            self.clients[client].grants += u64::from(grant);
            self.roles.hold(role, &holding, grant);
            self.roles.move_back(client, &self.clients);
        }
        holding
    }

    /// Notes that the client gave `resources` (not allocated) back.
    pub(super) fn release(&mut self, client: ClientIx, slave: SlaveIx, resources: &Resources) {
        let Some(slave) = self.slaves.get_mut(slave) else { return };
        let Some(back) = slave.release(client, resources, &mut self.names) else { return };
        self.unaccount(client, &back);
    }

    pub(super) fn unaccount(&mut self, client: ClientIx, back: &Resources) {
        let holding = self.holding(back);
        let held = &mut self.clients[client].held;
        held.fair.subtract(&holding.fair);
        held.plain.subtract(&holding.plain);
        self.roles.release(self.clients[client].role, &holding);
    }

    fn holding(&mut self, resources: &Resources) -> Holding {
        let excluded = &self.config.excluded;
        let fair = self.names.sum(resources, |resource| !excluded.contains(&resource.name));
        Holding { fair, plain: self.names.sum(resources, is_plain) }
    }

    /// The client is not to be offered `resources` of the slave until then.
    pub(super) fn refuse(
        &mut self,
        client: ClientIx,
        slave: SlaveIx,
        resources: &Resources,
        until: Time,
    ) {
        if let Some(slave) = self.slaves.get_mut(slave) {
            slave.refusals.add(client, resources, until);
            self.clients[client].refusals += 1;
            self.roles.get_mut(self.clients[client].role).refusals += 1;
        }
    }

    /// The client refused something for no time: it is not asked again at once.
    pub(super) fn returned(&mut self, client: ClientIx, slave: SlaveIx) {
        let Some(slave) = self.slaves.get_mut(slave) else { return };
        if !slave.returned.contains(&client) {
            slave.returned.push(client);
        }
    }

    /// There is something on the slave that nobody returned.
    pub(super) fn freed(&mut self, slave: SlaveIx) {
        if let Some(slave) = self.slaves.get_mut(slave) {
            slave.returned.clear();
        }
    }

    /// So many of the client's refusals are gone.
    pub(super) fn refusals_gone(&mut self, client: ClientIx, count: usize) {
        let role = self.roles.get_mut(self.clients[client].role);
        role.refusals = role.refusals.saturating_sub(count);
        let left = &mut self.clients[client].refusals;
        *left = left.saturating_sub(count);
    }

    pub(super) fn forget_refusals(&mut self, client: ClientIx) {
        let mut gone = 0;
        for (_, slave) in self.slaves.iter_mut() {
            if gone == self.clients[client].refusals {
                break;
            }
            let forgotten = slave.refusals.forget(client);
            if forgotten > 0 {
                slave.quiet = None;
            }
            gone += forgotten;
        }
        self.refusals_gone(client, gone);
    }

    /// A framework that left a role, or that only slaves told of, stays there as long as it holds
    /// something.
    pub(super) fn retire_if_idle(&mut self, client: ClientIx) {
        let Client { framework_id, role, held, .. } = &self.clients[client];
        let (id, role) = (framework_id.clone(), *role);
        let name = self.roles.get(role).name.clone();
        let Some(framework) = self.frameworks.by_key_mut(&id) else { return };
        let subscribed = framework.known && framework.spec.roles.contains(&*name);
        if subscribed || *held != Holding::default() || !framework.clients.contains_key(&name) {
            return;
        }
        let holds = |slave: &super::Slave| slave.held.contains_key(&client);
        if self.slaves.iter().any(|(_, slave)| holds(slave)) {
            return;
        }
        framework.clients.remove(&name);
        let is_gone = !framework.known && framework.clients.is_empty();
        self.forget_refusals(client);
        if is_gone {
            self.frameworks.remove(&id);
        }
        for (_, slave) in self.slaves.iter_mut() {
            slave.offered.retain(|(to, _)| *to != client);
            slave.returned.retain(|by| *by != client);
        }
        self.clients[client].active = false;
        self.constrained.remove(&client);
        self.roles.get_mut(role).members.remove(&id);
        self.roles.unsort(role);
        self.roles.prune(role);
        self.free_clients.push(client);
    }
}

/// What the framework has of what slaves ask for, for a role.
fn has(spec: &FrameworkSpec, role: &str) -> u8 {
    [
        (bits::REVOCABLE, spec.revocable),
        (bits::SHARED, spec.shared),
        (bits::REFINED, spec.refined),
        (bits::GPUS, spec.gpus),
        (bits::REMOTE, spec.region_aware),
        (bits::SINGLE_ROLE, !spec.multi_role),
        (bits::FLAT_ROLE, !role.contains('/')),
    ]
    .into_iter()
    .fold(0, |has, (bit, set)| if set { has | bit } else { has })
}
