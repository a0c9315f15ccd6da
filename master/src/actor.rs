//! The process `master`: takes messages, has them decided, carries the effects out.

mod allocation;
mod authentication;
mod common;
mod gate;
mod leadership;
mod newer;
mod older;
mod plans;
mod registry;
mod seats;
mod shell;
mod tally;
mod whitelist;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use allocator::Allocator;
use libprocess::{Ctx, Handle, Node, Pid, Process, Routes, SpawnError};
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::internal::*;

use crate::observer::SlaveObserver;
use crate::registrar::Registrar;
use crate::state::{Limiters, State};
use crate::{Config, calls, http, metrics, slaves};

/// The master's actor.
pub struct Master {
    pub(crate) state: State,
    pub(crate) allocator: Arc<dyn Allocator>,
    pub(crate) views: http::Views,
    registrar: Handle<Registrar>,
    observers: BTreeMap<SlaveId, Handle<SlaveObserver>>,
    /// The whitelist as it was read last.
    whitelist: Option<BTreeSet<String>>,
    /// Attempts to authenticate that are under way, by client.
    authentications: BTreeMap<Pid, authentication::Authentication>,
    attempts: u64,
    limiters: Limiters,
    /// Messages whose turn has come, by sender and name: they come once more.
    waited: BTreeMap<(Pid, String), u32>,
    /// What makes it the leader, while it is one of several.
    candidacy: Option<coordination::election::Candidacy>,
    /// It has called [`crate::Fatal`].
    over: bool,
    tally: tally::Tally,
    /// Metrics of frameworks.
    seats: BTreeMap<FrameworkId, seats::Seat>,
}

/// Starts a master, its allocator and its registrar on a node.
///
/// # Errors
/// When the node has a process `master` or `allocator` already.
pub fn start(node: &Node, config: Config) -> Result<Handle<Master>, SpawnError> {
    let sink = allocation::Sink::default();
    let allocator = allocation::start(node, &config, &sink)?;
    http::guard(node, &config);
    let registrar = node.spawn_numbered("registrar", Registrar::new(config.registrar.clone()));
    let limiters = config.rate_limits.as_ref().map(Limiters::new).unwrap_or_default();
    let (id, closed) = (node_id(node), config.disabled_endpoints.clone());
    let state = State::new(config, &id, node.pid("master"), node.now());
    let master = Master {
        state,
        allocator,
        views: http::Views::default(),
        registrar,
        observers: BTreeMap::new(),
        whitelist: None,
        authentications: BTreeMap::new(),
        attempts: 0,
        limiters,
        waited: BTreeMap::new(),
        candidacy: None,
        over: false,
        tally: tally::Tally::default(),
        seats: BTreeMap::new(),
    };
    let handle = node.spawn("master", master)?;
    // Paths are those of processes that are there.
    node.disable_endpoints(closed.iter().map(String::as_str));
    sink.get_or_init(|| handle.clone());
    Ok(handle)
}

/// A random UUID for each start; from the node's seeded generator, so that runs can be replayed.
fn node_id(node: &Node) -> String {
    node.random_uuid().to_string()
}

impl Process for Master {
    fn routes(r: &mut Routes<Self>) {
        gate::on(r, Self::register_slave);
        gate::on(r, Self::reregister_slave);
        gate::on(r, Self::unregister_slave);
        gate::on(r, Self::update_slave);
        gate::on(r, Self::status_update);
        gate::on(r, Self::exited_executor);
        gate::on(r, Self::executor_message);
        gate::on(r, Self::operation_update);
        gate::on(r, Self::call);
        gate::on(r, Self::register_framework);
        gate::on(r, Self::reregister_framework);
        gate::on(r, Self::unregister_framework);
        gate::on(r, Self::deactivate_framework);
        gate::on(r, Self::launch_tasks);
        gate::on(r, Self::revive_offers);
        gate::on(r, Self::resource_request);
        gate::on(r, Self::reconcile_tasks);
        gate::on(r, Self::kill_task);
        gate::on(r, Self::acknowledge_update);
        gate::on(r, Self::framework_message);
        gate::on(r, Self::submit_scheduler);
        gate::on(r, Self::authenticate);
        http::routes(r);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        metrics::register(cx);
        slog::info!(cx.log(), "master started"; "id" => &self.state.info.id);
        if !self.state.config.contends {
            self.recover(cx);
        } else if let Some(election) = self.state.config.election.clone() {
            self.contend(cx);
            self.detect(&election, None, cx);
        }
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        self.forget_authentication(pid);
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
        self.decide(cx, |state, fx| calls::operation_status::update(state, &from, &m, fx));
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
