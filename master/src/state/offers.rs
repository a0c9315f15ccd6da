//! Outstanding offers.

use std::collections::BTreeMap;

use protos::ids::{FrameworkId, OfferId, SlaveId};
use protos::resources::Resources;

/// An offer that was sent and not answered yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offer {
    pub(crate) id: OfferId,
    pub(crate) framework: FrameworkId,
    pub(crate) slave: SlaveId,
    pub(crate) role: String,
    /// Allocated to the role.
    pub(crate) resources: Resources,
}

/// All outstanding offers.
#[derive(Debug)]
pub(crate) struct Offers {
    prefix: String,
    next: u64,
    by_id: BTreeMap<OfferId, Offer>,
}

impl Offers {
    pub(crate) fn new(master_id: &str) -> Self {
        Self { prefix: master_id.to_owned(), next: 0, by_id: BTreeMap::new() }
    }

    /// Notes an offer under a new id, `<master id>-O<n>`.
    pub(crate) fn add(
        &mut self,
        framework: FrameworkId,
        slave: SlaveId,
        role: String,
        resources: Resources,
    ) -> &Offer {
        let id = OfferId::new(format!("{}-O{}", self.prefix, self.next));
        self.next += 1;
        let offer = Offer { id: id.clone(), framework, slave, role, resources };
        self.by_id.entry(id).or_insert(offer)
    }

    pub(crate) fn get(&self, id: &OfferId) -> Option<&Offer> {
        self.by_id.get(id)
    }

    pub(crate) fn remove(&mut self, id: &OfferId) -> Option<Offer> {
        self.by_id.remove(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.by_id.values()
    }

    pub(crate) fn of_slave(&self, slave: &SlaveId) -> Vec<OfferId> {
        let of_slave = self.by_id.values().filter(|offer| offer.slave == *slave);
        of_slave.map(|offer| offer.id.clone()).collect()
    }

    pub(crate) fn of_framework(&self, framework: &FrameworkId) -> Vec<OfferId> {
        let of_framework = self.by_id.values().filter(|offer| offer.framework == *framework);
        of_framework.map(|offer| offer.id.clone()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}
