//! What a master knows, in disjoint parts with invariants of their own.

mod frameworks;
mod limits;
mod maintenance;
mod offers;
mod operations;
mod slaves;
mod task;
mod tasks;

use std::collections::BTreeMap;
use std::sync::Arc;

use libprocess::{Pid, Time};
use protos::ids::{FrameworkId, OfferId, SlaveId};
use protos::mesos;
use protos::mesos::master_info::capability::Type as Capability;
use protos::resources::Resources;

use crate::Config;

pub(crate) use frameworks::{Framework, Frameworks, has_capability, roles_of};
pub(crate) use limits::{Bucket, Limiters, Verdict};
pub(crate) use maintenance::Maintenance;
pub(crate) use offers::{Offer, Offers};
pub(crate) use operations::{OperationEntry, Operations, is_terminal as operation_is_over};
pub(crate) use slaves::{Slave, Slaves};
pub(crate) use task::{Holding, TaskEntry};
pub(crate) use tasks::Tasks;

/// The parts together. A clone is a snapshot: cheap, as what is large is shared.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    /// This master, as others are told of it.
    pub(crate) info: mesos::MasterInfo,
    pub(crate) pid: Pid,
    pub(crate) started: Time,
    /// Who leads, as far as it is known.
    pub(crate) leader: Option<mesos::MasterInfo>,
    pub(crate) frameworks: Frameworks,
    pub(crate) slaves: Slaves,
    pub(crate) offers: Offers,
    pub(crate) operations: Operations,
    pub(crate) maintenance: Maintenance,
    /// Quotas of roles that have one.
    pub(crate) quotas: BTreeMap<String, mesos::quota::QuotaConfig>,
    /// Weights of roles that have one of their own.
    pub(crate) weights: BTreeMap<String, f64>,
    /// Principals of peers that proved them; forgotten when the link breaks.
    pub(crate) authenticated: BTreeMap<Pid, String>,
    /// Set once the registry was recovered: until then nothing from others is heard.
    pub(crate) elected: Option<Time>,
    /// Spaces out how fast slaves are marked unreachable.
    pub(crate) removals: Option<Bucket>,
}

impl State {
    /// A fresh master with a random id.
    pub(crate) fn new(config: Config, id: &str, pid: Pid, now: Time) -> Self {
        let info = master_info(&config, id, &pid);
        let leader = (!config.contends).then(|| info.clone());
        Self {
            frameworks: Frameworks::new(id, config.max_completed_frameworks),
            slaves: Slaves::new(id),
            offers: Offers::new(id),
            operations: Operations::new(id),
            maintenance: Maintenance::default(),
            quotas: BTreeMap::new(),
            weights: config.weights.clone(),
            authenticated: BTreeMap::new(),
            elected: None,
            removals: config.agent_removal_rate_limit.map(|(count, within)| {
                Bucket::new(f64::from(count) / within.as_secs_f64().max(0.001))
            }),
            config: Arc::new(config),
            info,
            pid,
            started: now,
            leader,
        }
    }

    /// Removes an offer from all books that hold it.
    pub(crate) fn take_offer(&mut self, id: &OfferId) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        if let Some(framework) = self.frameworks.get_mut(&offer.framework) {
            framework.offers.remove(id);
        }
        Some(offer)
    }
}

impl State {
    /// What tasks and executors hold of a slave; allocated.
    pub(crate) fn used_on(&self, slave: &SlaveId) -> Resources {
        self.frameworks.iter().map(|framework| framework.used_on(slave)).sum()
    }

    /// What each framework holds of a slave, offers included; allocated.
    pub(crate) fn held_on(&self, slave: &SlaveId) -> BTreeMap<FrameworkId, Resources> {
        let mut held = BTreeMap::new();
        for framework in self.frameworks.iter() {
            let mut here = framework.used_on(slave);
            for offer in framework.offers.iter().filter_map(|id| self.offers.get(id)) {
                if offer.slave == *slave {
                    here += &offer.resources;
                }
            }
            if !here.is_empty() {
                held.insert(framework.id.clone(), here);
            }
        }
        held
    }

    /// What nobody holds of a slave; allocated to nobody.
    pub(crate) fn free_on(&self, slave: &SlaveId) -> Resources {
        let Some(known) = self.slaves.get(slave) else { return Resources::new() };
        let held = self.used_on(slave).plus(&self.offers.held_on(slave));
        known.total.minus(&held.once_each())
    }
}

fn master_info(config: &Config, id: &str, pid: &Pid) -> mesos::MasterInfo {
    let (ip, port) = (*pid.address().ip(), u32::from(pid.address().port()));
    mesos::MasterInfo {
        id: id.to_owned(),
        // Network byte order read as a host integer.
        ip: u32::from_ne_bytes(ip.octets()),
        port,
        pid: Some(pid.to_string()),
        hostname: Some(config.hostname.clone()),
        version: Some(config.version.clone()),
        address: Some(mesos::Address {
            hostname: Some(config.hostname.clone()),
            ip: Some(ip.to_string()),
            port: i32::from(pid.address().port()),
        }),
        domain: config.domain.clone(),
        capabilities: [Capability::AgentUpdate, Capability::AgentDraining, Capability::QuotaV2]
            .map(|of| mesos::master_info::Capability { r#type: Some(of.into()) })
            .into(),
    }
}
