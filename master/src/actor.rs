//! The process `master`: takes messages, has them decided, carries the effects out.

use std::collections::BTreeMap;
use std::sync::Arc;

use allocator::{Allocation, Allocator, HierarchicalAllocator, refuse_duration};
use libprocess::{Ctx, Handle, Node, Pid, Process, Routes, SpawnError};
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::internal::*;
use protos::mesos::offer::{Operation, operation};
use protos::mesos::scheduler;

use crate::calls::subscribe::Subscribe;
use crate::calls::{self, accept::Accept};
use crate::effects::{AfterRegistry, AllocatorCall, Effect, Effects, Reminder};
use crate::observer::SlaveObserver;
use crate::registrar::Registrar;
use crate::state::State;
use crate::{Config, http, metrics, slaves};

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

    /// An observer missed too many pongs of a slave.
    pub(crate) fn slave_silent(&mut self, id: &SlaveId, cx: &mut Ctx<Self>) {
        let now = cx.now();
        self.decide(cx, |state, fx| slaves::lost::silent(state, id, now, fx));
    }
}

/// Frameworks, newer form: one message with a call in it.
impl Master {
    fn call(&mut self, mut call: scheduler::Call, cx: &mut Ctx<Self>) {
        use scheduler::call::Type;
        let kind = call.r#type();
        if let (Type::Subscribe, Some(subscribe)) = (kind, call.subscribe.take()) {
            let mut info = subscribe.framework_info;
            info.id = info.id.or(call.framework_id.take());
            let suppressed = subscribe.suppressed_roles.into_iter().collect();
            let force = subscribe.force.unwrap_or_default();
            return self.subscribe(Subscribe { info, force, suppressed }, cx);
        }
        let Some(id) = call.framework_id.as_ref().map(FrameworkId::from) else {
            return refused(cx, format!("call {} has no framework id", kind.as_str_name()));
        };
        match kind {
            Type::Teardown => self.teardown(&id, cx),
            Type::Accept => {
                if let Some(accept) = call.accept.take() {
                    let refuse = accept.filters.as_ref().and_then(|f| f.refuse_seconds);
                    self.accept(&id, accept.offer_ids, accept.operations, refuse, cx);
                }
            }
            Type::Decline => {
                if let Some(decline) = call.decline {
                    let refuse = decline.filters.as_ref().and_then(|f| f.refuse_seconds);
                    self.decline(&id, decline.offer_ids, refuse, cx);
                }
            }
            Type::Revive => {
                self.revive(&id, call.revive.map(|revive| revive.roles).unwrap_or_default(), cx);
            }
            Type::Suppress => {
                let roles = call.suppress.map(|suppress| suppress.roles).unwrap_or_default();
                self.authentic(&id, cx, |state, fx| {
                    calls::revive::suppress(state, &id, roles.into_iter().collect(), fx);
                });
            }
            _ => self.task_call(&id, call_of_task(kind, call), cx),
        }
    }

    fn task_call(&mut self, id: &FrameworkId, call: TaskCall, cx: &mut Ctx<Self>) {
        match call {
            TaskCall::Kill(m) => {
                let slave = m.slave_id.as_ref().map(SlaveId::from);
                self.kill(id, &TaskId::from(m.task_id), slave.as_ref(), m.kill_policy, cx);
            }
            TaskCall::Shutdown(m) => self.authentic(id, cx, |state, fx| {
                let (slave, executor) =
                    (SlaveId::from(m.slave_id), ExecutorId::from(m.executor_id));
                calls::shutdown::shutdown(state, id, &slave, &executor, fx);
            }),
            TaskCall::Acknowledge(m) => {
                self.acknowledge(id, &m.slave_id.into(), &m.task_id.into(), &m.uuid, cx);
            }
            TaskCall::Reconcile(m) => {
                let query = |task: scheduler::call::reconcile::Task| calls::reconcile::Query {
                    task: task.task_id.into(),
                    slave: task.slave_id.map(SlaveId::from),
                };
                self.reconcile(id, m.tasks.into_iter().map(query).collect(), cx);
            }
            TaskCall::Message(m) => {
                self.send_message(id, &m.slave_id.into(), &m.executor_id.into(), m.data, cx);
            }
            TaskCall::Request => {}
            TaskCall::Other(name) => {
                refused(cx, format!("call {name} of framework {id} is not supported"));
            }
        }
    }
}

/// The calls that concern tasks and executors.
enum TaskCall {
    Kill(scheduler::call::Kill),
    Shutdown(scheduler::call::Shutdown),
    Acknowledge(scheduler::call::Acknowledge),
    Reconcile(scheduler::call::Reconcile),
    Message(scheduler::call::Message),
    /// Requests are hints that the default allocator does not take.
    Request,
    Other(&'static str),
}

fn call_of_task(kind: scheduler::call::Type, call: scheduler::Call) -> TaskCall {
    use scheduler::call::Type;
    let found = match kind {
        Type::Kill => call.kill.map(TaskCall::Kill),
        Type::Shutdown => call.shutdown.map(TaskCall::Shutdown),
        Type::Acknowledge => call.acknowledge.map(TaskCall::Acknowledge),
        Type::Reconcile => call.reconcile.map(TaskCall::Reconcile),
        Type::Message => call.message.map(TaskCall::Message),
        Type::Request => Some(TaskCall::Request),
        _ => None,
    };
    found.unwrap_or(TaskCall::Other(kind.as_str_name()))
}

/// Frameworks, older form: a message for each call.
impl Master {
    fn register_framework(&mut self, m: RegisterFrameworkMessage, cx: &mut Ctx<Self>) {
        let info = m.framework;
        self.subscribe(Subscribe { info, force: false, suppressed: Default::default() }, cx);
    }

    fn reregister_framework(&mut self, m: ReregisterFrameworkMessage, cx: &mut Ctx<Self>) {
        let (info, force) = (m.framework, m.failover);
        if info.id.as_ref().is_none_or(|id| id.value.is_empty()) {
            let reason = "Framework reregistering without an id";
            return self.decide(cx, |_, fx| fx.refuse(reason));
        }
        self.subscribe(Subscribe { info, force, suppressed: Default::default() }, cx);
    }

    fn unregister_framework(&mut self, m: UnregisterFrameworkMessage, cx: &mut Ctx<Self>) {
        self.teardown(&FrameworkId::from(m.framework_id), cx);
    }

    fn deactivate_framework(&mut self, m: DeactivateFrameworkMessage, cx: &mut Ctx<Self>) {
        let id = FrameworkId::from(m.framework_id);
        self.authentic(&id, cx, |state, fx| calls::disconnect::deactivate(state, &id, fx));
    }

    fn launch_tasks(&mut self, m: LaunchTasksMessage, cx: &mut Ctx<Self>) {
        let launch = operation::Launch { task_infos: m.tasks };
        let operation = Operation {
            r#type: Some(operation::Type::Launch.into()),
            launch: Some(launch),
            ..Default::default()
        };
        let (id, refuse) = (FrameworkId::from(m.framework_id), m.filters.refuse_seconds);
        self.accept(&id, m.offer_ids, vec![operation], refuse, cx);
    }

    fn revive_offers(&mut self, m: ReviveOffersMessage, cx: &mut Ctx<Self>) {
        self.revive(&FrameworkId::from(m.framework_id), m.roles, cx);
    }

    fn resource_request(&mut self, _: ResourceRequestMessage, _: &mut Ctx<Self>) {}

    fn reconcile_tasks(&mut self, m: ReconcileTasksMessage, cx: &mut Ctx<Self>) {
        let query = |status: protos::mesos::TaskStatus| calls::reconcile::Query {
            task: status.task_id.into(),
            slave: status.slave_id.map(SlaveId::from),
        };
        let queries = m.statuses.into_iter().map(query).collect();
        self.reconcile(&FrameworkId::from(m.framework_id), queries, cx);
    }

    fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        let (id, task) = (FrameworkId::from(m.framework_id), TaskId::from(m.task_id));
        self.kill(&id, &task, None, m.kill_policy, cx);
    }

    fn acknowledge_update(&mut self, m: StatusUpdateAcknowledgementMessage, cx: &mut Ctx<Self>) {
        let id = FrameworkId::from(m.framework_id);
        self.acknowledge(&id, &m.slave_id.into(), &m.task_id.into(), &m.uuid, cx);
    }

    fn framework_message(&mut self, m: FrameworkToExecutorMessage, cx: &mut Ctx<Self>) {
        let id = FrameworkId::from(m.framework_id);
        self.send_message(&id, &m.slave_id.into(), &m.executor_id.into(), m.data, cx);
    }

    fn submit_scheduler(&mut self, _: SubmitSchedulerRequest, cx: &mut Ctx<Self>) {
        cx.reply(&SubmitSchedulerResponse { okay: false });
    }

    fn authenticate(&mut self, m: AuthenticateMessage, cx: &mut Ctx<Self>) {
        let error = "authentication is not available on this master".to_owned();
        slog::warn!(cx.log(), "authentication refused"; "pid" => m.pid, "reason" => &error);
        cx.reply(&AuthenticationErrorMessage { error: Some(error) });
    }
}

/// What both forms come down to.
impl Master {
    fn subscribe(&mut self, call: Subscribe, cx: &mut Ctx<Self>) {
        let (from, now) = (cx.from().clone(), cx.now());
        self.decide(cx, |state, fx| calls::subscribe::subscribe(state, &from, call, now, fx));
    }

    fn teardown(&mut self, id: &FrameworkId, cx: &mut Ctx<Self>) {
        let now = cx.now();
        self.authentic(id, cx, |state, fx| calls::teardown::remove(state, id, now, fx));
    }

    fn accept(
        &mut self,
        id: &FrameworkId,
        offers: Vec<protos::mesos::OfferId>,
        operations: Vec<Operation>,
        refuse_seconds: Option<f64>,
        cx: &mut Ctx<Self>,
    ) {
        let accept = Accept {
            framework: id.clone(),
            offers: offers.into_iter().map(OfferId::from).collect(),
            operations,
            refuse_for: refuse_duration(refuse_seconds),
        };
        let now = cx.now();
        self.authentic(id, cx, |state, fx| calls::accept::accept(state, accept, now, fx));
    }

    fn decline(
        &mut self,
        id: &FrameworkId,
        offers: Vec<protos::mesos::OfferId>,
        refuse_seconds: Option<f64>,
        cx: &mut Ctx<Self>,
    ) {
        let offers: Vec<_> = offers.into_iter().map(OfferId::from).collect();
        let refuse_for = refuse_duration(refuse_seconds);
        self.authentic(id, cx, |state, fx| {
            calls::decline::decline(state, id, &offers, refuse_for, fx);
        });
    }

    fn revive(&mut self, id: &FrameworkId, roles: Vec<String>, cx: &mut Ctx<Self>) {
        let roles = roles.into_iter().collect();
        self.authentic(id, cx, |state, fx| calls::revive::revive(state, id, roles, fx));
    }

    fn kill(
        &mut self,
        id: &FrameworkId,
        task: &TaskId,
        slave: Option<&SlaveId>,
        policy: Option<protos::mesos::KillPolicy>,
        cx: &mut Ctx<Self>,
    ) {
        let now = cx.now();
        self.authentic(id, cx, |state, fx| {
            calls::kill::kill(state, id, task, slave, policy, now, fx);
        });
    }

    fn acknowledge(
        &mut self,
        id: &FrameworkId,
        slave: &SlaveId,
        task: &TaskId,
        uuid: &bytes::Bytes,
        cx: &mut Ctx<Self>,
    ) {
        self.authentic(id, cx, |state, fx| {
            calls::acknowledge::acknowledge(state, id, slave, task, uuid, fx);
        });
    }

    fn reconcile(
        &mut self,
        id: &FrameworkId,
        queries: Vec<calls::reconcile::Query>,
        cx: &mut Ctx<Self>,
    ) {
        let now = cx.now();
        self.authentic(id, cx, |state, fx| {
            if queries.is_empty() {
                calls::reconcile::implicit(state, id, now, fx);
            } else {
                calls::reconcile::explicit(state, id, &queries, now, fx);
            }
        });
    }

    fn send_message(
        &mut self,
        id: &FrameworkId,
        slave: &SlaveId,
        executor: &ExecutorId,
        data: bytes::Bytes,
        cx: &mut Ctx<Self>,
    ) {
        self.authentic(id, cx, |state, fx| {
            calls::message::to_executor(state, id, slave, executor, data, fx);
        });
    }

    pub(crate) fn offer(&mut self, id: &FrameworkId, allocation: Allocation, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| calls::offers::offer(state, id, allocation, fx));
    }
}

fn refused(cx: &Ctx<Master>, reason: String) {
    slog::warn!(cx.log(), "refused"; "from" => %cx.from(), "reason" => reason);
}

/// Deciding and doing.
impl Master {
    /// Decides, provided that the message comes from the framework's own scheduler.
    fn authentic(
        &mut self,
        id: &FrameworkId,
        cx: &mut Ctx<Self>,
        decide: impl FnOnce(&mut State, &mut Effects),
    ) {
        match self.state.frameworks.authentic(id, cx.from()) {
            Ok(_) => self.decide(cx, decide),
            Err(reason) => refused(cx, reason),
        }
    }

    fn decide(&mut self, cx: &mut Ctx<Self>, decide: impl FnOnce(&mut State, &mut Effects)) {
        let mut fx = Effects::default();
        decide(&mut self.state, &mut fx);
        for effect in fx.0 {
            self.carry_out(effect, cx);
        }
    }

    fn carry_out(&mut self, effect: Effect, cx: &mut Ctx<Self>) {
        match effect {
            Effect::Send { to, name, body } => cx.send_raw(&to, name, body),
            Effect::Link(pid) => cx.link(&pid),
            Effect::Allocator(call) => self.call_allocator(call),
            Effect::Remind(delay, reminder) => {
                cx.after(delay, move |master, cx| master.reminded(reminder, cx));
            }
            Effect::Observe(id, pid) => self.observe(id, pid, cx),
            Effect::ObserverConnected(id, connected) => {
                let pid = self.state.slaves.get(&id).map(|slave| slave.pid.clone());
                if let (Some(observer), Some(pid)) = (self.observers.get(&id), pid) {
                    observer.tell(move |observer, _| observer.set_connected(connected, pid));
                }
            }
            Effect::Unobserve(id) => {
                if let Some(observer) = self.observers.remove(&id) {
                    cx.node().terminate(observer.pid(), true);
                }
            }
            Effect::Registry { operation, then } => {
                let registrar = self.registrar.clone();
                cx.ask(
                    &registrar,
                    move |registrar, _| registrar.apply(operation),
                    move |master, applied, cx| master.registry_answered(then, applied, cx),
                );
            }
            Effect::Refused { reason } => refused(cx, reason),
            Effect::Count(metric) => cx.node().metrics().counter(metric).increment(),
        }
    }

    fn observe(&mut self, id: SlaveId, pid: Pid, cx: &mut Ctx<Self>) {
        let config = &self.state.config;
        let (timeout, max) = (config.ping_timeout, config.max_ping_timeouts);
        let observer = SlaveObserver::new(id.clone(), pid, cx.handle(), timeout, max);
        let handle = cx.spawn_numbered("slave-observer", observer);
        if let Some(old) = self.observers.insert(id, handle) {
            cx.node().terminate(old.pid(), true);
        }
    }

    fn reminded(&mut self, reminder: Reminder, cx: &mut Ctx<Self>) {
        let now = cx.now();
        self.decide(cx, |state, fx| match reminder {
            Reminder::FrameworkFailover(id, epoch) => {
                calls::disconnect::failover_timed_out(state, &id, epoch, now, fx);
            }
            Reminder::SlaveReregister(id, epoch) => {
                slaves::lost::reregister_timed_out(state, &id, epoch, now, fx);
            }
            Reminder::OfferTimeout(id) => calls::offers::rescind(state, &id, true, fx),
        });
    }

    fn registry_answered(
        &mut self,
        then: AfterRegistry,
        applied: Option<bool>,
        cx: &mut Ctx<Self>,
    ) {
        if applied != Some(true) {
            slog::error!(cx.log(), "registry refused an operation"; "what" => ?then);
        }
        let now = cx.now();
        self.decide(cx, |state, fx| match then {
            AfterRegistry::Admitted(from, message) => {
                slaves::register::admitted(state, &from, *message, now, fx);
            }
            AfterRegistry::Readmitted(from, message) => {
                slaves::reregister::readmitted(state, &from, *message, now, fx);
            }
            AfterRegistry::Unreachable(id) => slaves::lost::unreachable(state, &id, now, fx),
            AfterRegistry::Removed(id, replacement) => {
                slaves::lost::removed(state, &id, now, fx);
                if let Some((from, message)) = replacement {
                    slaves::register::register(state, &from, *message, fx);
                }
            }
        });
    }

    fn call_allocator(&self, call: AllocatorCall) {
        let to = &self.allocator;
        match call {
            AllocatorCall::AddFramework { id, spec, active, used } => {
                to.add_framework(id, spec, active, used);
            }
            AllocatorCall::UpdateFramework(id, spec) => to.update_framework(id, spec),
            AllocatorCall::RemoveFramework(id) => to.remove_framework(id),
            AllocatorCall::ActivateFramework(id) => to.activate_framework(id),
            AllocatorCall::DeactivateFramework(id) => to.deactivate_framework(id),
            AllocatorCall::AddSlave { id, spec, total, used } => {
                to.add_slave(id, spec, total, used)
            }
            AllocatorCall::UpdateSlave(id, total) => to.update_slave(id, total),
            AllocatorCall::RemoveSlave(id) => to.remove_slave(id),
            AllocatorCall::ActivateSlave(id) => to.activate_slave(id),
            AllocatorCall::DeactivateSlave(id) => to.deactivate_slave(id),
            AllocatorCall::Recover { framework, slave, resources, refuse_for } => {
                to.recover_resources(framework, slave, resources, refuse_for);
            }
            AllocatorCall::Suppress(id, roles) => to.suppress_offers(id, roles),
            AllocatorCall::Revive(id, roles) => to.revive_offers(id, roles),
        }
    }
}
