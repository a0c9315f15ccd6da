//! Messages of the master and of executors.

use std::time::Duration;

use libprocess::{Ctx, Pid};
use protos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use protos::mesos;
use protos::mesos::internal::*;

use super::Slave;
use crate::calls::run_task::Fresh;
use crate::calls::{
    executors, framework, kill, messages, operations, reregister, resources, run_task,
    run_task_group, shutdown, updates,
};
use crate::effects::Effect;
use crate::registration::Standing;

/// Time for the last message to the master to get out.
const FAREWELL: Duration = Duration::from_secs(1);

/// Orders of the master.
impl Slave {
    pub(super) fn shutdown(&mut self, m: ShutdownMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "shutdown") {
            return;
        }
        self.leave(1, format!("the master told this slave to shut down: {}", m.message()), cx);
    }

    /// Tells the master that this slave goes for good, and goes, for the reason `why`. Its executors
    /// are shut down; a slave that is on its way out already is not disturbed.
    pub fn retire(&mut self, why: &str, cx: &mut Ctx<Self>) {
        if self.registration.standing == Standing::Terminating {
            return;
        }
        self.registration.standing = Standing::Terminating;
        if let Some(master) = &self.state.master {
            cx.send(master, &UnregisterSlaveMessage { slave_id: self.state.id().wire() });
        }
        let reason = format!("unregistered because of {why}");
        cx.after(FAREWELL, move |slave, cx| slave.leave(1, reason, cx));
    }

    /// Shuts all executors down and ends once they are gone, at the latest after their grace period.
    pub(super) fn leave(&mut self, code: i32, reason: String, cx: &mut Ctx<Self>) {
        self.registration.standing = Standing::Terminating;
        self.leaving = Some((code, reason));
        let grace = shutdown::longest_grace(&self.state);
        self.decide(cx, shutdown::shut_down_all);
        cx.after(grace, |slave, cx| {
            // Containers that outlasted it are being destroyed now; that takes a moment.
            cx.after(FAREWELL, Self::gone);
            slave.leave_if_idle(cx);
        });
        self.leave_if_idle(cx);
    }

    pub(super) fn leave_if_idle(&mut self, cx: &mut Ctx<Self>) {
        if self.state.frameworks.is_empty() {
            self.gone(cx);
        }
    }

    pub(super) fn run_task(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "task") || !self.takes_orders() {
            return;
        }
        let fresh = Fresh {
            container: ContainerId::new(cx.uuid().to_string()),
            uuid: cx.uuid().into_bytes(),
            now: cx.now(),
        };
        self.decide(cx, |state, fx| run_task::run_task(state, m, &fresh, fx));
    }

    pub(super) fn run_task_group(&mut self, m: RunTaskGroupMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "task group") || !self.takes_orders() {
            return;
        }
        let mut uuids = Vec::new();
        uuids.resize_with(m.task_group.tasks.len(), || cx.uuid().into_bytes());
        let now = cx.now();
        self.decide(cx, |state, fx| run_task_group::refuse(state, &m, now, &uuids, fx));
    }

    pub(super) fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        if self.is_from_master(cx, "kill") {
            let (uuid, now) = (cx.uuid().into_bytes(), cx.now());
            self.decide(cx, |state, fx| kill::kill(state, &m, uuid, now, fx));
        }
    }

    pub(super) fn shutdown_executor(&mut self, m: ShutdownExecutorMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "shutdown of an executor") {
            return;
        }
        let (framework, executor) =
            (m.framework_id.unwrap_or_default(), m.executor_id.unwrap_or_default());
        let (framework, executor) = (FrameworkId::from(framework), ExecutorId::from(executor));
        self.decide(cx, |state, fx| {
            shutdown::shut_down_executor(state, &framework, &executor, fx);
        });
    }

    pub(super) fn shutdown_framework(&mut self, m: ShutdownFrameworkMessage, cx: &mut Ctx<Self>) {
        if self.is_from_master(cx, "shutdown of a framework") {
            let id = FrameworkId::from(m.framework_id);
            self.decide(cx, |state, fx| shutdown::shut_down_framework(state, &id, fx));
        }
    }

    pub(super) fn update_framework(&mut self, m: UpdateFrameworkMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "update of a framework") {
            return;
        }
        let mut known = false;
        self.decide(cx, |state, fx| known = framework::update(state, &m, fx));
        if known && self.registration.standing == Standing::Running {
            // Its scheduler may have missed what was in flight.
            self.manage(|manager, cx| manager.resume(cx));
        }
    }

    pub(super) fn framework_message(&mut self, m: FrameworkToExecutorMessage, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| messages::to_executor(state, &m, fx));
    }

    pub(super) fn acknowledge_update(
        &mut self,
        m: StatusUpdateAcknowledgementMessage,
        cx: &mut Ctx<Self>,
    ) {
        if self.is_from_master(cx, "acknowledgement") {
            let (framework, task) = (FrameworkId::from(m.framework_id), TaskId::from(m.task_id));
            self.carry_out(Effect::Acknowledge(framework, task, m.uuid), cx);
        }
    }

    pub(super) fn checkpoint_resources(
        &mut self,
        m: CheckpointResourcesMessage,
        cx: &mut Ctx<Self>,
    ) {
        if self.is_from_master(cx, "checkpointed resources") {
            self.decide(cx, |state, fx| resources::checkpoint(state, &m.resources, fx));
        }
    }

    pub(super) fn apply_operation(&mut self, m: ApplyOperationMessage, cx: &mut Ctx<Self>) {
        if self.is_from_master(cx, "operation") {
            let uuid = cx.uuid().into_bytes();
            self.decide(cx, |state, fx| operations::apply(state, &m, uuid, fx));
        }
    }

    pub(super) fn reconcile_operations(
        &mut self,
        m: ReconcileOperationsMessage,
        cx: &mut Ctx<Self>,
    ) {
        if self.is_from_master(cx, "reconciliation of operations") {
            let mut uuids = Vec::new();
            uuids.resize_with(m.operations.len(), || cx.uuid().into_bytes());
            self.decide(cx, |state, fx| operations::reconcile(state, &m, &uuids, fx));
        }
    }

    pub(super) fn acknowledge_operation(
        &mut self,
        m: AcknowledgeOperationStatusMessage,
        cx: &mut Ctx<Self>,
    ) {
        slog::debug!(cx.log(), "acknowledgement of an operation that has no stream";
            "bytes" => m.status_uuid.value.len());
    }

    /// Tasks are taken from the master that is followed, also while it is registered with anew.
    fn takes_orders(&self) -> bool {
        matches!(self.registration.standing, Standing::Running | Standing::Disconnected)
    }
}

/// Executors.
impl Slave {
    pub(super) fn register_executor(&mut self, m: RegisterExecutorMessage, cx: &mut Ctx<Self>) {
        if !self.knows_executors(cx) {
            return;
        }
        let ids = (FrameworkId::from(&m.framework_id), ExecutorId::from(&m.executor_id));
        self.with_status(ids, cx, move |slave, from, cx| {
            let now = cx.now();
            let recovering = slave.registration.standing == Standing::Recovering;
            let mut uuids = slave.uuids(&m.framework_id, &m.executor_id, cx);
            slave.decide(cx, |state, fx| {
                let uuid = || uuids.pop().unwrap_or_default();
                executors::register(state, from, &m, recovering, now, uuid, fx);
            });
        });
    }

    /// What it could not tell meanwhile comes with this, and what it tells next right behind it: so it
    /// is handled at once. What isolators say of its container was asked for during recovery.
    pub(super) fn reregister_executor(&mut self, m: ReregisterExecutorMessage, cx: &mut Ctx<Self>) {
        if !self.knows_executors(cx) {
            return;
        }
        let (from, now) = (cx.from().clone(), cx.now());
        let mut uuids = self.uuids(&m.framework_id, &m.executor_id, cx);
        self.decide(cx, |state, fx| {
            let uuid = || uuids.pop().unwrap_or_default();
            reregister::reregister(state, &from, m, now, uuid, fx);
        });
    }

    /// Goes on with who spoke for the first time once it is known what isolators say of its container: it
    /// has tasks to tell of only then, and their updates are told with that.
    fn with_status(
        &mut self,
        (framework, executor): (FrameworkId, ExecutorId),
        cx: &mut Ctx<Self>,
        go_on: impl FnOnce(&mut Self, &Pid, &mut Ctx<Self>) + Send + 'static,
    ) {
        let from = cx.from().clone();
        let known = self.state.executor(&framework, &executor);
        let Some(container) = known.map(|executor| executor.container.clone()) else {
            return go_on(self, &from, cx);
        };
        let status = self.containerizer.status(&container);
        cx.defer(status, move |slave, status, cx| {
            let known = slave.state.executor_mut(&framework, &executor);
            let known = known.filter(|executor| executor.container == container);
            if let (Some(executor), Ok(status)) = (known, status) {
                executor.container_status = status;
            }
            go_on(slave, &from, cx);
        });
    }

    /// A fresh id for an update of each task of an executor.
    fn uuids(
        &self,
        framework: &mesos::FrameworkId,
        executor: &mesos::ExecutorId,
        cx: &mut Ctx<Self>,
    ) -> Vec<[u8; 16]> {
        let executor = self.state.executor(&framework.into(), &executor.into());
        let tasks = executor.map_or(0, |executor| executor.launched.len());
        (0..tasks).map(|_| cx.uuid().into_bytes()).collect()
    }

    pub(super) fn status_update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        self.decide(cx, |state, fx| updates::from_executor(state, &from, m, fx));
    }

    pub(super) fn executor_message(&mut self, m: ExecutorToFrameworkMessage, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| messages::to_framework(state, &m, fx));
    }
}
