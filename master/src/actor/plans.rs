//! What operators plan for machines and roles, and what the allocator makes of it.

use libprocess::Ctx;
use protos::mesos::MachineId;
use protos::mesos::allocator::InverseOfferStatus;
use protos::mesos::quota::QuotaConfig;

use crate::Master;
use crate::calls::offers::rescind;
use crate::registrar::{Operation, Registry};
use crate::state::Maintenance;

impl Master {
    /// The registry holds a change of the schedule or of machines' modes: the books follow.
    pub(crate) fn maintenance_changed(&mut self, operation: Operation, cx: &mut Ctx<Self>) {
        let mut registry = Registry {
            schedule: self.state.maintenance.schedule.take(),
            machines: std::mem::take(&mut self.state.maintenance.machines),
            ..Registry::default()
        };
        let before = registry.machines.clone();
        operation.apply(&mut registry);
        let (schedule, machines) = (registry.schedule, registry.machines);
        self.state.maintenance = Maintenance { schedule, machines };
        let after = &self.state.maintenance.machines;
        let changed: Vec<MachineId> = before
            .iter()
            .chain(after)
            .filter(|info| !(before.contains(info) && after.contains(info)))
            .map(|info| info.id.clone())
            .collect();
        self.decide(cx, |state, fx| {
            let slaves: Vec<_> = state
                .slaves
                .iter()
                .filter(|slave| changed.iter().any(|id| Maintenance::is_on(id, slave)))
                .map(|slave| slave.id.clone())
                .collect();
            for id in slaves {
                // Offers that do not tell of the plan are taken back; new ones will.
                for offer in state.offers.of_slave(&id) {
                    rescind(state, &offer, true, fx);
                }
            }
        });
    }

    /// The registry holds a role's quota.
    pub(crate) fn quota_changed(&mut self, _: &QuotaConfig) {
        // The allocator's contract has no quotas yet.
    }

    /// What frameworks said to inverse offers of a machine's slaves.
    pub(crate) fn inverse_statuses(&self, _: &MachineId) -> Vec<InverseOfferStatus> {
        Vec::new()
    }
}
