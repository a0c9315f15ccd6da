//! What the books say: for metrics and for checks.

use std::collections::BTreeMap;

use protos::ids::SlaveId;
use protos::resources::Resources;

use super::Hierarchy;

impl Hierarchy {
    /// Total of a scalar, and how much of it is allocated.
    pub fn scalar(&self, name: &str) -> (f64, f64) {
        let total: f64 = self.slaves.values().map(|slave| slave.total.scalar(name)).sum();
        let free: f64 = self.slaves.values().map(|slave| slave.available.scalar(name)).sum();
        (total, total - free)
    }

    /// Refusals in force, by role that has frameworks.
    pub fn filters_by_role(&self) -> BTreeMap<String, usize> {
        self.members.keys().map(|role| (role.clone(), self.filters.count(role))).collect()
    }

    /// The slave's total, what frameworks hold of it, and what is left; for checks.
    pub fn slave(&self, id: &SlaveId) -> Option<(Resources, Resources, Resources)> {
        let slave = self.slaves.get(id)?;
        let held = slave.held.values().map(Resources::unallocated).sum();
        Some((slave.total.clone(), held, slave.available.clone()))
    }
}
