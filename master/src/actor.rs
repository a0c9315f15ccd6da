//! The process `master`: takes messages, has them decided, carries the effects out.

mod common;
mod newer;
mod older;
mod shell;

use std::collections::BTreeMap;
use std::sync::Arc;

use allocator::{Allocation, Allocator, HierarchicalAllocator};
use libprocess::{Ctx, Handle, Node, Pid, Process, Routes, SpawnError};
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::internal::*;

use crate::observer::SlaveObserver;
use crate::registrar::Registrar;
use crate::state::State;
use crate::{Config, calls, http, metrics, slaves};

/// The master's actor.
pub struct Master {
    pub(crate) state: State,
    allocator: Arc<dyn Allocator>,
    registrar: Handle<Registrar>,
    observers: BTreeMap<SlaveId, Handle<SlaveObserver>>,
}

/// Starts a master, its allocator and its registrar on a node.
///
/// # Errors
/// When the node has a process `master` or `allocator` already.
pub fn start(node: &Node, config: Config) -> Result<Handle<Master>, SpawnError> {
    let sink: Arc<std::sync::OnceLock<Handle<Master>>> = Arc::default();
    let offers = sink.clone();
    let allocation = allocator::actor::Config {
        allocation_interval: config.allocation_interval,
        weights: config.weights.clone(),
        ..Default::default()
    };
    let callback = Arc::new(move |framework: FrameworkId, allocation: Allocation| {
        if let Some(master) = offers.get() {
            master.tell(move |master, cx| master.offer(&framework, allocation, cx));
        }
    });
    let allocator = HierarchicalAllocator::start(node, allocation, callback)?;
    let registrar = node.spawn_numbered("registrar", Registrar::default());
    let id = node_id(node);
    let state = State::new(config, &id, node.pid("master"), node.now());
    let master = Master { state, allocator, registrar, observers: BTreeMap::new() };
    let handle = node.spawn("master", master)?;
    sink.get_or_init(|| handle.clone());
    Ok(handle)
}

/// A random UUID for each start; from the node's seeded generator, so that runs can be replayed.
fn node_id(node: &Node) -> String {
    node.random_uuid().to_string()
}

impl Process for Master {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::register_slave)
            .on(Self::reregister_slave)
            .on(Self::unregister_slave)
            .on(Self::update_slave)
            .on(Self::status_update)
            .on(Self::exited_executor)
            .on(Self::executor_message)
            .on(Self::operation_update)
            .on(Self::call)
            .on(Self::register_framework)
            .on(Self::reregister_framework)
            .on(Self::unregister_framework)
            .on(Self::deactivate_framework)
            .on(Self::launch_tasks)
            .on(Self::revive_offers)
            .on(Self::resource_request)
            .on(Self::reconcile_tasks)
            .on(Self::kill_task)
            .on(Self::acknowledge_update)
            .on(Self::framework_message)
            .on(Self::submit_scheduler)
            .on(Self::authenticate);
        http::routes(r);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        metrics::register(cx);
        slog::info!(cx.log(), "master started"; "id" => &self.state.info.id);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        let now = cx.now();
        self.decide(cx, |state, fx| {
            slaves::lost::exited(state, pid, now, fx);
            calls::disconnect::exited(state, pid, fx);
        });
    }
}

/// Slaves.
impl Master {
    fn register_slave(&mut self, m: RegisterSlaveMessage, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        self.decide(cx, |state, fx| slaves::register::register(state, &from, m, fx));
    }

    fn reregister_slave(&mut self, m: ReregisterSlaveMessage, cx: &mut Ctx<Self>) {
        let (from, now) = (cx.from().clone(), cx.now());
        self.decide(cx, |state, fx| slaves::reregister::reregister(state, &from, m, now, fx));
    }

    fn unregister_slave(&mut self, m: UnregisterSlaveMessage, cx: &mut Ctx<Self>) {
        let (from, id) = (cx.from().clone(), SlaveId::from(m.slave_id));
        self.decide(cx, |state, fx| slaves::lost::unregister(state, &from, &id, fx));
    }

    fn update_slave(&mut self, m: UpdateSlaveMessage, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        self.decide(cx, |state, fx| slaves::update::update_slave(state, &from, &m, fx));
    }

    fn status_update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| slaves::update::status_update(state, m, fx));
    }

    fn exited_executor(&mut self, m: ExitedExecutorMessage, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| slaves::update::exited_executor(state, &m, fx));
    }

    fn executor_message(&mut self, m: ExecutorToFrameworkMessage, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| calls::message::to_framework(state, &m, fx));
    }

    fn operation_update(&mut self, m: UpdateOperationStatusMessage, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        self.decide(cx, |state, fx| slaves::update::operation_update(state, &from, &m, fx));
    }

    /// An observer missed too many pongs of a slave.
    pub(crate) fn slave_silent(&mut self, id: &SlaveId, cx: &mut Ctx<Self>) {
        let now = cx.now();
        self.decide(cx, |state, fx| slaves::lost::silent(state, id, now, fx));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_table_serves_the_messages_of_slaves_and_both_forms_of_frameworks() {
        let expected = [
            "mesos.internal.AuthenticateMessage",
            "mesos.internal.DeactivateFrameworkMessage",
            "mesos.internal.ExecutorToFrameworkMessage",
            "mesos.internal.ExitedExecutorMessage",
            "mesos.internal.FrameworkToExecutorMessage",
            "mesos.internal.KillTaskMessage",
            "mesos.internal.LaunchTasksMessage",
            "mesos.internal.ReconcileTasksMessage",
            "mesos.internal.RegisterFrameworkMessage",
            "mesos.internal.RegisterSlaveMessage",
            "mesos.internal.ReregisterFrameworkMessage",
            "mesos.internal.ReregisterSlaveMessage",
            "mesos.internal.ResourceRequestMessage",
            "mesos.internal.ReviveOffersMessage",
            "mesos.internal.StatusUpdateAcknowledgementMessage",
            "mesos.internal.StatusUpdateMessage",
            "mesos.internal.SubmitSchedulerRequest",
            "mesos.internal.UnregisterFrameworkMessage",
            "mesos.internal.UnregisterSlaveMessage",
            "mesos.internal.UpdateOperationStatusMessage",
            "mesos.internal.UpdateSlaveMessage",
            "mesos.scheduler.Call",
        ];
        let mut served = libprocess::message_names::<Master>();
        served.sort();
        assert_eq!(served, expected);
    }
}
