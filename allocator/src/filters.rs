//! Who refused what, and until when.

use std::collections::BTreeMap;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

#[derive(Debug, Clone)]
struct Refusal {
    /// Not allocated.
    resources: Resources,
    until: Time,
}

type Holder = (FrameworkId, String);

/// Refusals by (framework, role) and slave.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    by_holder: BTreeMap<Holder, BTreeMap<SlaveId, Vec<Refusal>>>,
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
        let holder = (framework.clone(), role.to_owned());
        let refusals = self.by_holder.entry(holder).or_default().entry(slave.clone()).or_default();
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
        if self.by_holder.is_empty() {
            return false;
        }
        let holder = (framework.clone(), role.to_owned());
        let refusals = self.by_holder.get(&holder).and_then(|slaves| slaves.get(slave));
        refusals.is_some_and(|refusals| {
            refusals.iter().any(|r| now < r.until && r.resources.contains(resources))
        })
    }

    /// Forgets the refusals of a framework: those for one role, or all.
    pub fn forget_framework(&mut self, framework: &FrameworkId, role: Option<&str>) {
        self.by_holder
            .retain(|(id, held), _| id != framework || role.is_some_and(|role| role != held));
    }

    /// Forgets the refusals of a slave.
    pub fn forget_slave(&mut self, slave: &SlaveId) {
        self.by_holder.values_mut().for_each(|slaves| {
            slaves.remove(slave);
        });
    }

    /// Drops what has run out.
    pub fn expire(&mut self, now: Time) {
        self.by_holder.retain(|_, slaves| {
            slaves.retain(|_, refusals| {
                refusals.retain(|refusal| now < refusal.until);
                !refusals.is_empty()
            });
            !slaves.is_empty()
        });
    }

    /// How many refusals are in force for frameworks of a role.
    pub fn count(&self, role: &str) -> usize {
        let of_role = self.by_holder.iter().filter(|((_, held), _)| held == role);
        of_role.flat_map(|(_, slaves)| slaves.values()).map(Vec::len).sum()
    }
}
