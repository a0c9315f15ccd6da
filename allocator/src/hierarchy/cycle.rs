//! A cycle: what is free on some slaves goes to whom it belongs.

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

use super::quota::{Ledger, Stage};
use super::roles::RoleIx;
use super::{ClientIx, Hierarchy, SlaveIx};
use crate::Allocation;

/// Allocated resources that are remembered.
const READY: usize = 32;

/// The same resources, before and after they were allocated to a role.
#[derive(Debug)]
pub(super) struct Ready {
    role: RoleIx,
    role_name: Arc<str>,
    before: Arc<Resources>,
    after: Resources,
}

type Given = BTreeMap<FrameworkId, Allocation>;

impl Hierarchy {
    /// The ids of all slaves, sorted.
    pub fn slave_ids(&self) -> Vec<SlaveId> {
        self.slaves.keys().map(|(id, _)| id.clone()).collect()
    }

    /// Gives what is free on `slaves`, in that order, to whom it belongs by quota and fair share.
    pub fn allocate(&mut self, slaves: &[SlaveId], now: Time) -> Given {
        let slaves: Vec<SlaveIx> = slaves.iter().filter_map(|id| self.slaves.find(id)).collect();
        self.begin_period(&slaves);
        self.cycle(&slaves, now)
    }

    /// Who gave an offer back without a filter may have it again.
    fn begin_period(&mut self, slaves: &[SlaveIx]) {
        for slave in slaves {
            if let Some(slave) = self.slaves.get_mut(*slave).filter(|s| !s.returned.is_empty()) {
                slave.returned.clear();
            }
        }
    }

    /// As [`Hierarchy::allocate`] between two periodic runs, after something happened to these slaves,
    /// in an order drawn by lot.
    pub fn allocate_some(&mut self, slaves: impl IntoIterator<Item = SlaveId>, now: Time) -> Given {
        let slaves = slaves.into_iter().filter_map(|id| self.slaves.find(&id)).collect();
        self.shuffled(slaves, now)
    }

    /// As [`Hierarchy::allocate_some`], of all slaves.
    pub fn allocate_between(&mut self, now: Time) -> Given {
        let slaves = self.slaves.keys().map(|(_, ix)| ix).collect();
        self.shuffled(slaves, now)
    }

    /// The periodic run: as [`Hierarchy::allocate`], of all slaves, in an order drawn by lot.
    pub fn allocate_all(&mut self, now: Time) -> Given {
        let slaves: Vec<SlaveIx> = self.slaves.keys().map(|(_, ix)| ix).collect();
        self.begin_period(&slaves);
        self.shuffled(slaves, now)
    }

    fn shuffled(&mut self, mut slaves: Vec<SlaveIx>, now: Time) -> Given {
        self.lots.shuffle(&mut slaves);
        self.cycle(&slaves, now)
    }

    fn cycle(&mut self, slaves: &[SlaveIx], now: Time) -> Given {
        (self.cycles, self.last_cycle) = (self.cycles + 1, now);
        let mut given = Given::new();
        let slaves = self.worth_looking_at(slaves, now);
        if self.paused.is_some() {
            return given;
        }
        if self.roles.bound == 0 {
            for slave in slaves {
                self.share(slave, None, now, &mut given);
            }
            return given;
        }
        let mut ledger = self.ledger();
        for stage in [Stage::Guarantees, Stage::FairShare] {
            for slave in &slaves {
                self.share(*slave, Some((&mut ledger, stage)), now, &mut given);
            }
        }
        given
    }

    /// What is free and promised now.
    pub(super) fn ledger(&self) -> Ledger {
        let mut free = crate::amounts::Amounts::default();
        for (_, slave) in self.slaves.iter().filter(|(_, s)| s.active && self.is_listed(s)) {
            free.add(&slave.free);
        }
        Ledger::new(&self.roles, free)
    }

    fn worth_looking_at(&mut self, slaves: &[SlaveIx], now: Time) -> Vec<SlaveIx> {
        let mut left = Vec::with_capacity(slaves.len());
        let mut gone = Vec::new();
        for ix in slaves {
            let Some(slave) = self.slaves.get_mut(*ix) else { continue };
            slave.offered.clear();
            slave.refusals.expire(now, |client| gone.push(client));
            let is_quiet = slave.quiet.is_some_and(|(e, until)| e == self.epoch && now < until);
            let Some(slave) = self.slaves.get(*ix) else { continue };
            if slave.active && !is_quiet && !slave.available.is_empty() && self.is_listed(slave) {
                left.push(*ix);
            }
        }
        gone.into_iter().for_each(|client| self.refusals_gone(client, 1));
        left
    }

    /// Gives one slave's free resources away.
    fn share(
        &mut self,
        slave: SlaveIx,
        mut quota: Option<(&mut Ledger, Stage)>,
        now: Time,
        given: &mut Given,
    ) {
        self.roles.flatten(&self.clients, &mut self.lots);
        let order = std::mem::take(&mut self.roles.flat);
        let mut quiet_until = Some(Time::from_nanos(u64::MAX));
        let mut gave = false;
        for client in &order {
            let ledger = quota.as_ref().map(|(ledger, stage)| (&**ledger, *stage));
            let gift = match self.judge(slave, *client, ledger, now) {
                Ok(gift) => self.without_given_shared(slave, gift.resources),
                Err(obstacle) => {
                    let until = obstacle.until().unwrap_or(Time::from_nanos(u64::MAX));
                    let so_far = quiet_until.filter(|_| obstacle.is_lasting());
                    quiet_until = so_far.map(|so_far| so_far.min(until));
                    continue;
                }
            };
            quiet_until = None;
            if gift.is_empty() {
                continue;
            }
            gave = true;
            self.give(slave, *client, gift, quota.as_mut().map(|(ledger, _)| &mut **ledger), given);
            if self.slaves.get(slave).is_none_or(|slave| slave.available.is_empty()) {
                break;
            }
        }
        // Had anything been given, this order would be out of date.
        self.roles.flat = order;
        if let (Some(until), false, Some(slave)) = (quiet_until, gave, self.slaves.get_mut(slave)) {
            slave.quiet = Some((self.epoch, until));
        }
    }

    /// What is shared is offered to one client in a cycle.
    fn without_given_shared(&self, slave: SlaveIx, gift: Arc<Resources>) -> Arc<Resources> {
        match self.slaves.get(slave).filter(|slave| slave.has_shared()) {
            Some(slave) if !slave.offered.is_empty() => {
                let shared = slave.offered.iter().map(|(_, r)| r.shared());
                let rest = gift.minus(&shared.sum());
                let worth = rest.kinds().any(|resource| resource.shared.is_none());
                if worth { rest.into() } else { Arc::default() }
            }
            _ => gift,
        }
    }

    fn give(
        &mut self,
        slave: SlaveIx,
        client: ClientIx,
        gift: Arc<Resources>,
        ledger: Option<&mut Ledger>,
        given: &mut Given,
    ) {
        let holding = self.hold(client, slave, &gift, true);
        let role = self.clients[client].role;
        if let Some(ledger) = ledger {
            ledger.given(&self.roles, role, &holding.plain);
        }
        let allocated = self.allocated(role, &gift);
        let Some(id) = self.slaves.get(slave).map(|slave| slave.id.clone()) else { return };
        let framework = self.clients[client].framework_id.clone();
        let roles = given.entry(framework).or_default();
        let name = &*self.roles.get(role).name;
        if !roles.contains_key(name) {
            roles.insert(name.to_owned(), BTreeMap::new());
        }
        if let Some(slaves) = roles.get_mut(name) {
            match slaves.get_mut(&id) {
                Some(present) => *present += &allocated,
                None => {
                    slaves.insert(id, allocated);
                }
            }
        }
        if let Some(slave) = self.slaves.get_mut(slave) {
            slave.offered.push((client, Resources::clone(&gift)));
        }
    }

    /// The resources allocated to the role. Slaves of one shape have the same.
    fn allocated(&mut self, role: RoleIx, resources: &Arc<Resources>) -> Resources {
        let name = self.roles.get(role).name.clone();
        let same = |ready: &&Ready| {
            ready.role == role && ready.role_name == name && Arc::ptr_eq(&ready.before, resources)
        };
        if let Some(ready) = self.ready.iter().find(same) {
            return ready.after.clone();
        }
        let after = resources.allocated_to(&name);
        // What only this slave has would never be asked for again.
        if self.shapes.iter().any(|shape| Arc::ptr_eq(shape, resources)) {
            if self.ready.len() == READY {
                self.ready.remove(0);
            }
            let (before, after) = (resources.clone(), after.clone());
            self.ready.push(Ready { role, role_name: name, before, after });
        }
        after
    }
}
