//! Inverse offers: frameworks are asked to leave slaves that will not be there for some time.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::Unavailability;

use super::Hierarchy;
use super::slave::Maintenance;
use crate::{InverseStatus, InverseStatuses};

impl Maintenance {
    fn new(unavailability: Unavailability) -> Self {
        Self {
            unavailability,
            outstanding: Vec::new(),
            statuses: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// The framework is gone or not listening: it may be asked again.
    pub(super) fn forget(&mut self, framework: &FrameworkId) {
        self.outstanding.retain(|id| id != framework);
        self.refused.remove(framework);
    }
}

impl Hierarchy {
    /// See [`crate::Allocator::update_unavailability`].
    pub fn update_unavailability(&mut self, slave: &SlaveId, planned: Option<Unavailability>) {
        if let Some(slave) = self.slaves.by_key_mut(slave) {
            slave.maintenance = planned.map(Maintenance::new);
        }
    }

    /// See [`crate::Allocator::update_inverse_offer`].
    pub fn update_inverse_offer(
        &mut self,
        slave: &SlaveId,
        framework: &FrameworkId,
        status: Option<InverseStatus>,
        refuse_for: Option<Duration>,
        now: Time,
    ) {
        let least = self.config.allocation_interval;
        let Some(slave) = self.slaves.by_key_mut(slave) else { return };
        let Some(maintenance) = &mut slave.maintenance else { return };
        maintenance.outstanding.retain(|id| id != framework);
        if let Some(status) = status {
            maintenance.statuses.insert(framework.clone(), (status, now));
        }
        if let Some(refuse_for) = refuse_for {
            maintenance.refused.insert(framework.clone(), now + refuse_for.max(least));
        }
    }

    /// Whom to ask to leave which of all slaves. They count as asked until they answer.
    pub fn inverse_offers(
        &mut self,
        now: Time,
    ) -> BTreeMap<FrameworkId, BTreeMap<SlaveId, Unavailability>> {
        let mut asked: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        let planned: Vec<(SlaveId, usize)> =
            self.slaves.keys().map(|(id, ix)| (id.clone(), ix)).collect();
        for (id, ix) in planned {
            let Some(slave) = self.slaves.get_mut(ix) else { continue };
            let Some(maintenance) = &mut slave.maintenance else { continue };
            maintenance.refused.retain(|_, until| now < *until);
            for client in slave.held.keys() {
                let framework = &self.clients[*client].framework_id;
                let at = self.frameworks.find(framework);
                let listens = at.and_then(|at| self.frameworks.get(at)).is_some_and(|f| f.active);
                let waits = maintenance.outstanding.contains(framework)
                    || maintenance.refused.contains_key(framework);
                if listens && !waits {
                    maintenance.outstanding.push(framework.clone());
                    let of_framework = asked.entry(framework.clone()).or_default();
                    of_framework.insert(id.clone(), maintenance.unavailability);
                }
            }
        }
        asked
    }

    /// What frameworks said to inverse offers, by slave with planned maintenance.
    pub fn inverse_statuses(&self) -> InverseStatuses {
        let mut statuses = InverseStatuses::new();
        for (id, ix) in self.slaves.keys() {
            if let Some(maintenance) = self.slaves.get(ix).and_then(|s| s.maintenance.as_ref()) {
                statuses.insert(id.clone(), maintenance.statuses.clone());
            }
        }
        statuses
    }
}
