//! What a master knows, in disjoint parts with invariants of their own.

mod frameworks;
mod offers;
mod slaves;
mod tasks;

use libprocess::{Pid, Time};
use protos::ids::OfferId;
use protos::mesos;

use crate::Config;

pub(crate) use frameworks::{Framework, Frameworks, has_capability};
pub(crate) use offers::{Offer, Offers};
pub(crate) use slaves::{Slave, Slaves};
pub(crate) use tasks::{TaskEntry, Tasks};

/// The parts together.
pub(crate) struct State {
    pub(crate) config: Config,
    /// This master, as others are told of it.
    pub(crate) info: mesos::MasterInfo,
    pub(crate) pid: Pid,
    pub(crate) started: Time,
    pub(crate) frameworks: Frameworks,
    pub(crate) slaves: Slaves,
    pub(crate) offers: Offers,
}

impl State {
    /// A fresh master with a random id.
    pub(crate) fn new(config: Config, id: &str, pid: Pid, now: Time) -> Self {
        let info = master_info(&config, id, &pid);
        Self {
            frameworks: Frameworks::new(id, config.max_completed_frameworks),
            slaves: Slaves::new(id),
            offers: Offers::new(id),
            config,
            info,
            pid,
            started: now,
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
        ..Default::default()
    }
}
