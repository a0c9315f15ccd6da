//! Frameworks' newer form: one message with a call in it.

use allocator::InverseStatus;
use libprocess::Ctx;
use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::FrameworkErrorMessage;
use protos::mesos::scheduler;

use super::shell::refused;
use crate::Master;
use crate::calls::{self, subscribe::Subscribe, update::Update};

/// Frameworks, newer form: one message with a call in it.
impl Master {
    pub(super) fn call(&mut self, mut call: scheduler::Call, cx: &mut Ctx<Self>) {
        use scheduler::call::Type;
        let kind = call.r#type();
        self.count_kind(kind, cx);
        if kind == Type::Subscribe {
            return self.subscribe_call(call, cx);
        }
        let Some(id) = call.framework_id.as_ref().map(FrameworkId::from) else {
            return refused(cx, format!("call {} has no framework id", kind.as_str_name()));
        };
        match (kind, call.accept.take(), call.decline.take()) {
            (Type::Teardown, _, _) => self.teardown(&id, cx),
            (Type::Accept, Some(accept), _) => {
                let refuse = accept.filters.as_ref().and_then(|f| f.refuse_seconds);
                self.accept(&id, accept.offer_ids, accept.operations, refuse, cx);
            }
            (Type::Decline, _, Some(decline)) => {
                let refuse = decline.filters.as_ref().and_then(|f| f.refuse_seconds);
                self.decline(&id, decline.offer_ids, refuse, cx);
            }
            (Type::Accept | Type::Decline, _, _) => {
                refused(cx, format!("call {} of framework {id} is empty", kind.as_str_name()));
            }
            (Type::Revive, _, _) => {
                self.revive(&id, call.revive.map(|revive| revive.roles).unwrap_or_default(), cx);
            }
            (Type::Suppress, _, _) => {
                let roles = call.suppress.map(|suppress| suppress.roles).unwrap_or_default();
                self.authentic(&id, cx, |state, fx| {
                    calls::revive::suppress(state, &id, roles.into_iter().collect(), fx);
                });
            }
            _ => self.task_call(&id, call_of_task(kind, call), cx),
        }
    }

    /// Calls count as the older messages that they stand for.
    fn count_kind(&mut self, kind: scheduler::call::Type, cx: &mut Ctx<Self>) {
        let (older, own) = counters(kind);
        if !older.is_empty() {
            self.tally.count(&older.into(), cx.node().metrics());
        }
        let from = cx.from().clone();
        self.count_call(&from, own, cx);
    }

    fn subscribe_call(&mut self, call: scheduler::Call, cx: &mut Ctx<Self>) {
        let Some(subscribe) = call.subscribe else {
            return refused(cx, "call SUBSCRIBE is empty".to_owned());
        };
        let info = subscribe.framework_info;
        let (outer, inner) = (call.framework_id.unwrap_or_default(), info.id.clone());
        if outer.value != inner.unwrap_or_default().value {
            let from = cx.from().clone();
            let why = "framework_id differs from that in framework_info";
            return self.decide(cx, |_, fx| calls::subscribe::refuse(&from, why, fx));
        }
        let suppressed = subscribe.suppressed_roles.into_iter().collect();
        let force = subscribe.force.unwrap_or_default();
        let constraints = subscribe.offer_constraints;
        self.subscribe(Subscribe { info, force, suppressed, constraints }, cx);
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
            TaskCall::AcknowledgeOperation(m) => self.authentic(id, cx, |state, fx| {
                calls::operation_status::acknowledge(state, id, &m, fx);
            }),
            TaskCall::ReconcileOperations(m) => self.authentic(id, cx, |state, fx| {
                calls::operation_status::reconcile(state, id, &m.operations, fx);
            }),
            TaskCall::Request(m) => self.request(id, m.requests, cx),
            TaskCall::Update(m) => {
                let suppressed = m.suppressed_roles.into_iter().collect();
                let (info, constraints) = (m.framework_info, m.offer_constraints);
                let update = Update { info, suppressed, constraints };
                self.authentic(id, cx, |state, fx| calls::update::update(state, id, update, fx));
            }
            TaskCall::AcceptInverse(m) => {
                let refuse = m.filters.and_then(|filters| filters.refuse_seconds);
                self.answer_inverse(id, m.inverse_offer_ids, InverseStatus::Accepted, refuse, cx);
            }
            TaskCall::DeclineInverse(m) => {
                let refuse = m.filters.and_then(|filters| filters.refuse_seconds);
                self.answer_inverse(id, m.inverse_offer_ids, InverseStatus::Declined, refuse, cx);
            }
            TaskCall::Other(name) => {
                self.authentic(id, cx, |state, fx| {
                    let message = format!("call {name} is empty or not supported by this master");
                    fx.refuse(format!("framework {id}: {message}"));
                    if let Some(framework) = state.frameworks.get(id) {
                        fx.send(&framework.pid, &FrameworkErrorMessage { message });
                    }
                });
            }
        }
    }
}

/// The counters of a call: of the older message, if there is one, and of the framework's call.
fn counters(kind: scheduler::call::Type) -> (&'static str, &'static str) {
    use scheduler::call::Type;
    match kind {
        Type::Subscribe => ("master/messages_register_framework", "calls/subscribe"),
        Type::Teardown => ("master/messages_unregister_framework", "calls/teardown"),
        Type::Accept => ("master/messages_launch_tasks", "calls/accept"),
        Type::Decline => ("master/messages_decline_offers", "calls/decline"),
        Type::Revive => ("master/messages_revive_offers", "calls/revive"),
        Type::Suppress => ("master/messages_suppress_offers", "calls/suppress"),
        Type::Kill => ("master/messages_kill_task", "calls/kill"),
        Type::Acknowledge => ("master/messages_status_update_acknowledgement", "calls/acknowledge"),
        Type::AcknowledgeOperationStatus => (
            "master/messages_operation_status_update_acknowledgement",
            "calls/acknowledge_operation_status",
        ),
        Type::Reconcile => ("master/messages_reconcile_tasks", "calls/reconcile"),
        Type::ReconcileOperations => {
            ("master/messages_reconcile_operations", "calls/reconcile_operations")
        }
        Type::Message => ("master/messages_framework_to_executor", "calls/message"),
        Type::Request => ("master/messages_resource_request", "calls/request"),
        Type::Shutdown => ("", "calls/shutdown"),
        Type::UpdateFramework => ("", "calls/update_framework"),
        Type::AcceptInverseOffers => ("", "calls/accept_inverse_offers"),
        Type::DeclineInverseOffers => ("", "calls/decline_inverse_offers"),
        Type::Unknown => ("", "calls/unknown"),
    }
}

/// The calls that concern tasks and executors.
enum TaskCall {
    Kill(scheduler::call::Kill),
    Shutdown(scheduler::call::Shutdown),
    Acknowledge(scheduler::call::Acknowledge),
    Reconcile(scheduler::call::Reconcile),
    Message(scheduler::call::Message),
    AcknowledgeOperation(scheduler::call::AcknowledgeOperationStatus),
    ReconcileOperations(scheduler::call::ReconcileOperations),
    Request(scheduler::call::Request),
    Update(Box<scheduler::call::UpdateFramework>),
    AcceptInverse(scheduler::call::AcceptInverseOffers),
    DeclineInverse(scheduler::call::DeclineInverseOffers),
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
        Type::AcknowledgeOperationStatus => {
            call.acknowledge_operation_status.map(TaskCall::AcknowledgeOperation)
        }
        Type::ReconcileOperations => call.reconcile_operations.map(TaskCall::ReconcileOperations),
        Type::Request => call.request.map(TaskCall::Request),
        Type::UpdateFramework => call.update_framework.map(|call| TaskCall::Update(Box::new(call))),
        Type::AcceptInverseOffers => call.accept_inverse_offers.map(TaskCall::AcceptInverse),
        Type::DeclineInverseOffers => call.decline_inverse_offers.map(TaskCall::DeclineInverse),
        _ => None,
    };
    found.unwrap_or(TaskCall::Other(kind.as_str_name()))
}
