//! Frameworks' older form: a message for each call.

use libprocess::Ctx;
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::*;
use protos::mesos::offer::{Operation, operation};

use crate::Master;
use crate::calls::{self, subscribe::Subscribe};

/// Frameworks, older form: a message for each call.
impl Master {
    pub(super) fn register_framework(&mut self, m: RegisterFrameworkMessage, cx: &mut Ctx<Self>) {
        let info = m.framework;
        self.subscribe(
            Subscribe { info, force: false, suppressed: Default::default(), constraints: None },
            cx,
        );
    }

    pub(super) fn reregister_framework(
        &mut self,
        m: ReregisterFrameworkMessage,
        cx: &mut Ctx<Self>,
    ) {
        let (info, force) = (m.framework, m.failover);
        if info.id.as_ref().is_none_or(|id| id.value.is_empty()) {
            let reason = "Framework reregistering without an id";
            let from = cx.from().clone();
            return self.decide(cx, |_, fx| calls::subscribe::refuse(&from, reason, fx));
        }
        self.subscribe(
            Subscribe { info, force, suppressed: Default::default(), constraints: None },
            cx,
        );
    }

    pub(super) fn unregister_framework(
        &mut self,
        m: UnregisterFrameworkMessage,
        cx: &mut Ctx<Self>,
    ) {
        self.teardown(&FrameworkId::from(m.framework_id), cx);
    }

    pub(super) fn deactivate_framework(
        &mut self,
        m: DeactivateFrameworkMessage,
        cx: &mut Ctx<Self>,
    ) {
        let id = FrameworkId::from(m.framework_id);
        self.authentic(&id, cx, |state, fx| calls::disconnect::deactivate(state, &id, fx));
    }

    pub(super) fn launch_tasks(&mut self, m: LaunchTasksMessage, cx: &mut Ctx<Self>) {
        let launch = operation::Launch { task_infos: m.tasks };
        let operation = Operation {
            r#type: Some(operation::Type::Launch.into()),
            launch: Some(launch),
            ..Default::default()
        };
        let (id, refuse) = (FrameworkId::from(m.framework_id), m.filters.refuse_seconds);
        self.accept(&id, m.offer_ids, vec![operation], refuse, cx);
    }

    pub(super) fn revive_offers(&mut self, m: ReviveOffersMessage, cx: &mut Ctx<Self>) {
        self.revive(&FrameworkId::from(m.framework_id), m.roles, cx);
    }

    pub(super) fn resource_request(&mut self, m: ResourceRequestMessage, cx: &mut Ctx<Self>) {
        let id = FrameworkId::from(m.framework_id);
        self.request(&id, m.requests, cx);
    }

    pub(super) fn reconcile_tasks(&mut self, m: ReconcileTasksMessage, cx: &mut Ctx<Self>) {
        let query = |status: protos::mesos::TaskStatus| calls::reconcile::Query {
            task: status.task_id.into(),
            slave: status.slave_id.map(SlaveId::from),
        };
        let queries = m.statuses.into_iter().map(query).collect();
        self.reconcile(&FrameworkId::from(m.framework_id), queries, cx);
    }

    pub(super) fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        let (id, task) = (FrameworkId::from(m.framework_id), TaskId::from(m.task_id));
        self.kill(&id, &task, None, m.kill_policy, cx);
    }

    pub(super) fn acknowledge_update(
        &mut self,
        m: StatusUpdateAcknowledgementMessage,
        cx: &mut Ctx<Self>,
    ) {
        let id = FrameworkId::from(m.framework_id);
        self.acknowledge(&id, &m.slave_id.into(), &m.task_id.into(), &m.uuid, cx);
    }

    pub(super) fn framework_message(&mut self, m: FrameworkToExecutorMessage, cx: &mut Ctx<Self>) {
        let id = FrameworkId::from(m.framework_id);
        self.send_message(&id, &m.slave_id.into(), &m.executor_id.into(), m.data, cx);
    }

    pub(super) fn submit_scheduler(&mut self, _: SubmitSchedulerRequest, cx: &mut Ctx<Self>) {
        cx.reply(&SubmitSchedulerResponse { okay: false });
    }
}
