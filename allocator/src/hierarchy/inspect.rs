//! What the books say: for metrics, endpoints and checks.

use std::collections::{BTreeMap, BTreeSet};

use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

use super::Hierarchy;
use super::roles::{Bounds, ROOT};
use crate::amounts::Quantities;
use crate::config::Order;

/// What is known of a role.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoleFigures {
    /// Dominant share, 0 to 1; None where lots decide.
    pub share: Option<f64>,
    /// Refusals in force.
    pub refusals: usize,
    /// It has a quota.
    pub has_quota: bool,
    /// Reserved to it, or held by it: what its quota counts. In thousandths, as all that follows.
    pub consumed: Quantities,
    /// Offered to it or held by it.
    pub offered_or_allocated: Quantities,
    /// Promised to it.
    pub guarantees: Quantities,
    /// The most that it may have.
    pub limits: Quantities,
}

/// Slaves that constraints hide, by role that has constraints.
pub type Excluded = BTreeMap<String, Vec<SlaveId>>;

impl Hierarchy {
    /// Total of a scalar, and how much of it is allocated.
    pub fn scalar(&self, name: &str) -> (f64, f64) {
        let total: f64 = self.slaves.iter().map(|(_, slave)| slave.total.scalar(name)).sum();
        let free: f64 = self.slaves.iter().map(|(_, slave)| slave.available.scalar(name)).sum();
        (total, total - free)
    }

    /// How many cycles there were.
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// Names of all scalars that slaves have had.
    pub fn scalar_names(&self) -> Vec<String> {
        let total = self.names.quantities(&self.roles.total);
        total.into_keys().chain(self.config.excluded.iter().cloned()).collect()
    }

    /// What is known of each role, the root under an empty name.
    pub fn roles(&self) -> BTreeMap<String, RoleFigures> {
        let mut figures = BTreeMap::new();
        for (ix, role) in self.roles.iter() {
            let mut consumed = role.reserved.clone();
            consumed.add(&role.held.plain);
            let by_share = self.config.role_order == Order::Drf && ix != ROOT;
            let limits = role.quota.limits.iter();
            let of = RoleFigures {
                share: by_share.then(|| role.held.fair.dominant_share(&self.roles.total)),
                refusals: role.refusals,
                has_quota: role.quota != Bounds::default(),
                consumed: self.names.quantities(&consumed),
                offered_or_allocated: self.names.quantities(&role.held.plain),
                guarantees: self.names.quantities(&role.quota.guarantees),
                limits: limits.map(|(id, l)| (self.names.name(*id).to_owned(), *l)).collect(),
            };
            figures.insert(role.name.to_string(), of);
        }
        figures
    }

    /// Refusals in force, by role that has frameworks.
    pub fn filters_by_role(&self) -> BTreeMap<String, usize> {
        let inhabited = self.roles.iter().filter(|(_, role)| !role.members.is_empty());
        inhabited.map(|(_, role)| (role.name.to_string(), role.refusals)).collect()
    }

    /// The slave's total, what frameworks hold of it, and what is left; for checks.
    pub fn slave(&self, id: &SlaveId) -> Option<(Resources, Resources, Resources)> {
        let slave = self.slaves.get(self.slaves.find(id)?)?;
        let held = slave.held.values().cloned().sum();
        Some(((*slave.total).clone(), held, (*slave.available).clone()))
    }

    /// Name, id, role, and whether offers are suppressed there, of each framework in each role.
    pub fn suppression(&self) -> Vec<(String, FrameworkId, String, bool)> {
        let mut all = Vec::new();
        for (id, ix) in self.frameworks.keys() {
            let Some(framework) = self.frameworks.get(ix).filter(|f| f.known) else { continue };
            for role in &framework.spec.roles {
                let suppressed = framework.spec.suppressed_roles.contains(role);
                all.push((framework.spec.name.clone(), id.clone(), role.clone(), suppressed));
            }
        }
        all
    }

    /// By framework: the roles it suppressed, and the slaves that constraints exclude for each role.
    pub fn constraints(&self) -> BTreeMap<FrameworkId, (BTreeSet<String>, Excluded)> {
        let mut all = BTreeMap::new();
        for (id, ix) in self.frameworks.keys() {
            let Some(framework) = self.frameworks.get(ix).filter(|f| f.known) else { continue };
            let mut excluded = Excluded::new();
            for (role, client) in &framework.clients {
                let slaves = self.clients[*client].excluded.iter();
                let ids = slaves.filter_map(|slave| Some(self.slaves.get(*slave)?.id.clone()));
                if !framework.spec.constraints.is_free(role) {
                    excluded.insert(role.to_string(), ids.collect());
                }
            }
            all.insert(id.clone(), (framework.spec.suppressed_roles.clone(), excluded));
        }
        all
    }
}
