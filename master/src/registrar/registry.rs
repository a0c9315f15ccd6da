//! What is stored, and its wire form `mesos.internal.Registry`.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::Time;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use protos::ids::SlaveId;
use protos::mesos;
use protos::mesos::internal::{self as wire, registry};

/// An unreachable slave.
#[derive(Debug, Clone, PartialEq)]
pub struct Away {
    /// Since when.
    pub since: Time,
    /// It was to be emptied.
    pub drain_info: Option<mesos::DrainInfo>,
    /// It was to get no tasks.
    pub deactivated: bool,
}

/// An admitted slave, kept as it is stored: most changes are of others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admitted(Box<[u8]>);

impl From<registry::Slave> for Admitted {
    fn from(slave: registry::Slave) -> Self {
        Self(slave.encode_to_vec().into())
    }
}

impl Admitted {
    /// What is stored of it.
    pub fn read(&self) -> registry::Slave {
        // It was encoded above.
        registry::Slave::decode(&*self.0).unwrap_or_default()
    }
}

/// The registry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registry {
    /// Who wrote it last.
    pub master: Option<mesos::MasterInfo>,
    /// Admitted slaves.
    pub slaves: BTreeMap<SlaveId, Admitted>,
    /// Unreachable slaves.
    pub unreachable: BTreeMap<SlaveId, Away>,
    /// Slaves that never come back, and since when.
    pub gone: BTreeMap<SlaveId, Time>,
    /// Machines that are drained or down.
    pub machines: Vec<mesos::MachineInfo>,
    /// The maintenance schedule.
    pub schedule: Option<mesos::maintenance::Schedule>,
    /// Quotas by role.
    pub quotas: BTreeMap<String, mesos::quota::QuotaConfig>,
    /// Weights by role.
    pub weights: BTreeMap<String, f64>,
    /// What a master must be able to do to read this.
    pub capabilities: BTreeSet<String>,
    /// Resource providers: not ours, kept as they are.
    pub providers: Option<mesos::resource_provider::registry::Registry>,
}

/// What this master is able to do.
pub(crate) const CAPABILITIES: [&str; 3] = ["AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2"];

impl Registry {
    /// Another capability that masters must have.
    pub(super) fn require(&mut self, capability: &str) {
        self.capabilities.insert(capability.to_owned());
    }

    /// The first capability that this master lacks.
    pub(super) fn lacking(&self) -> Option<&str> {
        self.capabilities.iter().map(String::as_str).find(|c| !CAPABILITIES.contains(c))
    }

    /// Reads the wire form.
    pub fn from_wire(from: wire::Registry) -> Self {
        let slaves = from.slaves.unwrap_or_default().slaves.into_iter();
        let by_id =
            |slave: registry::Slave| Some((SlaveId::from(slave.info.id.as_ref()?), slave.into()));
        let unreachable = from.unreachable.unwrap_or_default().slaves.into_iter();
        let gone = from.gone.unwrap_or_default().slaves.into_iter();
        let machines = from.machines.unwrap_or_default().machines.into_iter();
        let mut quotas: BTreeMap<_, _> =
            from.quotas.into_iter().map(|quota| old_quota(&quota.info)).collect();
        quotas.extend(from.quota_configs.into_iter().map(|c| (c.role.clone(), c)));
        Self {
            master: from.master.map(|master| master.info),
            slaves: slaves.filter_map(by_id).collect(),
            unreachable: unreachable.map(away).collect(),
            gone: gone.map(|slave| (slave.id.into(), time(&slave.timestamp))).collect(),
            machines: machines.map(|machine| machine.info).collect(),
            schedule: from.schedules.into_iter().next(),
            quotas,
            weights: from
                .weights
                .into_iter()
                .map(|w| (w.info.role().to_owned(), w.info.weight))
                .collect(),
            capabilities: from.minimum_capabilities.into_iter().map(|c| c.capability).collect(),
            providers: from.resource_provider_registry,
        }
    }

    /// The wire form, encoded. Slaves are copied, not encoded anew.
    pub fn encode(&self) -> Vec<u8> {
        let field = |length: usize| 1 + encoded_len_varint(length as u64) + length;
        let slaves: usize = self.slaves.values().map(|slave| field(slave.0.len())).sum();
        let others = self.without_slaves();
        let mut out = Vec::with_capacity(others.encoded_len() + slaves + 16);
        // `Registry.slaves`, then `Slaves.slaves` for each.
        encode_key(2, WireType::LengthDelimited, &mut out);
        encode_varint(slaves as u64, &mut out);
        for slave in self.slaves.values() {
            encode_key(1, WireType::LengthDelimited, &mut out);
            encode_varint(slave.0.len() as u64, &mut out);
            out.extend_from_slice(&slave.0);
        }
        out.extend_from_slice(&others.encode_to_vec());
        out
    }

    fn without_slaves(&self) -> wire::Registry {
        let unreachable = self.unreachable.iter().map(|(id, away)| registry::UnreachableSlave {
            id: id.wire(),
            timestamp: time_info(away.since),
            drain_info: away.drain_info,
            deactivated: away.deactivated.then_some(true),
        });
        let gone = self
            .gone
            .iter()
            .map(|(id, since)| registry::GoneSlave { id: id.wire(), timestamp: time_info(*since) });
        let weight = |(role, weight): (&String, &f64)| registry::Weight {
            info: mesos::WeightInfo { weight: *weight, role: Some(role.clone()) },
        };
        wire::Registry {
            master: self.master.clone().map(|info| registry::Master { info }),
            slaves: None,
            machines: Some(registry::Machines {
                machines: self
                    .machines
                    .iter()
                    .map(|info| registry::Machine { info: info.clone() })
                    .collect(),
            }),
            schedules: self.schedule.iter().cloned().collect(),
            #[allow(deprecated, reason = "written empty: quota_configs took its place")]
            quotas: Vec::new(),
            weights: self.weights.iter().map(weight).collect(),
            unreachable: Some(registry::UnreachableSlaves { slaves: unreachable.collect() }),
            gone: Some(registry::GoneSlaves { slaves: gone.collect() }),
            resource_provider_registry: self.providers.clone(),
            minimum_capabilities: self
                .capabilities
                .iter()
                .map(|c| registry::MinimumCapability { capability: c.clone() })
                .collect(),
            quota_configs: self.quotas.values().cloned().collect(),
        }
    }
}

fn away(slave: registry::UnreachableSlave) -> (SlaveId, Away) {
    let (since, deactivated) = (time(&slave.timestamp), slave.deactivated());
    (slave.id.into(), Away { since, drain_info: slave.drain_info, deactivated })
}

fn old_quota(info: &mesos::quota::QuotaInfo) -> (String, mesos::quota::QuotaConfig) {
    let amounts = info.guarantee.iter();
    let amounts = amounts.filter_map(|r| Some((r.name.clone(), r.scalar?)));
    let guarantees: BTreeMap<_, _> = amounts.collect();
    let (role, limits) = (info.role().to_owned(), guarantees.clone());
    (role.clone(), mesos::quota::QuotaConfig { role, guarantees, limits })
}

fn time(info: &mesos::TimeInfo) -> Time {
    Time::from_nanos(u64::try_from(info.nanoseconds).unwrap_or_default())
}

/// A time as messages carry it.
pub(crate) fn time_info(time: Time) -> mesos::TimeInfo {
    mesos::TimeInfo { nanoseconds: i64::try_from(time.as_nanos()).unwrap_or(i64::MAX) }
}
