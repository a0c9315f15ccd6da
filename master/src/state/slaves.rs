//! Slaves: registered, on their way in or out, unreachable, removed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use allocator::SlaveSpec;
use libprocess::{Pid, Time};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos;
use protos::resources::Resources;

/// Removed slaves remembered, so that late messages are recognised.
const MAX_REMOVED: usize = 100_000;

/// A slave as the master knows it.
#[derive(Debug)]
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
            pending_kills: BTreeSet::new(),
        }
    }

    pub(crate) fn spec(&self) -> SlaveSpec {
        SlaveSpec::new(&self.info, &self.capabilities)
    }
}

/// All slaves of a master.
#[derive(Debug)]
pub(crate) struct Slaves {
    prefix: String,
    next: u64,
    registered: BTreeMap<SlaveId, Slave>,
    by_pid: BTreeMap<Pid, SlaveId>,
    /// PIDs whose first registration is on its way through the registry.
    registering: BTreeSet<Pid>,
    /// Ids that a registry change concerns; messages from and to them wait or are ignored.
    changing: BTreeSet<SlaveId>,
    unreachable: BTreeMap<SlaveId, Time>,
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

    pub(crate) fn add(&mut self, slave: Slave) {
        self.unreachable.remove(&slave.id);
        self.by_pid.insert(slave.pid.clone(), slave.id.clone());
        self.registered.insert(slave.id.clone(), slave);
    }

    pub(crate) fn get(&self, id: &SlaveId) -> Option<&Slave> {
        self.registered.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &SlaveId) -> Option<&mut Slave> {
        self.registered.get_mut(id)
    }

    pub(crate) fn by_pid(&self, pid: &Pid) -> Option<&Slave> {
        self.registered.get(self.by_pid.get(pid)?)
    }

    /// The slave speaks from another PID now.
    pub(crate) fn moved(&mut self, id: &SlaveId, pid: Pid) {
        if let Some(slave) = self.registered.get_mut(id)
            && slave.pid != pid
        {
            self.by_pid.remove(&slave.pid);
            slave.pid = pid.clone();
            self.by_pid.insert(pid, id.clone());
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slave> {
        self.registered.values()
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
        if self.by_pid.get(&slave.pid) == Some(id) {
            self.by_pid.remove(&slave.pid);
        }
        Some(slave)
    }

    /// Moves a slave to the unreachable ones.
    pub(crate) fn lose(&mut self, id: &SlaveId, now: Time) -> Option<Slave> {
        let slave = self.take(id)?;
        self.unreachable.insert(id.clone(), now);
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

    pub(crate) fn unreachable_since(&self, id: &SlaveId) -> Option<Time> {
        self.unreachable.get(id).copied()
    }

    pub(crate) fn unreachable_count(&self) -> usize {
        self.unreachable.len()
    }

    pub(crate) fn is_removed(&self, id: &SlaveId) -> bool {
        self.removed.contains(id)
    }
}
