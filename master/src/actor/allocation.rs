//! The master and its allocator.

use std::sync::{Arc, OnceLock};

use allocator::catalogue::DEFAULT;
use allocator::{Allocator, Callbacks, HierarchicalAllocator};
use libprocess::{Handle, Node, SpawnError};
use protos::ids::SlaveId;

use crate::effects::AllocatorCall;
use crate::{Config, Master};

/// Where the allocator's decisions go once the master is there.
pub(super) type Sink = Arc<OnceLock<Handle<Master>>>;

/// Starts the allocator that the configuration names.
pub(super) fn start(
    node: &Node,
    config: &Config,
    sink: &Sink,
) -> Result<Arc<dyn Allocator>, SpawnError> {
    let (offers, inverse) = (sink.clone(), sink.clone());
    let callbacks = Callbacks {
        offers: Arc::new(move |framework, allocation| {
            if let Some(master) = offers.get() {
                master.tell(move |master, cx| master.offer(&framework, allocation, cx));
            }
        }),
        inverse_offers: Arc::new(move |framework, slaves| {
            if let Some(master) = inverse.get() {
                master.tell(move |master, cx| master.ask_to_leave(&framework, slaves, cx));
            }
        }),
    };
    let allocation = allocator::Config {
        allocation_interval: config.allocation_interval,
        weights: config.weights.clone(),
        domain: config.domain.as_ref().and_then(allocator::Domain::of),
        framework_metrics: config.publish_per_framework_metrics,
        ..config.allocation.clone()
    };
    let named = config.catalogue.get(&config.allocator);
    match named.or_else(|| config.catalogue.get(DEFAULT)) {
        Some(factory) => factory(node, allocation, callbacks),
        None => HierarchicalAllocator::start_with(node, allocation, callbacks),
    }
}

impl Master {
    pub(super) fn call_allocator(&self, call: AllocatorCall) {
        let to = &self.allocator;
        match call {
            AllocatorCall::AddFramework { id, spec, active, used } => {
                to.add_framework(id, spec, active, used);
            }
            AllocatorCall::UpdateFramework(id, spec) => to.update_framework(id, spec),
            AllocatorCall::RemoveFramework(id) => to.remove_framework(id),
            AllocatorCall::ActivateFramework(id) => to.activate_framework(id),
            AllocatorCall::DeactivateFramework(id) => to.deactivate_framework(id),
            AllocatorCall::AddSlave { id, spec, total, used } => {
                to.add_slave(id, spec, total, used);
            }
            AllocatorCall::UpdateSlave(id, total) => to.update_slave(id, total),
            AllocatorCall::RemoveSlave(id) => to.remove_slave(id),
            AllocatorCall::ActivateSlave(id) => to.activate_slave(id),
            AllocatorCall::DeactivateSlave(id) => to.deactivate_slave(id),
            AllocatorCall::Recover { framework, slave, resources, refuse_for } => {
                to.recover_resources(framework, slave, resources, refuse_for);
            }
            AllocatorCall::Convert { framework: Some(framework), slave, total, before, after } => {
                to.update_allocation(framework, slave, total, before, after);
            }
            // What nobody holds is the allocator's to give as soon as it is in the total.
            AllocatorCall::Convert { framework: None, slave, total, .. } => {
                to.update_slave(slave, total);
            }
            AllocatorCall::Suppress(id, roles) => to.suppress_offers(id, roles),
            AllocatorCall::Revive(id, roles) => to.revive_offers(id, roles),
            AllocatorCall::Request(id, wanted) => to.request_resources(id, wanted),
            AllocatorCall::Unavailability(id, plan) => to.update_unavailability(id, plan),
            AllocatorCall::InverseAnswer { slave, framework, status, refuse_for } => {
                to.update_inverse_offer(slave, framework, status, refuse_for);
            }
        }
    }

    /// The allocator starts over with a slave and is told who holds what of it.
    pub(super) fn resync(&mut self, id: &SlaveId) {
        let held = self.state.held_on(id);
        let Some(slave) = self.state.slaves.get_mut(id) else { return };
        slave.restarted = true;
        let (spec, total, active) = (slave.spec(), slave.total.clone(), slave.active);
        self.allocator.add_slave(id.clone(), spec, total, held);
        if !active {
            self.allocator.deactivate_slave(id.clone());
        }
        let slave = self.state.slaves.get(id);
        let plan = slave.and_then(|slave| self.state.maintenance.unavailability(slave)).copied();
        if plan.is_some() {
            self.allocator.update_unavailability(id.clone(), plan);
        }
    }
}
