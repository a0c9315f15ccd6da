//! Slaves: registered, on their way in or out, unreachable, removed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use allocator::SlaveSpec;
use libprocess::{Pid, Time};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos;
use protos::resources::Resources;

/// Removed slaves remembered, so that late messages are recognised.
const MAX_REMOVED: usize = 100_000;

/// A slave as the master knows it.
#[derive(Debug, Clone)]
pub(crate) struct Slave {
    pub(crate) id: SlaveId,
    pub(crate) info: mesos::SlaveInfo,
    pub(crate) pid: Pid,
    pub(crate) version: String,
    pub(crate) capabilities: Vec<mesos::slave_info::Capability>,
    pub(crate) resource_version: Option<mesos::Uuid>,
    pub(crate) registered: Time,
    pub(crate) reregistered: Option<Time>,
    pub(crate) connected: bool,
    pub(crate) active: bool,
    /// Counts disconnections, so that an old reminder is recognised.
    pub(crate) epoch: u64,
    pub(crate) total: Resources,
    /// The allocator started over with it: what it had given before may still be on its way here,
    /// and given a second time.
    pub(crate) restarted: bool,
    /// No tasks for it, says an operator; `active` follows.
    pub(crate) deactivated: bool,
    /// It is to be emptied, or is empty.
    pub(crate) drain: Option<mesos::DrainInfo>,
    pub(crate) drain_started: Option<Time>,
    /// Kills that could not be sent while it was disconnected.
    pub(crate) pending_kills: BTreeSet<(FrameworkId, TaskId)>,
}

impl Slave {
    pub(crate) fn new(id: SlaveId, mut info: mesos::SlaveInfo, pid: Pid, now: Time) -> Self {
        info.id = Some(id.wire());
        // Validated before admission.
        let total = Resources::from_wire(&info.resources).unwrap_or_default();
        Self {
            id,
            info,
            pid,
            version: String::new(),
            capabilities: Vec::new(),
            resource_version: None,
            registered: now,
            reregistered: None,
            connected: true,
            active: true,
            epoch: 0,
            total,
            restarted: false,
            deactivated: false,
            drain: None,
            drain_started: None,
            pending_kills: BTreeSet::new(),
        }
    }

    pub(crate) fn has(&self, capability: mesos::slave_info::capability::Type) -> bool {
        self.capabilities.iter().any(|known| known.r#type() == capability)
    }

    pub(crate) fn spec(&self) -> SlaveSpec {
        SlaveSpec::new(&self.info, &self.capabilities)
    }
}

/// All slaves of a master. Each is shared with snapshots until it changes.
#[derive(Debug, Clone)]
pub(crate) struct Slaves {
    prefix: String,
    next: u64,
    registered: BTreeMap<SlaveId, Arc<Slave>>,
    by_pid: BTreeMap<Pid, SlaveId>,
    /// PIDs whose first registration is on its way through the registry.
    registering: BTreeSet<Pid>,
    /// Ids that a registry change concerns; messages from and to them wait or are ignored.
    changing: BTreeSet<SlaveId>,
    unreachable: BTreeMap<SlaveId, Time>,
    /// Silent ones that wait for their turn to be marked unreachable.
    doomed: BTreeSet<SlaveId>,
    /// Registered ones that were to be emptied when this was noted.
    draining: BTreeSet<SlaveId>,
    /// Draining and deactivation of slaves that are not here, as the registry has it.
    plans: BTreeMap<SlaveId, (Option<mesos::DrainInfo>, bool)>,
    /// Marked gone by an operator: they never come back.
    gone: BTreeMap<SlaveId, Time>,
    /// In the registry since an earlier master, and not back yet.
    recovered: BTreeMap<SlaveId, mesos::SlaveInfo>,
    recovered_at_first: usize,
    removed: BTreeSet<SlaveId>,
    removed_order: VecDeque<SlaveId>,
}

impl Slaves {
    pub(crate) fn new(master_id: &str) -> Self {
        Self {
            prefix: master_id.to_owned(),
            next: 0,
            registered: BTreeMap::new(),
            by_pid: BTreeMap::new(),
            registering: BTreeSet::new(),
            changing: BTreeSet::new(),
            unreachable: BTreeMap::new(),
            doomed: BTreeSet::new(),
            draining: BTreeSet::new(),
            plans: BTreeMap::new(),
            gone: BTreeMap::new(),
            recovered: BTreeMap::new(),
            recovered_at_first: 0,
            removed: BTreeSet::new(),
            removed_order: VecDeque::new(),
        }
    }

    /// `<master id>-S<n>`.
    pub(crate) fn new_id(&mut self) -> SlaveId {
        let id = SlaveId::new(format!("{}-S{}", self.prefix, self.next));
        self.next += 1;
        id
    }

    pub(crate) fn add(&mut self, mut slave: Slave) {
        if let Some((drain, deactivated)) = self.plans.remove(&slave.id) {
            (slave.drain, slave.deactivated) = (drain, deactivated);
            slave.active &= !deactivated;
        }
        if slave.drain.is_some() {
            self.draining.insert(slave.id.clone());
        }
        self.unreachable.remove(&slave.id);
        self.recovered.remove(&slave.id);
        self.by_pid.insert(slave.pid.clone(), slave.id.clone());
        self.registered.insert(slave.id.clone(), Arc::new(slave));
    }

    pub(crate) fn get(&self, id: &SlaveId) -> Option<&Slave> {
        self.registered.get(id).map(|slave| &**slave)
    }

    pub(crate) fn get_mut(&mut self, id: &SlaveId) -> Option<&mut Slave> {
        self.registered.get_mut(id).map(Arc::make_mut)
    }

    pub(crate) fn by_pid(&self, pid: &Pid) -> Option<&Slave> {
        self.get(self.by_pid.get(pid)?)
    }

    /// The slave speaks from another PID now.
    pub(crate) fn moved(&mut self, id: &SlaveId, pid: Pid) {
        if let Some(slave) = self.registered.get_mut(id).map(Arc::make_mut)
            && slave.pid != pid
        {
            self.by_pid.remove(&slave.pid);
            slave.pid = pid.clone();
            self.by_pid.insert(pid, id.clone());
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slave> {
        self.registered.values().map(|slave| &**slave)
    }

    /// False when that PID is registering already.
    pub(crate) fn begin_registration(&mut self, pid: &Pid) -> bool {
        self.registering.insert(pid.clone())
    }

    pub(crate) fn end_registration(&mut self, pid: &Pid) {
        self.registering.remove(pid);
    }

    /// False when a registry change concerns that slave already.
    pub(crate) fn begin_change(&mut self, id: &SlaveId) -> bool {
        self.changing.insert(id.clone())
    }

    pub(crate) fn end_change(&mut self, id: &SlaveId) {
        self.changing.remove(id);
    }

    pub(crate) fn is_changing(&self, id: &SlaveId) -> bool {
        self.changing.contains(id)
    }

    fn take(&mut self, id: &SlaveId) -> Option<Slave> {
        let slave = self.registered.remove(id)?;
        self.doomed.remove(id);
        self.draining.remove(id);
        if self.by_pid.get(&slave.pid) == Some(id) {
            self.by_pid.remove(&slave.pid);
        }
        Some(Arc::unwrap_or_clone(slave))
    }

    /// Moves a slave to the unreachable ones.
    pub(crate) fn lose(&mut self, id: &SlaveId, now: Time) -> Option<Slave> {
        let slave = self.take(id)?;
        self.unreachable.insert(id.clone(), now);
        self.plan(id, slave.drain, slave.deactivated);
        Some(slave)
    }

    /// Forgets a slave for good.
    pub(crate) fn remove(&mut self, id: &SlaveId) -> Option<Slave> {
        let slave = self.take(id)?;
        if self.removed.insert(id.clone()) {
            self.removed_order.push_back(id.clone());
        }
        while self.removed_order.len() > MAX_REMOVED {
            if let Some(oldest) = self.removed_order.pop_front() {
                self.removed.remove(&oldest);
            }
        }
        Some(slave)
    }

    /// Notes what the registry held when this master was elected.
    pub(crate) fn recover(
        &mut self,
        admitted: BTreeMap<SlaveId, mesos::SlaveInfo>,
        unreachable: BTreeMap<SlaveId, Time>,
        gone: BTreeMap<SlaveId, Time>,
    ) {
        self.recovered_at_first = admitted.len();
        (self.recovered, self.unreachable, self.gone) = (admitted, unreachable, gone);
    }

    /// Draining or deactivation of a slave that is not here now.
    pub(crate) fn plan(
        &mut self,
        id: &SlaveId,
        drain: Option<mesos::DrainInfo>,
        deactivated: bool,
    ) {
        if drain.is_some() || deactivated {
            self.plans.insert(id.clone(), (drain, deactivated));
        } else {
            self.plans.remove(id);
        }
    }

    /// False when the slave waits already.
    pub(crate) fn doom(&mut self, id: &SlaveId) -> bool {
        self.doomed.insert(id.clone())
    }

    /// The slave is not to be marked unreachable any more, or its turn has come; true when it waited.
    pub(crate) fn spare(&mut self, id: &SlaveId) -> bool {
        self.doomed.remove(id)
    }

    /// A registered slave is to be emptied.
    pub(crate) fn note_draining(&mut self, id: &SlaveId) {
        self.draining.insert(id.clone());
    }

    /// Slaves that are to be emptied.
    pub(crate) fn draining(&self) -> Vec<SlaveId> {
        let draining = |id: &&SlaveId| {
            let info = self.get(id).and_then(|slave| slave.drain.as_ref());
            info.is_some_and(|info| info.state() == mesos::DrainState::Draining)
        };
        self.draining.iter().filter(draining).cloned().collect()
    }

    /// How many slaves the registry held when this master was elected.
    pub(crate) fn recovered_at_first(&self) -> usize {
        self.recovered_at_first
    }

    pub(crate) fn recovered(&self) -> &BTreeMap<SlaveId, mesos::SlaveInfo> {
        &self.recovered
    }

    pub(crate) fn is_recovered(&self, id: &SlaveId) -> bool {
        self.recovered.contains_key(id)
    }

    /// A recovered slave that did not come back in time is unreachable.
    pub(crate) fn lose_recovered(&mut self, id: &SlaveId, now: Time) -> bool {
        let known = self.recovered.remove(id).is_some();
        if known {
            self.unreachable.insert(id.clone(), now);
        }
        known
    }

    /// Marks a slave gone for good; the slave, if it was registered.
    pub(crate) fn mark_gone(&mut self, id: &SlaveId, now: Time) -> Option<Slave> {
        self.unreachable.remove(id);
        self.recovered.remove(id);
        self.gone.insert(id.clone(), now);
        self.take(id)
    }

    pub(crate) fn is_gone(&self, id: &SlaveId) -> bool {
        self.gone.contains_key(id)
    }

    pub(crate) fn unreachable(&self) -> &BTreeMap<SlaveId, Time> {
        &self.unreachable
    }

    pub(crate) fn gone(&self) -> &BTreeMap<SlaveId, Time> {
        &self.gone
    }

    /// Forgets slaves that the registry has forgotten.
    pub(crate) fn prune(&mut self, ids: &[SlaveId]) {
        for id in ids {
            self.unreachable.remove(id);
            self.gone.remove(id);
        }
    }

    pub(crate) fn unreachable_since(&self, id: &SlaveId) -> Option<Time> {
        self.unreachable.get(id).copied()
    }

    pub(crate) fn is_removed(&self, id: &SlaveId) -> bool {
        self.removed.contains(id)
    }
}
