//! A slave as the allocator sees it: a total, what of it is held by whom, what is left.

use std::collections::BTreeMap;

use protos::ids::FrameworkId;
use protos::resources::Resources;

use crate::SlaveSpec;

#[derive(Debug)]
pub(super) struct Slave {
    pub(super) spec: SlaveSpec,
    pub(super) total: Resources,
    /// What each framework holds, allocated to roles.
    pub(super) held: BTreeMap<FrameworkId, Resources>,
    /// All that is held; not allocated.
    pub(super) taken: Resources,
    /// What is left of the total; not allocated.
    pub(super) available: Resources,
    pub(super) active: bool,
}

impl Slave {
    pub(super) fn refresh(&mut self) {
        self.available = self.total.minus(&self.taken);
    }

    pub(super) fn hold(&mut self, framework: &FrameworkId, resources: &Resources) {
        *self.held.entry(framework.clone()).or_default() += resources;
        self.taken += &resources.unallocated();
        self.refresh();
    }

    /// Takes back what of `resources` the framework holds; None when it holds nothing.
    pub(super) fn release(
        &mut self,
        framework: &FrameworkId,
        resources: &Resources,
    ) -> Option<Resources> {
        let held = self.held.get_mut(framework)?;
        let rest = held.minus(resources);
        let back = held.minus(&rest);
        if rest.is_empty() {
            self.held.remove(framework);
        } else {
            *held = rest;
        }
        self.taken = self.taken.minus(&back.unallocated());
        self.refresh();
        Some(back)
    }
}
