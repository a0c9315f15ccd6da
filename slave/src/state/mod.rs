//! What a slave knows, in parts with invariants of their own.

mod executor;
mod framework;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use bytes::Bytes;
use libprocess::{Pid, Time};
use protos::ids::{ContainerId, ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos;
use protos::mesos::slave_info::capability::Type as Capability;
use protos::resources::Resources;

use crate::effects::{Effect, Effects};
use crate::{Config, paths};

pub(crate) use executor::{Cause, Executor, ExecutorState, note_status};
pub(crate) use framework::Framework;

/// What this slave can do, as masters and operators are told: what is listed here is served. Draining
/// and operations with feedback are not, nor are resource providers.
pub(crate) const CAPABILITIES: [Capability; 5] = [
    Capability::MultiRole,
    Capability::HierarchicalRole,
    Capability::ReservationRefinement,
    Capability::ResizeVolume,
    Capability::TaskResourceLimits,
];

/// Completed frameworks kept for display.
const KEEP_FRAMEWORKS: usize = 50;

/// The parts together.
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) pid: Pid,
    pub(crate) started: Time,
    /// What the master is told of this slave; with an id once it has one.
    pub(crate) info: mesos::SlaveInfo,
    /// The master that this slave takes orders from; none while there is none.
    pub(crate) master: Option<Pid>,
    /// Reserved resources and persistent volumes, as the master last said.
    pub(crate) checkpointed: Vec<mesos::Resource>,
    pub(crate) frameworks: BTreeMap<FrameworkId, Framework>,
    pub(crate) completed: VecDeque<Framework>,
}

impl State {
    pub(crate) fn new(config: Config, pid: Pid, now: Time) -> Self {
        let info = mesos::SlaveInfo {
            hostname: config.hostname.clone(),
            resources: config.resources.to_wire(),
            attributes: config.attributes.clone(),
            id: None,
            checkpoint: Some(true),
            port: Some(i32::from(pid.address().port())),
            domain: config.domain.clone(),
        };
        Self {
            config,
            pid,
            started: now,
            info,
            master: None,
            checkpointed: Vec::new(),
            frameworks: BTreeMap::new(),
            completed: VecDeque::new(),
        }
    }

    /// What the host has to offer, with the reservations and volumes that were made of it.
    pub(crate) fn total(&self) -> Resources {
        let own = &self.config.resources;
        let known = Resources::from_wire(&self.checkpointed).unwrap_or_default();
        // Of another configuration's resources nothing can have been made.
        own.with_checkpointed(&known.checkpointed()).unwrap_or_else(|| own.clone())
    }

    /// The slave's id; empty before its first registration.
    pub(crate) fn id(&self) -> SlaveId {
        self.info.id.as_ref().map_or_else(|| SlaveId::new(""), SlaveId::from)
    }

    pub(crate) fn executor_mut(
        &mut self,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) -> Option<&mut Executor> {
        self.frameworks.get_mut(framework)?.executors.get_mut(executor)
    }

    pub(crate) fn executor(
        &self,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) -> Option<&Executor> {
        self.frameworks.get(framework)?.executors.get(executor)
    }

    /// Notes what isolators say of a container with its executor.
    pub(crate) fn note_container(&mut self, status: mesos::ContainerStatus) {
        let Some(id) = status.container_id.as_ref().map(ContainerId::from) else { return };
        let executors = self.frameworks.values_mut().flat_map(|it| it.executors.values_mut());
        for executor in executors.filter(|executor| executor.container == id) {
            executor.container_status = status.clone();
        }
    }

    /// The executor that has the task, in whatever state.
    pub(crate) fn executor_of(
        &mut self,
        framework: &FrameworkId,
        task: &TaskId,
    ) -> Option<&mut Executor> {
        let executors = &mut self.frameworks.get_mut(framework)?.executors;
        // The executor of a command task has its task's name.
        let namesake = ExecutorId::new(task.as_str());
        if executors.get(&namesake).is_some_and(|executor| executor.has(task)) {
            return executors.get_mut(&namesake);
        }
        executors.values_mut().find(|executor| executor.has(task))
    }

    /// Closes the books of an executor that is over and has told everything; `fx` marks its run as
    /// over, so that no later slave looks for it.
    pub(crate) fn complete(&mut self, id: &FrameworkId, executor: &ExecutorId, fx: &mut Effects) {
        let (keep, slave) = (self.config.max_completed_executors, self.id());
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let Some(container) = framework.executors.get(executor).map(|it| it.container.clone())
        else {
            return;
        };
        if framework.checkpoints() {
            let run = paths::meta_run(&self.config.work_dir, &slave, id, executor, &container);
            fx.push(Effect::Write(paths::sentinel(&run), Bytes::new()));
        }
        framework.complete(executor, keep);
        let work_dir = &self.config.work_dir;
        let mut over = paths::all_of_executor(work_dir, &slave, id, executor).to_vec();
        over.push(paths::sandbox(work_dir, &slave, id, executor, &container));
        over.push(paths::meta_run(work_dir, &slave, id, executor, &container));
        fx.push(Effect::Collect(over));
        self.forget_if_idle(id, fx);
    }

    /// True when an executor that is not over has its sandbox or checkpoints at or below the path.
    pub(crate) fn uses(&self, path: &Path) -> bool {
        let (work_dir, slave) = (&self.config.work_dir, self.id());
        self.frameworks.values().any(|framework| {
            framework.executors.values().any(|it| {
                let run = paths::meta_run(work_dir, &slave, &framework.id, &it.id, &it.container);
                it.directory.starts_with(path) || run.starts_with(path)
            })
        })
    }

    /// The executors that a framework had here before it fell idle: it is one framework for those who
    /// look, not one for each time that it was here.
    pub(crate) fn past_of(&mut self, id: &FrameworkId) -> VecDeque<Executor> {
        let at = self.completed.iter().position(|framework| framework.id == *id);
        let framework = at.and_then(|at| self.completed.remove(at));
        framework.map(|framework| framework.completed).unwrap_or_default()
    }

    /// Drops a framework that has nothing left, and remembers it.
    pub(crate) fn forget_if_idle(&mut self, id: &FrameworkId, fx: &mut Effects) {
        let idle = self.frameworks.get(id).is_some_and(|framework| framework.executors.is_empty());
        if idle && let Some(framework) = self.frameworks.remove(id) {
            let over = paths::all_of_framework(&self.config.work_dir, &self.id(), id);
            fx.push(Effect::Collect(over.to_vec()));
            self.completed.push_back(framework);
            while self.completed.len() > KEEP_FRAMEWORKS {
                self.completed.pop_front();
            }
        }
    }
}
