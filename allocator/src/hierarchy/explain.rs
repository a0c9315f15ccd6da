//! Why: the judgement of cycles, asked again for one client or many, in words.

use libprocess::Time;
use protos::ids::SlaveId;

use super::judge::{Obstacle, slave_capability};
use super::quota::{Bound, Ledger, Stage};
use super::roles::ROOT;
use super::slave::bits;
use super::{ClientIx, Hierarchy, SlaveIx};
use crate::explain::{Explanation, Level, Question, Reason, Standing};

impl Hierarchy {
    /// Answers from the state that the last cycle left: who was offered something in it was
    /// [`Reason::Offered`]; for all others, the same judgement as in a cycle says what stands in the
    /// way now.
    pub fn explain(&mut self, question: &Question, now: Time) -> Explanation {
        let mut answer =
            Explanation { cycle: self.cycles, at: self.last_cycle, ..Explanation::default() };
        let clients = match self.clients_asked_for(question) {
            Ok(clients) => clients,
            Err(problem) => return Explanation { problem: Some(problem), ..answer },
        };
        let slaves: Vec<(SlaveId, SlaveIx)> = match &question.slave {
            None => self.slaves.keys().map(|(id, ix)| (id.clone(), ix)).collect(),
            Some(id) => match self.slaves.find(id) {
                Some(ix) => vec![(id.clone(), ix)],
                None => return Explanation { problem: Some(Reason::UnknownSlave), ..answer },
            },
        };
        let ledger = (self.roles.bound > 0).then(|| self.ledger());
        // Lots are drawn for each slave: nobody stands anywhere.
        let mut lots = self.lots.clone();
        self.roles.flatten(&self.clients, &mut lots);
        for client in clients {
            let reasons = slaves
                .iter()
                .map(|(id, ix)| (id.clone(), self.reason(*ix, client, ledger.as_ref(), now)));
            let slaves = reasons.collect();
            answer.standings.push(self.standing(client, slaves));
        }
        answer
    }

    fn clients_asked_for(&self, question: &Question) -> Result<Vec<ClientIx>, Reason> {
        let in_role = |client: &ClientIx| {
            let role = &self.roles.get(self.clients[*client].role).name;
            question.role.as_deref().is_none_or(|wanted| *wanted == **role)
        };
        let Some(id) = &question.framework else {
            let wanted = question.role.as_deref().unwrap_or_default();
            let role = self.roles.find(wanted).filter(|ix| *ix != ROOT);
            let members = role.map(|ix| self.roles.get(ix).members.values().copied().collect());
            return members.ok_or(Reason::NotSubscribed);
        };
        let framework = self.frameworks.find(id).and_then(|ix| self.frameworks.get(ix));
        let framework = framework.filter(|f| f.known).ok_or(Reason::UnknownFramework)?;
        let clients: Vec<ClientIx> = framework.clients.values().copied().filter(in_role).collect();
        if clients.is_empty() { Err(Reason::NotSubscribed) } else { Ok(clients) }
    }

    fn reason(
        &mut self,
        slave_ix: SlaveIx,
        client_ix: ClientIx,
        ledger: Option<&Ledger>,
        now: Time,
    ) -> Reason {
        let Some(slave) = self.slaves.get(slave_ix) else { return Reason::UnknownSlave };
        let mut offered = slave.offered.iter().filter(|(to, _)| *to == client_ix);
        if let Some((_, resources)) = offered.next_back() {
            return Reason::Offered(resources.clone());
        }
        if let Some(needed) = self.paused {
            return Reason::Paused { waiting_for: needed.saturating_sub(self.slaves.len()) };
        }
        let client = &self.clients[client_ix];
        let framework = self.frameworks.find(&client.framework_id);
        let Some(framework) = framework.and_then(|ix| self.frameworks.get(ix)) else {
            return Reason::UnknownFramework;
        };
        let role = &*self.roles.get(client.role).name;
        if !framework.active {
            return Reason::FrameworkInactive;
        }
        if !framework.spec.roles.contains(role) {
            return Reason::NotSubscribed;
        }
        if framework.spec.suppressed_roles.contains(role) {
            return Reason::Suppressed;
        }
        if !slave.active {
            return Reason::SlaveInactive;
        }
        if !self.is_listed(slave) {
            return Reason::NotWhitelisted;
        }
        if slave.available.is_empty() {
            return Reason::NothingLeft;
        }
        match self.judge(slave_ix, client_ix, ledger.map(|l| (l, Stage::FairShare)), now) {
            Ok(gift) => Reason::Next(gift.resources.as_ref().clone()),
            Err(obstacle) => self.in_words(obstacle, slave_ix, client_ix, now),
        }
    }

    fn in_words(
        &mut self,
        obstacle: Obstacle,
        slave: SlaveIx,
        client: ClientIx,
        now: Time,
    ) -> Reason {
        let of = &self.clients[client];
        let minimum = self.minimum(of).to_string();
        match obstacle {
            Obstacle::Lacks(bit) => match slave_capability(bit) {
                Some(capability) => Reason::SlaveLacks(capability),
                None if bit == bits::GPUS => Reason::NeedsGpus,
                None => Reason::NeedsRegionAware,
            },
            Obstacle::Constraint => Reason::Constraint,
            Obstacle::Returned => Reason::Returned,
            Obstacle::Filtered(until) => Reason::Filtered { left: until.since(now) },
            Obstacle::Guaranteed | Obstacle::Nothing => {
                let left = self.slaves.get(slave).map(|slave| (*slave.available).clone());
                Reason::NotForRole(left.unwrap_or_default())
            }
            Obstacle::TooLittle => {
                let (role, has) = (of.role, of.has);
                let Some(slave) = self.slaves.get_mut(slave) else { return Reason::UnknownSlave };
                let view = slave.view(role, has, &self.roles, &mut self.names);
                Reason::TooLittle { left: (*slave.seen(view).resources).clone(), minimum }
            }
            Obstacle::Bound(name, Bound::Kept) => {
                Reason::KeptForGuarantees { resource: self.names.name(name).to_owned() }
            }
            Obstacle::Bound(name, Bound::Limit(ix)) => {
                let role = self.roles.get(ix);
                let limit = role.quota.limits.iter().find(|(of, _)| *of == name);
                Reason::Limit {
                    role: role.name.to_string(),
                    resource: self.names.name(name).to_owned(),
                    limit: limit.map_or(0, |(_, limit)| *limit),
                    consumed: role.consumed(name),
                }
            }
        }
    }

    fn standing(&self, client: ClientIx, slaves: Vec<(SlaveId, Reason)>) -> Standing {
        let of = &self.clients[client];
        let path: Vec<usize> = self.roles.path(of.role).filter(|ix| *ix != ROOT).collect();
        let level = |ix: &usize| {
            let role = self.roles.get(*ix);
            let mut consumed = role.reserved.clone();
            consumed.add(&role.held.plain);
            Level {
                role: role.name.to_string(),
                share: role.held.fair.dominant_share(&self.roles.total),
                weight: self.roles.weight(*ix),
                consumed: self.names.quantities(&consumed),
            }
        };
        Standing {
            framework: of.framework_id.clone(),
            role: self.roles.get(of.role).name.to_string(),
            share: of.held.fair.dominant_share(&self.roles.total),
            ahead: self.roles.flat.iter().position(|other| *other == client),
            levels: path.iter().rev().map(level).collect(),
            slaves,
        }
    }
}
