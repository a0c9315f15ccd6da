//! The tree of roles: `a/b` stands below `a`, everything below the root. A role counts what it and
//! the roles below it hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use protos::ids::FrameworkId;

use super::ClientIx;
use super::order::Slot;
use crate::amounts::{Amounts, NameId};
use crate::config::Order;

/// The number of a role.
pub(super) type RoleIx = usize;

/// The root: the parent of `a`, with an empty name.
pub(super) const ROOT: RoleIx = 0;

/// Promises and limits by number of name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) guarantees: Amounts,
    pub(super) limits: Vec<(NameId, i64)>,
}

/// What a client holds of a slave, as far as roles are concerned.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Holding {
    /// All scalars that shares are computed from.
    pub(super) fair: Amounts,
    /// Those that count against quota beside reservations: unreserved and not revocable.
    pub(super) plain: Amounts,
}

#[derive(Debug, Default)]
pub(super) struct Role {
    pub(super) name: Arc<str>,
    pub(super) parent: RoleIx,
    pub(super) children: BTreeMap<Arc<str>, RoleIx>,
    pub(super) members: BTreeMap<FrameworkId, ClientIx>,
    pub(super) quota: Bounds,
    /// Held in this role and below it.
    pub(super) held: Holding,
    /// Held by this role's own frameworks.
    pub(super) own: Amounts,
    /// Reserved to this role and those below it, not revocable; whether held or not.
    pub(super) reserved: Amounts,
    /// How often something was given to it and those below it, and to its own frameworks.
    pub(super) grants: u64,
    pub(super) own_grants: u64,
    /// Refusals by its own frameworks.
    pub(super) refusals: usize,
    /// Roles below it and `Own`, who deserves most first, without those that take no part.
    pub(super) order: Vec<Slot>,
    pub(super) own_order: Vec<ClientIx>,
    pub(super) is_sorted: bool,
}

impl Role {
    /// What quota counts: reservations, and what is held beside them.
    pub(super) fn consumed(&self, name: NameId) -> i64 {
        self.reserved.get(name) + self.held.plain.get(name)
    }

    fn is_idle(&self) -> bool {
        self.children.is_empty()
            && self.members.is_empty()
            && self.quota == Bounds::default()
            && self.reserved.is_zero()
    }
}

/// All roles that matter: those with frameworks, reservations or quota, and those above them.
#[derive(Debug)]
pub(super) struct Roles {
    nodes: Vec<Role>,
    by_name: BTreeMap<Arc<str>, RoleIx>,
    free: Vec<RoleIx>,
    pub(super) weights: BTreeMap<String, f64>,
    /// What there is to share.
    pub(super) total: Amounts,
    pub(super) order: Order,
    pub(super) framework_order: Order,
    /// Roles with quota.
    pub(super) bound: usize,
    /// All clients in order; valid while `is_flat`.
    pub(super) flat: Vec<ClientIx>,
    pub(super) is_flat: bool,
    /// No order is valid, whatever the roles say.
    pub(super) is_stale: bool,
}

impl Roles {
    pub(super) fn new(
        weights: BTreeMap<String, f64>,
        order: Order,
        framework_order: Order,
    ) -> Self {
        let root: Arc<str> = "".into();
        Self {
            nodes: vec![Role { name: root.clone(), ..Role::default() }],
            by_name: [(root, ROOT)].into(),
            free: Vec::new(),
            weights,
            total: Amounts::default(),
            order,
            framework_order,
            bound: 0,
            flat: Vec::new(),
            is_flat: false,
            is_stale: true,
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<RoleIx> {
        self.by_name.get(name).copied()
    }

    pub(super) fn get(&self, ix: RoleIx) -> &Role {
        &self.nodes[ix]
    }

    pub(super) fn get_mut(&mut self, ix: RoleIx) -> &mut Role {
        &mut self.nodes[ix]
    }

    /// All roles by name, the root first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RoleIx, &Role)> {
        self.by_name.values().map(|ix| (*ix, &self.nodes[*ix]))
    }

    pub(super) fn weight(&self, ix: RoleIx) -> f64 {
        self.weights.get(&*self.nodes[ix].name).copied().unwrap_or(1.0)
    }

    /// The role of that name, made with those above it when it is new.
    pub(super) fn make(&mut self, name: &str) -> RoleIx {
        if let Some(ix) = self.find(name) {
            return ix;
        }
        let parent = name.rsplit_once('/').map_or(ROOT, |(above, _)| self.make(above));
        let ix = self.free.pop().unwrap_or(self.nodes.len());
        let name: Arc<str> = name.into();
        let role = Role { name: name.clone(), parent, ..Role::default() };
        match self.nodes.get_mut(ix) {
            Some(node) => *node = role,
            None => self.nodes.push(role),
        }
        self.nodes[parent].children.insert(name.clone(), ix);
        self.by_name.insert(name, ix);
        ix
    }

    /// Forgets the role, and those above it, when nothing needs them any more. No effect on one that
    /// was forgotten with another.
    pub(super) fn prune(&mut self, mut ix: RoleIx) {
        if self.find(&self.nodes[ix].name) != Some(ix) {
            return;
        }
        while ix != ROOT && self.nodes[ix].is_idle() {
            let role = std::mem::take(&mut self.nodes[ix]);
            self.by_name.remove(&role.name);
            self.nodes[role.parent].children.remove(&role.name);
            self.free.push(ix);
            self.unsort(role.parent);
            ix = role.parent;
        }
    }

    /// The role and those above it, up to the root.
    pub(super) fn path(&self, ix: RoleIx) -> impl Iterator<Item = RoleIx> {
        std::iter::successors(Some(ix), |ix| (*ix != ROOT).then(|| self.nodes[*ix].parent))
    }

    /// True when what is reserved to `owner` may be given to `role`.
    pub(super) fn inherits(&self, role: RoleIx, owner: RoleIx) -> bool {
        self.path(role).any(|ix| ix == owner)
    }

    /// Changes the role and those above it.
    fn each_up(&mut self, mut ix: RoleIx, mut change: impl FnMut(&mut Role)) {
        loop {
            change(&mut self.nodes[ix]);
            if ix == ROOT {
                return;
            }
            ix = self.nodes[ix].parent;
        }
    }

    /// A framework of the role holds more; `grant` when it was given it just now.
    pub(super) fn hold(&mut self, ix: RoleIx, holding: &Holding, grant: bool) {
        let grants = u64::from(grant);
        self.each_up(ix, |role| {
            role.held.fair.add(&holding.fair);
            role.held.plain.add(&holding.plain);
            role.grants += grants;
        });
        self.nodes[ix].own.add(&holding.fair);
        self.nodes[ix].own_grants += grants;
    }

    /// A framework of the role holds less.
    pub(super) fn release(&mut self, ix: RoleIx, holding: &Holding) {
        self.each_up(ix, |role| {
            role.held.fair.subtract(&holding.fair);
            role.held.plain.subtract(&holding.plain);
        });
        self.nodes[ix].own.subtract(&holding.fair);
        self.unsort(ix);
    }

    /// A slave came with reservations to the role.
    pub(super) fn reserve(&mut self, ix: RoleIx, amounts: &Amounts) {
        self.each_up(ix, |role| role.reserved.add(amounts));
    }

    /// Reservations to the role are gone.
    pub(super) fn unreserve(&mut self, ix: RoleIx, amounts: &Amounts) {
        self.each_up(ix, |role| role.reserved.subtract(amounts));
    }

    /// The order of the role and those above it is to be made anew.
    pub(super) fn unsort(&mut self, ix: RoleIx) {
        self.each_up(ix, |role| role.is_sorted = false);
        self.is_flat = false;
    }

    /// All orders are to be made anew.
    pub(super) fn unsort_all(&mut self) {
        self.is_stale = true;
        self.is_flat = false;
    }

    pub(super) fn note_stale(&mut self) {
        if std::mem::take(&mut self.is_stale) {
            self.nodes.iter_mut().for_each(|role| role.is_sorted = false);
        }
    }

    /// Sets or (with empty bounds) removes a role's quota.
    pub(super) fn set_quota(&mut self, name: &str, bounds: Bounds) {
        let ix = self.make(name);
        let had = self.nodes[ix].quota != Bounds::default();
        let has = bounds != Bounds::default();
        self.bound = self.bound + usize::from(has) - usize::from(had);
        self.nodes[ix].quota = bounds;
        self.prune(ix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_forgotten_with_one_below_it_is_not_forgotten_again() {
        let mut roles = Roles::new(BTreeMap::new(), Order::default(), Order::default());
        let below = roles.make("a/b");
        let above = roles.find("a").unwrap();
        for ix in [below, above, below] {
            roles.prune(ix);
        }
        assert_eq!(roles.find(""), Some(ROOT));
        assert_ne!(roles.make("x"), roles.make("y"));
    }
}
