//! Outstanding offers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// All outstanding offers. Each is shared with snapshots.
#[derive(Debug, Clone)]
pub(crate) struct Offers {
    prefix: String,
    next: u64,
    by_id: BTreeMap<OfferId, Arc<Offer>>,
    /// Ids by slave; no set is empty.
    by_slave: BTreeMap<SlaveId, BTreeSet<OfferId>>,
    /// Inverse offers that are not answered yet; ids are of the same row.
    inverse: BTreeMap<OfferId, (FrameworkId, SlaveId)>,
}

impl Offers {
    pub(crate) fn new(master_id: &str) -> Self {
        Self {
            prefix: master_id.to_owned(),
            next: 0,
            by_id: BTreeMap::new(),
            by_slave: BTreeMap::new(),
            inverse: BTreeMap::new(),
        }
    }

    fn new_id(&mut self) -> OfferId {
        let id = OfferId::new(format!("{}-O{}", self.prefix, self.next));
        self.next += 1;
        id
    }

    /// Notes that a framework was asked to leave a slave.
    pub(crate) fn add_inverse(&mut self, framework: FrameworkId, slave: SlaveId) -> OfferId {
        let id = self.new_id();
        self.inverse.insert(id.clone(), (framework, slave));
        id
    }

    /// Takes a framework's own inverse offer: the slave that it is to leave.
    pub(crate) fn take_inverse(&mut self, id: &OfferId, of: &FrameworkId) -> Option<SlaveId> {
        self.inverse.get(id).filter(|(framework, _)| framework == of)?;
        self.inverse.remove(id).map(|(_, slave)| slave)
    }

    /// Takes all inverse offers of a slave.
    pub(crate) fn take_inverse_of(&mut self, slave: &SlaveId) -> Vec<(OfferId, FrameworkId)> {
        let is_of = |(_, (_, of)): &(&OfferId, &(FrameworkId, SlaveId))| of == slave;
        let ids: Vec<_> = self.inverse.iter().filter(is_of).map(|(id, _)| id.clone()).collect();
        ids.into_iter()
            .filter_map(|id| self.inverse.remove(&id).map(|(framework, _)| (id, framework)))
            .collect()
    }

    /// Forgets a framework's inverse offers.
    pub(crate) fn forget_inverse(&mut self, of: &FrameworkId) {
        self.inverse.retain(|_, (framework, _)| framework != of);
    }

    /// Notes an offer under a new id, `<master id>-O<n>`.
    pub(crate) fn add(
        &mut self,
        framework: FrameworkId,
        slave: SlaveId,
        role: String,
        resources: Resources,
    ) -> &Offer {
        let id = self.new_id();
        self.by_slave.entry(slave.clone()).or_default().insert(id.clone());
        let offer = Offer { id: id.clone(), framework, slave, role, resources };
        self.by_id.entry(id).or_insert(Arc::new(offer))
    }

    pub(crate) fn get(&self, id: &OfferId) -> Option<&Offer> {
        self.by_id.get(id).map(|offer| &**offer)
    }

    pub(crate) fn remove(&mut self, id: &OfferId) -> Option<Offer> {
        let offer = self.by_id.remove(id)?;
        if let Some(here) = self.by_slave.get_mut(&offer.slave) {
            here.remove(id);
            if here.is_empty() {
                self.by_slave.remove(&offer.slave);
            }
        }
        Some(Arc::unwrap_or_clone(offer))
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.by_id.values().map(|offer| &**offer)
    }

    pub(crate) fn of_slave(&self, slave: &SlaveId) -> Vec<OfferId> {
        self.by_slave.get(slave).into_iter().flatten().cloned().collect()
    }

    /// What is offered of a slave altogether.
    pub(crate) fn held_on(&self, slave: &SlaveId) -> Resources {
        let mut held = Resources::new();
        for id in self.by_slave.get(slave).into_iter().flatten() {
            if let Some(offer) = self.by_id.get(id) {
                held += &offer.resources;
            }
        }
        held
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}
