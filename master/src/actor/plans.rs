//! What operators plan for machines and roles, and what the allocator makes of it.

use allocator::Quota;
use libprocess::Ctx;
use protos::mesos::MachineId;
use protos::mesos::quota::QuotaConfig;

use crate::Master;
use crate::calls::{inverse, offers::rescind};
use crate::effects::AllocatorCall;
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
                let slave = state.slaves.get(&id);
                let plan = slave.and_then(|s| state.maintenance.unavailability(s)).copied();
                inverse::rescind_slave(state, &id, fx);
                fx.allocator(AllocatorCall::Unavailability(id.clone(), plan));
                // Offers that do not tell of the plan are taken back; new ones will.
                for offer in state.offers.of_slave(&id) {
                    rescind(state, &offer, true, fx);
                }
            }
        });
    }

    /// The registry holds a role's quota.
    pub(crate) fn quota_changed(&mut self, config: &QuotaConfig) {
        self.allocator.update_quota(config.role.clone(), Quota::from(config));
    }
}
