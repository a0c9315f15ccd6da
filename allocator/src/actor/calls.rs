//! The contract, call by call: each becomes an event of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::BoxFuture;
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::Unavailability;
use protos::resources::Resources;

use super::{AllocatorProcess, Candidates, HierarchicalAllocator};
use crate::explain::{Explanation, Question};
use crate::{Allocator, FrameworkSpec, InverseStatus, InverseStatuses, Quota, SlaveSpec};

impl Allocator for HierarchicalAllocator {
    fn add_framework(
        &self,
        id: FrameworkId,
        spec: FrameworkSpec,
        active: bool,
        used: BTreeMap<SlaveId, Resources>,
    ) {
        self.change_roles(move |hierarchy| hierarchy.add_framework(id, spec, active, used));
    }

    fn update_framework(&self, id: FrameworkId, spec: FrameworkSpec) {
        self.change_roles(move |hierarchy| hierarchy.update_framework(&id, spec));
    }

    fn remove_framework(&self, id: FrameworkId) {
        self.change_roles(move |hierarchy| hierarchy.remove_framework(&id));
    }

    fn activate_framework(&self, id: FrameworkId) {
        self.change(move |hierarchy, _| hierarchy.set_framework_active(&id, true));
    }

    fn deactivate_framework(&self, id: FrameworkId) {
        self.tell(move |process, _| process.hierarchy.set_framework_active(&id, false));
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

    fn update_slave_spec(&self, id: SlaveId, spec: SlaveSpec) {
        self.change_slave(id, move |hierarchy, id, _| hierarchy.update_slave_spec(id, spec));
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

    fn track_allocation(&self, slave: SlaveId, more: BTreeMap<FrameworkId, Resources>) {
        self.change_slave(slave, move |hierarchy, slave, _| hierarchy.track(slave, more));
    }

    fn update_allocation(
        &self,
        framework: FrameworkId,
        slave: SlaveId,
        total: Resources,
        before: Resources,
        after: Resources,
    ) {
        self.change_slave(slave, move |hierarchy, slave, _| {
            hierarchy.update_allocation(&framework, slave, total, &before, &after);
        });
    }

    fn recover_resources(
        &self,
        framework: FrameworkId,
        slave: SlaveId,
        resources: Resources,
        refuse_for: Option<Duration>,
    ) {
        self.change_slave(slave, move |hierarchy, slave, now| {
            hierarchy.recover_resources(&framework, slave, &resources, refuse_for, now);
        });
    }

    fn suppress_offers(&self, framework: FrameworkId, roles: BTreeSet<String>) {
        self.tell(move |process, _| process.hierarchy.suppress(&framework, &roles));
    }

    fn revive_offers(&self, framework: FrameworkId, roles: BTreeSet<String>) {
        self.change(move |hierarchy, _| hierarchy.revive(&framework, &roles));
    }

    fn update_weights(&self, weights: Vec<(String, f64)>) {
        self.change(move |hierarchy, _| hierarchy.update_weights(weights));
    }

    fn update_quota(&self, role: String, quota: Quota) {
        self.change_roles(move |hierarchy| hierarchy.update_quota(&role, &quota));
    }

    fn update_whitelist(&self, hostnames: Option<BTreeSet<String>>) {
        self.change(move |hierarchy, _| hierarchy.update_whitelist(hostnames));
    }

    fn recover(&self, slaves: usize, quotas: BTreeMap<String, Quota>) {
        self.tell(move |process, cx| {
            if process.hierarchy.recover(slaves, &quotas) {
                cx.after(process.config.recovery_timeout, |process: &mut AllocatorProcess, cx| {
                    process.hierarchy.resume();
                    process.look_at_all(Candidates::All, cx);
                });
            }
        });
    }

    fn update_unavailability(&self, slave: SlaveId, unavailability: Option<Unavailability>) {
        self.change_slave(slave, move |hierarchy, slave, _| {
            hierarchy.update_unavailability(slave, unavailability);
        });
    }

    fn update_inverse_offer(
        &self,
        slave: SlaveId,
        framework: FrameworkId,
        status: Option<InverseStatus>,
        refuse_for: Option<Duration>,
    ) {
        self.change_slave(slave, move |hierarchy, slave, now| {
            hierarchy.update_inverse_offer(slave, &framework, status, refuse_for, now);
        });
    }

    fn inverse_statuses(&self) -> BoxFuture<'static, InverseStatuses> {
        let asked = self.handle.ask(|process, _| process.hierarchy.inverse_statuses());
        Box::pin(async move { asked.await.unwrap_or_default() })
    }

    fn explain(&self, question: Question) -> BoxFuture<'static, Explanation> {
        let asked =
            self.handle.ask(move |process, cx| process.hierarchy.explain(&question, cx.now()));
        Box::pin(async move { asked.await.unwrap_or_default() })
    }
}
