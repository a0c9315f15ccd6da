//! Who refused what, and until when.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

#[derive(Debug, Clone)]
struct Refusal {
    /// Not allocated.
    resources: Resources,
    until: Time,
}

type BySlave = BTreeMap<SlaveId, Vec<Refusal>>;

/// Between two sweeps for what has run out; until then it lies there without effect.
const SWEEP: Duration = Duration::from_secs(1);

/// Refusals by framework, role and slave.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    by_framework: BTreeMap<FrameworkId, BTreeMap<String, BySlave>>,
    swept: Time,
}

impl Filters {
    /// `resources` of `slave` are not to be offered to the framework and role until then.
    pub fn refuse(
        &mut self,
        framework: &FrameworkId,
        role: &str,
        slave: &SlaveId,
        resources: Resources,
        until: Time,
    ) {
        let roles = self.by_framework.entry(framework.clone()).or_default();
        let slaves = roles.entry(role.to_owned()).or_default();
        let refusals = slaves.entry(slave.clone()).or_default();
        refusals.push(Refusal { resources: resources.unallocated(), until });
    }

    /// True when an offer of `resources` would be a part of what was refused.
    pub fn hides(
        &self,
        framework: &FrameworkId,
        role: &str,
        slave: &SlaveId,
        resources: &Resources,
        now: Time,
    ) -> bool {
        let roles = self.by_framework.get(framework);
        let refusals = roles.and_then(|roles| roles.get(role)?.get(slave));
        refusals.is_some_and(|refusals| {
            refusals.iter().any(|r| now < r.until && r.resources.contains(resources))
        })
    }

    /// Forgets the refusals of a framework: those for one role, or all.
    pub fn forget_framework(&mut self, framework: &FrameworkId, role: Option<&str>) {
        match role {
            None => {
                self.by_framework.remove(framework);
            }
            Some(role) => {
                if let Some(roles) = self.by_framework.get_mut(framework) {
                    roles.remove(role);
                }
            }
        }
    }

    /// Forgets the refusals of a slave.
    pub fn forget_slave(&mut self, slave: &SlaveId) {
        for slaves in self.by_framework.values_mut().flat_map(BTreeMap::values_mut) {
            slaves.remove(slave);
        }
    }

    /// Drops what has run out, looking once a second at most.
    pub fn expire(&mut self, now: Time) {
        if now.since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        self.by_framework.retain(|_, roles| {
            roles.retain(|_, slaves| {
                slaves.retain(|_, refusals| {
                    refusals.retain(|refusal| now < refusal.until);
                    !refusals.is_empty()
                });
                !slaves.is_empty()
            });
            !roles.is_empty()
        });
    }

    /// How many refusals there are for frameworks of a role.
    pub fn count(&self, role: &str) -> usize {
        let of_role = self.by_framework.values().filter_map(|roles| roles.get(role));
        of_role.flat_map(BTreeMap::values).map(Vec::len).sum()
    }
}
