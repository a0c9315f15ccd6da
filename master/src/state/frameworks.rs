//! Frameworks: registered, recovered, completed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use allocator::{FrameworkSpec, OfferConstraints};
use libprocess::{Pid, Time};
use protos::duration::from_secs_f64;
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId};
use protos::mesos;
use protos::mesos::framework_info::capability::Type as Capability;
use protos::resources::Resources;

use super::{TaskEntry, Tasks};

/// A framework as the master knows it.
#[derive(Debug, Clone)]
pub(crate) struct Framework {
    pub(crate) id: FrameworkId,
    pub(crate) info: mesos::FrameworkInfo,
    /// Where its scheduler is; empty for one that was only heard of from slaves.
    pub(crate) pid: Pid,
    /// Its scheduler's connection stands.
    pub(crate) connected: bool,
    /// It gets offers.
    pub(crate) active: bool,
    /// Heard of from slaves after a failover; its scheduler has not come back yet.
    pub(crate) recovered: bool,
    pub(crate) registered: Time,
    pub(crate) reregistered: Option<Time>,
    pub(crate) unregistered: Option<Time>,
    /// Counts disconnections, so that an old reminder is recognised.
    pub(crate) epoch: u64,
    pub(crate) suppressed: BTreeSet<String>,
    /// Which slaves it wants offers of.
    pub(crate) constraints: OfferConstraints,
    pub(crate) tasks: Tasks,
    pub(crate) executors: BTreeMap<SlaveId, BTreeMap<ExecutorId, mesos::ExecutorInfo>>,
    pub(crate) offers: BTreeSet<OfferId>,
}

impl Framework {
    pub(crate) fn new(
        id: FrameworkId,
        mut info: mesos::FrameworkInfo,
        pid: Pid,
        now: Time,
    ) -> Self {
        info.id = Some(id.wire());
        Self {
            id,
            info,
            pid,
            connected: true,
            active: true,
            recovered: false,
            registered: now,
            reregistered: None,
            unregistered: None,
            epoch: 0,
            suppressed: BTreeSet::new(),
            constraints: OfferConstraints::default(),
            tasks: Tasks::default(),
            executors: BTreeMap::new(),
            offers: BTreeSet::new(),
        }
    }

    pub(crate) fn has(&self, capability: Capability) -> bool {
        has_capability(&self.info, capability)
    }

    pub(crate) fn partition_aware(&self) -> bool {
        self.has(Capability::PartitionAware)
    }

    pub(crate) fn roles(&self) -> BTreeSet<String> {
        roles_of(&self.info)
    }

    pub(crate) fn spec(&self) -> FrameworkSpec {
        FrameworkSpec {
            suppressed_roles: self.suppressed.clone(),
            constraints: self.constraints.clone(),
            ..FrameworkSpec::new(&self.info, self.roles())
        }
    }

    /// How long it may stay away; a value out of range acts like 0.
    pub(crate) fn failover_timeout(&self) -> Duration {
        from_secs_f64(self.info.failover_timeout()).unwrap_or_default()
    }

    /// What its tasks and executors hold, by slave; allocated.
    pub(crate) fn used(&self) -> BTreeMap<SlaveId, Resources> {
        let mut used = self.tasks.held().clone();
        for (slave, executors) in &self.executors {
            for executor in executors.values() {
                let held = Resources::from_wire(&executor.resources).unwrap_or_default();
                *used.entry(slave.clone()).or_default() += &held;
            }
        }
        used
    }

    /// What it holds on one slave; allocated.
    pub(crate) fn used_on(&self, slave: &SlaveId) -> Resources {
        let mut used = self.tasks.held().get(slave).cloned().unwrap_or_default();
        for executor in self.executors.get(slave).into_iter().flat_map(BTreeMap::values) {
            used += &Resources::from_wire(&executor.resources).unwrap_or_default();
        }
        used
    }

    /// Forgets an executor; what it held.
    pub(crate) fn remove_executor(
        &mut self,
        slave: &SlaveId,
        id: &ExecutorId,
    ) -> Option<Resources> {
        let executors = self.executors.get_mut(slave)?;
        let executor = executors.remove(id)?;
        if executors.is_empty() {
            self.executors.remove(slave);
        }
        Some(Resources::from_wire(&executor.resources).unwrap_or_default())
    }

    /// True when it has tasks or executors there.
    pub(crate) fn is_on(&self, slave: &SlaveId) -> bool {
        self.executors.contains_key(slave) || self.tasks.here(slave).next().is_some()
    }
}

pub(crate) fn has_capability(info: &mesos::FrameworkInfo, capability: Capability) -> bool {
    info.capabilities.iter().any(|c| c.r#type() == capability)
}

/// `roles` for multi-role frameworks, else `role`.
pub(crate) fn roles_of(info: &mesos::FrameworkInfo) -> BTreeSet<String> {
    if has_capability(info, Capability::MultiRole) {
        info.roles.iter().cloned().collect()
    } else {
        BTreeSet::from([info.role().to_owned()])
    }
}

/// All frameworks of a master. Each is shared with snapshots until it changes.
#[derive(Debug, Clone)]
pub(crate) struct Frameworks {
    prefix: String,
    next: u64,
    registered: BTreeMap<FrameworkId, Arc<Framework>>,
    completed: VecDeque<Arc<Framework>>,
    keep_completed: usize,
    /// Principals and frameworks of the schedulers that are connected.
    principals: BTreeMap<Pid, (Option<String>, FrameworkId)>,
}

impl Frameworks {
    pub(crate) fn new(master_id: &str, keep_completed: usize) -> Self {
        Self {
            prefix: master_id.to_owned(),
            next: 0,
            registered: BTreeMap::new(),
            completed: VecDeque::new(),
            keep_completed,
            principals: BTreeMap::new(),
        }
    }

    /// `<master id>-NNNN`.
    pub(crate) fn new_id(&mut self) -> FrameworkId {
        let id = FrameworkId::new(format!("{}-{:04}", self.prefix, self.next));
        self.next += 1;
        id
    }

    /// The principal of the scheduler at that PID; None when there is none.
    pub(crate) fn principal_at(&self, pid: &Pid) -> Option<&Option<String>> {
        self.principals.get(pid).map(|(principal, _)| principal)
    }

    /// The framework of the scheduler at that PID.
    pub(crate) fn framework_at(&self, pid: &Pid) -> Option<&FrameworkId> {
        self.principals.get(pid).map(|(_, id)| id)
    }

    /// A scheduler is there now.
    pub(crate) fn connected_at(&mut self, pid: &Pid, principal: Option<String>, id: FrameworkId) {
        self.principals.insert(pid.clone(), (principal, id));
    }

    /// Nobody is there any more.
    pub(crate) fn disconnected_at(&mut self, pid: &Pid) {
        self.principals.remove(pid);
    }

    pub(crate) fn add(&mut self, framework: Framework) {
        self.registered.insert(framework.id.clone(), Arc::new(framework));
    }

    pub(crate) fn get(&self, id: &FrameworkId) -> Option<&Framework> {
        self.registered.get(id).map(|framework| &**framework)
    }

    pub(crate) fn get_mut(&mut self, id: &FrameworkId) -> Option<&mut Framework> {
        self.registered.get_mut(id).map(Arc::make_mut)
    }

    /// The framework, provided that the message comes from its scheduler.
    pub(crate) fn authentic(&self, id: &FrameworkId, from: &Pid) -> Result<&Framework, String> {
        match self.registered.get(id) {
            // Frameworks that only slaves have told of have no PID either.
            _ if !from.is_complete() => Err(format!("sender '{from}' cannot be answered")),
            None => Err(format!("unknown framework {id}")),
            Some(framework) if framework.pid != *from => {
                Err(format!("framework {id} is at {}, not at {from}", framework.pid))
            }
            Some(framework) => Ok(framework),
        }
    }

    /// The connected framework whose scheduler has this PID.
    pub(crate) fn by_pid(&self, pid: &Pid) -> Option<&Framework> {
        self.iter().find(|framework| framework.connected && framework.pid == *pid)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Framework> {
        self.registered.values().map(|framework| &**framework)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Framework> {
        self.registered.values_mut().map(Arc::make_mut)
    }

    pub(crate) fn ids(&self) -> Vec<FrameworkId> {
        self.registered.keys().cloned().collect()
    }

    pub(crate) fn completed(&self) -> impl Iterator<Item = &Framework> {
        self.completed.iter().map(|framework| &**framework)
    }

    pub(crate) fn is_completed(&self, id: &FrameworkId) -> bool {
        self.completed.iter().any(|framework| framework.id == *id)
    }

    /// Moves a framework to the completed ones.
    pub(crate) fn complete(&mut self, id: &FrameworkId, now: Time) {
        if let Some(mut shared) = self.registered.remove(id) {
            let framework = Arc::make_mut(&mut shared);
            self.principals.remove(&framework.pid);
            (framework.connected, framework.active) = (false, false);
            framework.unregistered = Some(now);
            self.completed.push_back(shared);
            while self.completed.len() > self.keep_completed {
                self.completed.pop_front();
            }
        }
    }

    /// The task of a framework.
    pub(crate) fn task(
        &self,
        framework: &FrameworkId,
        task: &protos::ids::TaskId,
    ) -> Option<&TaskEntry> {
        self.registered.get(framework)?.tasks.get(task)
    }
}
