//! Quota in a cycle: what must stay free for guarantees, and how much a role may still be given.

use std::collections::BTreeMap;

use protos::mesos;
use protos::resources::Resources;

use super::roles::{ROOT, RoleIx, Roles};
use crate::amounts::{Amounts, NameId};

/// Roles with guarantees get theirs first; then everything is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Guarantees,
    FairShare,
}

/// Why a role is given no more of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// That role's limit.
    Limit(RoleIx),
    /// Guarantees of other roles.
    Kept,
}

/// At most so much of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cap {
    pub(super) name: NameId,
    pub(super) amount: i64,
    pub(super) why: Bound,
}

/// True for what counts against quota beside reservations.
pub(super) fn is_plain(resource: &mesos::Resource) -> bool {
    resource.reservations.is_empty() && resource.revocable.is_none() && resource.shared.is_none()
}

/// What changes during a cycle.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Free in the whole cluster, as far as it counts against quota.
    free: Amounts,
    /// What must stay free for a role and those below it, for roles that have such a need.
    needs: BTreeMap<RoleIx, Amounts>,
}

impl Ledger {
    pub(super) fn new(roles: &Roles, free: Amounts) -> Self {
        let mut ledger = Self { free, needs: BTreeMap::new() };
        let bound: Vec<RoleIx> =
            roles.iter().filter(|(_, r)| !r.quota.guarantees.is_zero()).map(|(ix, _)| ix).collect();
        // Longer paths first would do; going up from each is as right and needs no order.
        bound.into_iter().for_each(|ix| ledger.refresh(roles, ix));
        ledger
    }

    /// A role was given `plain`.
    pub(super) fn given(&mut self, roles: &Roles, role: RoleIx, plain: &Amounts) {
        self.free.subtract(plain);
        if !self.needs.is_empty() {
            self.refresh(roles, role);
        }
    }

    fn refresh(&mut self, roles: &Roles, role: RoleIx) {
        for ix in roles.path(role).collect::<Vec<_>>() {
            let need = self.need(roles, ix);
            if need.is_zero() {
                self.needs.remove(&ix);
            } else {
                self.needs.insert(ix, need);
            }
        }
    }

    fn below(&self, roles: &Roles, ix: RoleIx) -> Amounts {
        let mut sum = Amounts::default();
        roles.get(ix).children.values().filter_map(|c| self.needs.get(c)).for_each(|n| sum.add(n));
        sum
    }

    /// What the roles below need, but at least what is missing to the role's own guarantee.
    fn need(&self, roles: &Roles, ix: RoleIx) -> Amounts {
        let (role, mut need) = (roles.get(ix), self.below(roles, ix));
        let mut missing = Amounts::default();
        for (name, promised) in role.quota.guarantees.iter().filter(|(_, promised)| *promised > 0) {
            *missing.at(name) = (promised - role.consumed(name)).max(0);
        }
        need.widen(&missing);
        need
    }

    /// How much the role may take of what is kept free: its own and its ancestors' needs without
    /// what other roles below them need.
    fn allowance(&self, roles: &Roles, role: RoleIx) -> Amounts {
        let mut allowance = Amounts::default();
        for ix in roles.path(role) {
            if let Some(need) = self.needs.get(&ix) {
                let mut own = need.clone();
                own.subtract(&self.below(roles, ix));
                allowance.add(&own);
            }
        }
        allowance
    }

    /// How much of each resource the role may be given; None when it has no claim in this stage.
    pub(super) fn caps(&self, roles: &Roles, role: RoleIx, stage: Stage) -> Option<Vec<Cap>> {
        let mut caps = Vec::new();
        for ix in roles.path(role) {
            for &(name, limit) in &roles.get(ix).quota.limits {
                let amount = (limit - roles.get(ix).consumed(name)).max(0);
                caps.push(Cap { name, amount, why: Bound::Limit(ix) });
            }
        }
        let allowance = self.allowance(roles, role);
        if stage == Stage::Guarantees && allowance.is_zero() {
            return None;
        }
        let promised =
            |name| roles.path(role).any(|ix| roles.get(ix).quota.guarantees.get(name) > 0);
        let kept = self.needs.get(&ROOT).cloned().unwrap_or_default();
        for (name, needed) in kept.iter() {
            let own = allowance.get(name);
            let amount = if stage == Stage::Guarantees && promised(name) {
                own
            } else if needed > 0 {
                (self.free.get(name) - (needed - own)).max(0)
            } else {
                continue;
            };
            caps.push(Cap { name, amount, why: Bound::Kept });
        }
        Some(caps)
    }

    /// True when the role lacks some of `plain` to its guarantee.
    pub(super) fn wants(&self, roles: &Roles, role: RoleIx, plain: &Amounts) -> bool {
        let allowance = self.allowance(roles, role);
        plain.iter().any(|(name, amount)| amount > 0 && allowance.get(name) > 0)
    }
}

/// The first cap that `plain` does not fit under.
pub(super) fn binding<'a>(plain: &Amounts, caps: &'a [Cap]) -> Option<&'a Cap> {
    caps.iter().find(|cap| plain.get(cap.name) > cap.amount)
}

/// What of `resources` fits under the caps. Volumes and other disks are given whole or not at all.
pub(super) fn fitting(
    resources: &Resources,
    caps: &[Cap],
    name_id: impl Fn(&str) -> Option<NameId>,
) -> Resources {
    let mut left: BTreeMap<NameId, i64> = BTreeMap::new();
    for cap in caps {
        let least = left.entry(cap.name).or_insert(cap.amount);
        *least = cap.amount.min(*least);
    }
    let mut fit = Vec::new();
    for mut resource in resources.to_wire() {
        let is_reserved = !resource.reservations.is_empty()
            || resource.role.as_deref().is_some_and(|role| role != "*");
        let counts = !is_reserved && resource.revocable.is_none() && resource.shared.is_none();
        let room = name_id(&resource.name).and_then(|id| left.get_mut(&id));
        if let (true, Some(room), Some(scalar)) = (counts, room, &mut resource.scalar) {
            let amount = (scalar.value * 1000.0).round() as i64;
            let taken =
                if amount <= *room || resource.disk.is_none() { amount.min(*room) } else { 0 };
            *room -= taken;
            scalar.value = taken as f64 / 1000.0;
        }
        fit.push(resource);
    }
    // It came from resources and has less of some.
    Resources::from_wire(&fit).unwrap_or_default()
}
