//! Changes of the registry, and what each does to it.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::Time;
use protos::ids::SlaveId;
use protos::mesos::internal::registry;
use protos::mesos::machine_info::Mode;
use protos::mesos::{self, DrainInfo, DrainState};

use super::registry::{Away, Registry};

/// A change of the registry.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// This master leads now.
    Recover(Box<mesos::MasterInfo>),
    /// A new slave.
    Admit(SlaveId, mesos::SlaveInfo),
    /// What a slave tells of itself changed.
    Update(SlaveId, mesos::SlaveInfo),
    /// A slave does not answer.
    MarkUnreachable(SlaveId, Time),
    /// A slave that was unreachable, or not known at all, is back.
    MarkReachable(SlaveId, mesos::SlaveInfo),
    /// A slave is gone for good, says an operator.
    MarkGone(SlaveId, Time),
    /// A slave left, or was replaced.
    Remove(SlaveId),
    /// Forgets slaves that have been unreachable or gone for long.
    Prune(Vec<SlaveId>),
    /// A slave is to be emptied.
    Drain(SlaveId, mesos::DrainConfig),
    /// A slave is empty.
    MarkDrained(SlaveId),
    /// A slave gets no tasks any more.
    Deactivate(SlaveId),
    /// It does again.
    Reactivate(SlaveId),
    /// The maintenance schedule, whole; the machines' modes follow it.
    UpdateSchedule(mesos::maintenance::Schedule),
    /// Machines go down.
    StartMaintenance(Vec<mesos::MachineId>),
    /// Machines are up again and leave the schedule.
    StopMaintenance(Vec<mesos::MachineId>),
    /// Quotas of roles; one without guarantees and limits goes.
    UpdateQuotas(Vec<mesos::quota::QuotaConfig>),
    /// Weights of roles.
    UpdateWeights(Vec<mesos::WeightInfo>),
}

impl Operation {
    /// Applies the change; false when it contradicts what is there, which then stays as it was.
    pub(crate) fn apply(self, to: &mut Registry) -> bool {
        match self {
            Operation::Recover(info) => {
                to.master = Some(*info);
                true
            }
            Operation::Admit(id, info) => {
                let fresh = !to.slaves.contains_key(&id) && !to.gone.contains_key(&id);
                if fresh {
                    to.slaves.insert(id, registry::Slave { info, ..Default::default() }.into());
                }
                fresh
            }
            Operation::Update(id, info) => on(to, &id, |slave| slave.info = info),
            Operation::MarkUnreachable(id, since) => mark_unreachable(to, id, since),
            Operation::MarkReachable(id, info) => mark_reachable(to, id, info),
            Operation::MarkGone(id, since) => mark_gone(to, id, since),
            Operation::Remove(id) => to.slaves.remove(&id).is_some(),
            Operation::Prune(ids) => prune(to, &ids),
            Operation::Drain(id, config) => {
                to.require("AGENT_DRAINING");
                let info = DrainInfo { state: DrainState::Draining.into(), config };
                drain(to, &id, Some(info))
            }
            Operation::MarkDrained(id) => on(to, &id, |slave| {
                if let Some(info) = &mut slave.drain_info {
                    info.state = DrainState::Drained.into();
                }
            }),
            Operation::Deactivate(id) => {
                to.require("AGENT_DRAINING");
                deactivate(to, &id)
            }
            Operation::Reactivate(id) => reactivate(to, &id),
            Operation::UpdateSchedule(schedule) => update_schedule(to, schedule),
            Operation::StartMaintenance(ids) => {
                ids.iter().for_each(|id| set_mode(to, id, Mode::Down));
                true
            }
            Operation::StopMaintenance(ids) => stop_maintenance(to, &ids),
            Operation::UpdateQuotas(configs) => update_quotas(to, configs),
            Operation::UpdateWeights(weights) => {
                for info in weights {
                    to.weights.insert(info.role().to_owned(), info.weight);
                }
                true
            }
        }
    }
}

fn on(to: &mut Registry, id: &SlaveId, change: impl FnOnce(&mut registry::Slave)) -> bool {
    let Some(known) = to.slaves.get_mut(id) else { return false };
    let mut slave = known.read();
    change(&mut slave);
    *known = slave.into();
    true
}

fn mark_unreachable(to: &mut Registry, id: SlaveId, since: Time) -> bool {
    let Some(slave) = to.slaves.remove(&id) else { return false };
    let slave = slave.read();
    let (drain_info, deactivated) = (slave.drain_info, slave.deactivated());
    to.unreachable.insert(id, Away { since, drain_info, deactivated });
    true
}

fn mark_reachable(to: &mut Registry, id: SlaveId, info: mesos::SlaveInfo) -> bool {
    if to.gone.contains_key(&id) {
        return false;
    }
    let away = to.unreachable.remove(&id);
    let known = to.slaves.remove(&id);
    let slave = match (known, away) {
        (Some(known), _) => registry::Slave { info, ..known.read() },
        (None, Some(away)) => registry::Slave {
            info,
            drain_info: away.drain_info,
            deactivated: away.deactivated.then_some(true),
        },
        (None, None) => registry::Slave { info, ..Default::default() },
    };
    to.slaves.insert(id, slave.into());
    true
}

fn mark_gone(to: &mut Registry, id: SlaveId, since: Time) -> bool {
    let known = to.slaves.remove(&id).is_some() | to.unreachable.remove(&id).is_some();
    if known {
        to.gone.insert(id, since);
    }
    known
}

fn prune(to: &mut Registry, ids: &[SlaveId]) -> bool {
    let forgotten =
        |id: &SlaveId| to.unreachable.remove(id).is_some() | to.gone.remove(id).is_some();
    ids.iter().map(forgotten).fold(false, |any, one| any | one)
}

/// Draining and deactivating hold for slaves that are unreachable, too.
fn drain(to: &mut Registry, id: &SlaveId, info: Option<DrainInfo>) -> bool {
    if let Some(away) = to.unreachable.get_mut(id) {
        (away.drain_info, away.deactivated) = (info, true);
        return true;
    }
    on(to, id, |slave| (slave.drain_info, slave.deactivated) = (info, Some(true)))
}

fn deactivate(to: &mut Registry, id: &SlaveId) -> bool {
    if let Some(away) = to.unreachable.get_mut(id) {
        away.deactivated = true;
        return true;
    }
    on(to, id, |slave| slave.deactivated = Some(true))
}

fn reactivate(to: &mut Registry, id: &SlaveId) -> bool {
    if let Some(away) = to.unreachable.get_mut(id) {
        (away.drain_info, away.deactivated) = (None, false);
        return true;
    }
    on(to, id, |slave| (slave.drain_info, slave.deactivated) = (None, None))
}

/// Two names of machines are the same when they agree without regard to case.
pub(crate) fn same_machine(a: &mesos::MachineId, b: &mesos::MachineId) -> bool {
    a.hostname().eq_ignore_ascii_case(b.hostname()) && a.ip() == b.ip()
}

fn machine<'a>(to: &'a mut Registry, id: &mesos::MachineId) -> &'a mut mesos::MachineInfo {
    let at = to.machines.iter().position(|known| same_machine(&known.id, id));
    let at = at.unwrap_or_else(|| {
        to.machines.push(mesos::MachineInfo { id: id.clone(), ..Default::default() });
        to.machines.len() - 1
    });
    &mut to.machines[at]
}

fn set_mode(to: &mut Registry, id: &mesos::MachineId, mode: Mode) {
    machine(to, id).mode = Some(mode.into());
}

fn update_schedule(to: &mut Registry, schedule: mesos::maintenance::Schedule) -> bool {
    let mut listed = Vec::new();
    for window in &schedule.windows {
        for id in &window.machine_ids {
            let info = machine(to, id);
            info.unavailability = Some(window.unavailability);
            if info.mode() == Mode::Up {
                info.mode = Some(Mode::Draining.into());
            }
            listed.push(id.clone());
        }
    }
    // Those that the schedule does not list any more are up; validation kept those that are down.
    to.machines.retain(|info| {
        info.mode() == Mode::Down || listed.iter().any(|id| same_machine(id, &info.id))
    });
    to.schedule = Some(schedule).filter(|schedule| !schedule.windows.is_empty());
    true
}

fn stop_maintenance(to: &mut Registry, ids: &[mesos::MachineId]) -> bool {
    let stopped = |id: &mesos::MachineId| ids.iter().any(|other| same_machine(id, other));
    to.machines.retain(|info| !stopped(&info.id));
    if let Some(schedule) = &mut to.schedule {
        for window in &mut schedule.windows {
            window.machine_ids.retain(|id| !stopped(id));
        }
        schedule.windows.retain(|window| !window.machine_ids.is_empty());
    }
    to.schedule = to.schedule.take().filter(|schedule| !schedule.windows.is_empty());
    true
}

fn update_quotas(to: &mut Registry, configs: Vec<mesos::quota::QuotaConfig>) -> bool {
    for config in configs {
        if config.guarantees.is_empty() && config.limits.is_empty() {
            to.quotas.remove(&config.role);
        } else {
            to.quotas.insert(config.role.clone(), config);
        }
    }
    if to.quotas.is_empty() {
        to.capabilities.remove("QUOTA_V2");
    } else {
        to.require("QUOTA_V2");
    }
    true
}

/// Slaves whose time on the lists of unreachable and gone ones is over: older than `max_age`, and the
/// oldest beyond `max_count`.
pub(crate) fn expired(
    lists: [&BTreeMap<SlaveId, Time>; 2],
    now: Time,
    max_age: std::time::Duration,
    max_count: usize,
) -> Vec<SlaveId> {
    let mut due = BTreeSet::new();
    for list in lists {
        let mut by_age: Vec<_> = list.iter().map(|(id, since)| (*since, id)).collect();
        by_age.sort_unstable();
        let beyond = by_age.len().saturating_sub(max_count);
        let old = by_age
            .iter()
            .enumerate()
            .filter(|(at, (since, _))| *at < beyond || now.since(*since) > max_age);
        due.extend(old.map(|(_, (_, id))| (*id).clone()));
    }
    due.into_iter().collect()
}
