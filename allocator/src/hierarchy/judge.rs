//! May a client be offered what is left on a slave? One function decides it for cycles, and explains
//! it afterwards.

use std::sync::Arc;

use libprocess::Time;
use protos::resources::Resources;

use super::quota::{Bound, Ledger, Stage, binding, fitting};
use super::slave::bits;
use super::{ClientIx, Hierarchy, SlaveIx};
use crate::amounts::{Amounts, NameId};

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The framework lacks one of these capabilities, or the slave does. See [`bits`].
    Lacks(u8),
    Constraint,
    /// Nothing is left that the client may be given.
    Nothing,
    TooLittle,
    /// It refused the slave for no time, and waits for a periodic cycle.
    Returned,
    /// Until then.
    Filtered(Time),
    Bound(NameId, Bound),
    /// The role lacks nothing to its guarantee.
    Guaranteed,
}

/// What a client may be given.
#[derive(Debug, Clone)]
pub(super) struct Gift {
    pub(super) resources: Arc<Resources>,
}

impl Hierarchy {
    /// Changes nothing but what is remembered of the slave's views.
    pub(super) fn judge(
        &mut self,
        slave: SlaveIx,
        client: ClientIx,
        quota: Option<(&Ledger, Stage)>,
        now: Time,
    ) -> Result<Gift, Obstacle> {
        let of = &self.clients[client];
        let Some(slave_of) = self.slaves.get_mut(slave) else { return Err(Obstacle::Nothing) };
        let lacks = slave_of.needs & !of.has;
        if lacks != 0 {
            return Err(Obstacle::Lacks(lacks & lacks.wrapping_neg()));
        }
        if !of.excluded.is_empty() && of.excluded.contains(&slave) {
            return Err(Obstacle::Constraint);
        }
        if slave_of.returned.contains(&client) {
            return Err(Obstacle::Returned);
        }
        let number = slave_of.view(of.role, of.has, &self.roles, &mut self.names);
        if of.refusals > 0
            && let Some(until) = slave_of.covering_refusal(client, number, now)
        {
            return Err(Obstacle::Filtered(until));
        }
        let Some(slave_of) = self.slaves.get(slave) else { return Err(Obstacle::Nothing) };
        let view = slave_of.seen(number);
        if view.resources.is_empty() {
            return Err(Obstacle::Nothing);
        }
        if !self.minimum(of).is_met_by(&view.amounts, &self.names) {
            return Err(Obstacle::TooLittle);
        }
        let resources = view.resources.clone();
        let Some((ledger, stage)) = quota else { return Ok(Gift { resources }) };
        let Some(caps) = ledger.caps(&self.roles, of.role, stage) else {
            return Err(Obstacle::Guaranteed);
        };
        if stage == Stage::Guarantees && !ledger.wants(&self.roles, of.role, &view.plain) {
            return Err(Obstacle::Guaranteed);
        }
        let Some(first) = binding(&view.plain, &caps) else { return Ok(Gift { resources }) };
        let fit = fitting(&resources, &caps, |name| self.names.find(name));
        let amounts = self.amounts(&fit);
        if !self.minimum(of).is_met_by(&amounts, &self.names) {
            return Err(Obstacle::Bound(first.name, first.why));
        }
        match slave_of.refusals.hiding(client, &fit, now) {
            Some(until) => Err(Obstacle::Filtered(until)),
            None => Ok(Gift { resources: fit.into() }),
        }
    }

    fn amounts(&self, resources: &Resources) -> Amounts {
        let mut amounts = Amounts::default();
        for (resource, amount) in resources.scalars() {
            // Names of what slaves have are known.
            if let Some(id) = self.names.find(&resource.name) {
                *amounts.at(id) += amount;
            }
        }
        amounts
    }

    /// Whether the slave may be offered to anybody, apart from what is left of it.
    pub(super) fn is_listed(&self, slave: &super::Slave) -> bool {
        self.whitelist.as_ref().is_none_or(|hosts| hosts.contains(&slave.spec.hostname))
    }
}

impl Obstacle {
    /// True when nothing that happens elsewhere can take it away: only the slave or the framework
    /// can, or time.
    pub(super) fn is_lasting(self) -> bool {
        !matches!(self, Self::Bound(..) | Self::Guaranteed | Self::Returned)
    }

    /// When it goes by itself.
    pub(super) fn until(self) -> Option<Time> {
        match self {
            Self::Filtered(until) => Some(until),
            _ => None,
        }
    }
}

/// The capability that the lowest bit of `lacks` stands for, if it is the slave that lacks it.
pub(super) fn slave_capability(lacks: u8) -> Option<&'static str> {
    match lacks {
        bits::SINGLE_ROLE => Some("MULTI_ROLE"),
        bits::FLAT_ROLE => Some("HIERARCHICAL_ROLE"),
        _ => None,
    }
}
