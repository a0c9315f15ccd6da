//! Slaves come, change and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

use super::slave::{Slave, bits, reserved};
use super::{ClientIx, Hierarchy, SlaveIx, by_role};
use crate::{FrameworkSpec, SlaveSpec};

/// Distinct totals that are remembered.
const SHAPES: usize = 16;

impl Hierarchy {
    /// See [`crate::Allocator::add_slave`].
    pub fn add_slave(
        &mut self,
        id: SlaveId,
        spec: SlaveSpec,
        total: Resources,
        used: BTreeMap<FrameworkId, Resources>,
    ) {
        self.remove_slave(&id);
        let ix = self.slaves.insert(id.clone(), Slave::new(id));
        self.set_total(ix, total);
        self.set_spec(ix, spec);
        for (framework, resources) in used {
            let framework = self.framework(&framework);
            self.hold_all(framework, ix, &resources);
        }
        if self.paused.is_some_and(|needed| self.slaves.len() >= needed) {
            self.resume();
        }
    }

    /// See [`crate::Allocator::update_slave`].
    pub fn update_slave(&mut self, id: &SlaveId, total: Resources) {
        if let Some(ix) = self.slaves.find(id) {
            self.set_total(ix, total);
        }
    }

    /// See [`crate::Allocator::update_slave_spec`].
    pub fn update_slave_spec(&mut self, id: &SlaveId, spec: SlaveSpec) {
        if let Some(ix) = self.slaves.find(id) {
            self.set_spec(ix, spec);
        }
    }

    /// See [`crate::Allocator::remove_slave`].
    pub fn remove_slave(&mut self, id: &SlaveId) {
        let Some(ix) = self.slaves.find(id) else { return };
        let Some(slave) = self.slaves.remove(id) else { return };
        for client in slave.refusals.clients() {
            self.refusals_gone(client, 1);
        }
        for client in &self.constrained {
            self.clients[*client].excluded.remove(&ix);
        }
        for (role, amounts) in &slave.reserved {
            self.roles.unreserve(*role, amounts);
        }
        self.roles.total.subtract(&slave.fair);
        self.roles.unsort_all();
        for (client, held) in &slave.held {
            self.unaccount(*client, held);
        }
        for client in slave.held.into_keys() {
            self.retire_if_idle(client);
        }
        slave.reserved.iter().for_each(|(role, _)| self.roles.prune(*role));
    }

    /// See [`crate::Allocator::activate_slave`] and its opposite.
    pub fn set_slave_active(&mut self, id: &SlaveId, active: bool) {
        if let Some(slave) = self.slaves.by_key_mut(id) {
            slave.active = active;
        }
    }

    /// See [`crate::Allocator::track_allocation`].
    pub fn track(&mut self, slave: &SlaveId, more: BTreeMap<FrameworkId, Resources>) {
        let Some(slave) = self.slaves.find(slave) else { return };
        for (framework, resources) in more {
            let framework = self.framework(&framework);
            self.hold_all(framework, slave, &resources);
        }
    }

    /// See [`crate::Allocator::update_allocation`].
    pub fn update_allocation(
        &mut self,
        framework: &FrameworkId,
        slave: &SlaveId,
        total: Resources,
        before: &Resources,
        after: &Resources,
    ) {
        let Some(slave) = self.slaves.find(slave) else { return };
        let clients: Vec<(ClientIx, Resources)> = by_role(before)
            .into_iter()
            .filter_map(|(role, part)| Some((self.existing_client(framework, &role)?, part)))
            .collect();
        for (client, part) in clients {
            self.release(client, slave, &part);
        }
        self.set_total(slave, total);
        if let Some(framework) = self.frameworks.find(framework) {
            self.hold_all(framework, slave, after);
        }
    }

    pub(super) fn existing_client(&self, framework: &FrameworkId, role: &str) -> Option<ClientIx> {
        let framework = self.frameworks.get(self.frameworks.find(framework)?)?;
        framework.clients.get(role).copied()
    }

    /// The total changed: what there is to share changes by the difference.
    fn set_total(&mut self, ix: SlaveIx, total: Resources) {
        let shape = self.shape(total);
        let Some(slave) = self.slaves.get_mut(ix) else { return };
        let before = std::mem::take(&mut slave.reserved);
        for (role, amounts) in &before {
            self.roles.unreserve(*role, amounts);
        }
        self.roles.total.subtract(&slave.fair);
        let excluded = &self.config.excluded;
        slave.fair = self.names.sum(&shape, |resource| !excluded.contains(&resource.name));
        self.roles.total.add(&slave.fair);
        let reserved = reserved(&shape, &mut self.roles, &mut self.names);
        for (role, amounts) in &reserved {
            self.roles.reserve(*role, amounts);
        }
        slave.set_total(shape, reserved, &mut self.names);
        self.roles.unsort_all();
        before.into_iter().for_each(|(role, _)| self.roles.prune(role));
        self.note_needs(ix);
    }

    fn shape(&mut self, total: Resources) -> Arc<Resources> {
        if let Some(known) = self.shapes.iter().find(|known| ***known == total) {
            return known.clone();
        }
        if self.shapes.len() == SHAPES {
            self.shapes.remove(0);
        }
        let shape = Arc::new(total);
        self.shapes.push(shape.clone());
        shape
    }

    fn set_spec(&mut self, ix: SlaveIx, spec: SlaveSpec) {
        for client in &self.constrained {
            let client = &mut self.clients[*client];
            let framework = self.frameworks.find(&client.framework_id);
            let admits = |of: &FrameworkSpec| {
                of.constraints.admits(&self.roles.get(client.role).name, &spec)
            };
            if framework.and_then(|ix| self.frameworks.get(ix)).is_none_or(|f| admits(&f.spec)) {
                client.excluded.remove(&ix);
            } else {
                client.excluded.insert(ix);
            }
        }
        if let Some(slave) = self.slaves.get_mut(ix) {
            (slave.spec, slave.quiet) = (spec, None);
        }
        self.note_needs(ix);
    }

    /// What frameworks must have for the slave.
    fn note_needs(&mut self, ix: SlaveIx) {
        let Some(slave) = self.slaves.get_mut(ix) else { return };
        let home = self.config.domain.as_ref().map(|domain| &domain.region);
        let there = slave.spec.domain.as_ref().map(|domain| &domain.region);
        let is_remote = home.is_some() && there.is_some() && home != there;
        let has_gpus = slave.total.gpus() > 0.0;
        slave.needs = [
            (bits::GPUS, self.config.filter_gpus && has_gpus),
            (bits::REMOTE, is_remote),
            (bits::SINGLE_ROLE, !slave.spec.multi_role),
            (bits::FLAT_ROLE, !slave.spec.hierarchical_roles),
        ]
        .into_iter()
        .fold(0, |needs, (bit, set)| if set { needs | bit } else { needs });
    }
}
