//! A slave as the allocator sees it: a total, what of it is held by whom, what is left, and how what
//! is left looks to each kind of client.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::Unavailability;
use protos::resources::{Resources, reservation_role};

use super::ClientIx;
use super::refusals::Refusals;
use super::roles::{RoleIx, Roles};
use crate::amounts::{Amounts, Names};
use crate::{InverseStatus, SlaveSpec};

/// Kinds of resources that not every framework takes, and what a slave asks of its frameworks.
pub(super) mod bits {
    pub(in super::super) const REVOCABLE: u8 = 1;
    pub(in super::super) const SHARED: u8 = 1 << 1;
    pub(in super::super) const REFINED: u8 = 1 << 2;
    pub(in super::super) const GPUS: u8 = 1 << 3;
    pub(in super::super) const REMOTE: u8 = 1 << 4;
    pub(in super::super) const SINGLE_ROLE: u8 = 1 << 5;
    pub(in super::super) const FLAT_ROLE: u8 = 1 << 6;
}

/// What is left, as one kind of client sees it.
#[derive(Debug)]
pub(super) struct View {
    /// Which reservations and kinds of resources it includes.
    key: (u64, u8),
    pub(super) resources: Arc<Resources>,
    /// All its scalars.
    pub(super) amounts: Amounts,
    /// Those that count against quota.
    pub(super) plain: Amounts,
}

/// That the slave will not be there for some time, and what frameworks say to that.
#[derive(Debug)]
pub(super) struct Maintenance {
    pub(super) unavailability: Unavailability,
    pub(super) outstanding: Vec<FrameworkId>,
    pub(super) statuses: BTreeMap<FrameworkId, (InverseStatus, Time)>,
    /// Who is not to be asked until when.
    pub(super) refused: BTreeMap<FrameworkId, Time>,
}

#[derive(Debug)]
pub(super) struct Slave {
    pub(super) id: SlaveId,
    pub(super) spec: SlaveSpec,
    pub(super) total: Arc<Resources>,
    /// What each client holds; not allocated.
    pub(super) held: BTreeMap<ClientIx, Resources>,
    /// All that is held, without what is shared; not allocated.
    taken: Resources,
    /// What is left of the total; not allocated.
    pub(super) available: Arc<Resources>,
    /// What of that counts against quota.
    pub(super) free: Amounts,
    pub(super) active: bool,
    /// What frameworks must have the bits for.
    pub(super) needs: u8,
    /// Kinds of resources that it has.
    kinds: u8,
    /// Amounts of the total, for shares; and reserved ones by role.
    pub(super) fair: Amounts,
    pub(super) reserved: Vec<(RoleIx, Amounts)>,
    views: Vec<View>,
    pub(super) refusals: Refusals,
    pub(super) maintenance: Option<Maintenance>,
    /// Nobody can be given anything of it before that time, as long as frameworks are as they were
    /// in that epoch.
    pub(super) quiet: Option<(u64, Time)>,
    /// Who was offered what in the last cycle that looked here.
    pub(super) offered: Vec<(ClientIx, Resources)>,
    /// Who refused something for no time since something else became free. They wait for the next
    /// periodic cycle: else offers would go to and fro as fast as messages do.
    pub(super) returned: Vec<ClientIx>,
}

impl Slave {
    pub(super) fn new(id: SlaveId) -> Self {
        Self {
            id,
            spec: SlaveSpec::default(),
            total: Arc::default(),
            held: BTreeMap::new(),
            taken: Resources::new(),
            available: Arc::default(),
            free: Amounts::default(),
            active: true,
            needs: 0,
            kinds: 0,
            fair: Amounts::default(),
            reserved: Vec::new(),
            views: Vec::new(),
            refusals: Refusals::default(),
            maintenance: None,
            quiet: None,
            offered: Vec::new(),
            returned: Vec::new(),
        }
    }

    /// Takes a total whose reservations are to these roles.
    pub(super) fn set_total(
        &mut self,
        total: Arc<Resources>,
        reserved: Vec<(RoleIx, Amounts)>,
        names: &mut Names,
    ) {
        (self.total, self.reserved, self.kinds) = (total, reserved, 0);
        for (kind, has) in [
            (bits::REVOCABLE, self.total.kinds().any(|r| r.revocable.is_some())),
            (bits::SHARED, self.total.kinds().any(|r| r.shared.is_some())),
            (bits::REFINED, self.total.has_refined()),
        ] {
            self.kinds |= if has { kind } else { 0 };
        }
        self.refresh(names);
    }

    /// What is left changed.
    fn refresh(&mut self, names: &mut Names) {
        self.available = if self.taken.is_empty() {
            self.total.clone()
        } else {
            Arc::new(self.total.minus(&self.taken))
        };
        self.changed(names);
    }

    fn changed(&mut self, names: &mut Names) {
        self.free = names.sum(&self.available, super::quota::is_plain);
        self.views.clear();
        self.refusals.changed();
        self.quiet = None;
    }

    pub(super) fn hold(&mut self, client: ClientIx, resources: &Resources, names: &mut Names) {
        *self.held.entry(client).or_default() += resources;
        let shared;
        let exclusive = if self.kinds & bits::SHARED == 0 {
            resources
        } else {
            shared = resources.non_shared();
            &shared
        };
        if self.taken.is_empty() && *exclusive == *self.available {
            (self.taken, self.available) = (exclusive.clone(), Arc::default());
        } else {
            self.taken += exclusive;
            self.available = Arc::new(self.total.minus(&self.taken));
        }
        self.changed(names);
    }

    /// Takes back what of `resources` the client holds; None when it holds nothing.
    pub(super) fn release(
        &mut self,
        client: ClientIx,
        resources: &Resources,
        names: &mut Names,
    ) -> Option<Resources> {
        let held = self.held.get_mut(&client)?;
        let rest = held.minus(resources);
        let back = held.minus(&rest);
        if rest.is_empty() {
            self.held.remove(&client);
        } else {
            *held = rest;
        }
        self.taken = self.taken.minus(&back.non_shared());
        // What was given in the last cycle and came back is not why it is there.
        self.offered.retain(|(to, _)| *to != client);
        self.refresh(names);
        Some(back)
    }

    /// What is left as clients of that role and with those bits see it.
    pub(super) fn view(
        &mut self,
        role: RoleIx,
        has: u8,
        roles: &Roles,
        names: &mut Names,
    ) -> usize {
        let key = (self.visible(role, roles), has & self.kinds);
        if let Some(at) = self.views.iter().position(|view| view.key == key) {
            return at;
        }
        let everything = self.reserved.iter().all(|(owner, _)| roles.inherits(role, *owner));
        let resources = if everything && key.1 == self.kinds {
            self.available.clone()
        } else {
            let name = &*roles.get(role).name;
            let seen = |kind: u8, is_kind: bool| !is_kind || has & kind != 0;
            let visible = self.available.available_to(name);
            Arc::new(visible.filter(|resource| {
                seen(bits::REVOCABLE, resource.revocable.is_some())
                    && seen(bits::SHARED, resource.shared.is_some())
                    && seen(bits::REFINED, resource.reservations.len() > 1)
            }))
        };
        let amounts = names.sum(&resources, |_| true);
        let plain = names.sum(&resources, super::quota::is_plain);
        self.views.push(View { key, resources, amounts, plain });
        self.views.len() - 1
    }

    pub(super) fn seen(&self, view: usize) -> &View {
        &self.views[view]
    }

    /// The refusal that hides all of a view from the client: until when.
    pub(super) fn covering_refusal(
        &mut self,
        client: ClientIx,
        view: usize,
        now: Time,
    ) -> Option<Time> {
        self.refusals.covering(client, view, &self.views[view].resources, now)
    }

    /// Which of the slave's reservations the role may be given, a bit for each; of many, the role.
    fn visible(&self, role: RoleIx, roles: &Roles) -> u64 {
        if self.reserved.len() >= 64 {
            return role as u64;
        }
        let bit = |(at, (owner, _)): (usize, &(RoleIx, Amounts))| {
            u64::from(roles.inherits(role, *owner)) << at
        };
        self.reserved.iter().enumerate().map(bit).sum()
    }

    pub(super) fn has_shared(&self) -> bool {
        self.kinds & bits::SHARED != 0
    }
}

/// Reserved amounts by role, without revocable ones.
pub(super) fn reserved(
    total: &Resources,
    roles: &mut Roles,
    names: &mut Names,
) -> Vec<(RoleIx, Amounts)> {
    let mut by_role: BTreeMap<RoleIx, Amounts> = BTreeMap::new();
    // Ranges and sets may be reserved alone; their role counts, too.
    for owner in total.kinds().filter_map(reservation_role) {
        by_role.entry(roles.make(owner)).or_default();
    }
    for (resource, amount) in total.scalars() {
        if let Some(owner) = reservation_role(resource)
            && resource.revocable.is_none()
        {
            let sum = by_role.entry(roles.make(owner)).or_default();
            *sum.at(names.id(&resource.name)) += amount;
        }
    }
    by_role.into_iter().collect()
}
