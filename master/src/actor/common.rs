//! What both forms of frameworks' calls come down to.

use std::collections::BTreeMap;

use allocator::{Allocation, InverseStatus, refuse_duration};
use libprocess::Ctx;
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::Unavailability;
use protos::mesos::offer::Operation;
use protos::resources::Resources;

use crate::Master;
use crate::calls::{self, accept::Accept, subscribe::Subscribe};
use crate::effects::AllocatorCall;

/// What both forms come down to.
impl Master {
    pub(super) fn subscribe(&mut self, call: Subscribe, cx: &mut Ctx<Self>) {
        let (from, now) = (cx.from().clone(), cx.now());
        self.decide(cx, |state, fx| calls::subscribe::subscribe(state, &from, call, now, fx));
    }

    pub(super) fn teardown(&mut self, id: &FrameworkId, cx: &mut Ctx<Self>) {
        let now = cx.now();
        self.authentic(id, cx, |state, fx| calls::teardown::remove(state, id, now, fx));
    }

    pub(super) fn accept(
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

    pub(super) fn decline(
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

    pub(super) fn revive(&mut self, id: &FrameworkId, roles: Vec<String>, cx: &mut Ctx<Self>) {
        let roles = roles.into_iter().collect();
        self.authentic(id, cx, |state, fx| calls::revive::revive(state, id, roles, fx));
    }

    pub(super) fn kill(
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

    pub(super) fn acknowledge(
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

    pub(super) fn reconcile(
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

    pub(super) fn send_message(
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

    pub(super) fn request(
        &mut self,
        id: &FrameworkId,
        requests: Vec<protos::mesos::Request>,
        cx: &mut Ctx<Self>,
    ) {
        self.authentic(id, cx, |_, fx| {
            let wanted = requests.into_iter().map(|request| {
                // A hint that cannot be read is none.
                let resources = Resources::from_wire(&request.resources).unwrap_or_default();
                (request.slave_id.map(SlaveId::from), resources)
            });
            fx.allocator(AllocatorCall::Request(id.clone(), wanted.collect()));
        });
    }

    pub(super) fn answer_inverse(
        &mut self,
        id: &FrameworkId,
        offers: Vec<protos::mesos::OfferId>,
        status: InverseStatus,
        refuse_seconds: Option<f64>,
        cx: &mut Ctx<Self>,
    ) {
        let offers: Vec<_> = offers.into_iter().map(OfferId::from).collect();
        let refuse_for = refuse_duration(refuse_seconds);
        self.authentic(id, cx, |state, fx| {
            calls::inverse::answer(state, id, &offers, status, refuse_for, fx);
        });
    }

    pub(crate) fn ask_to_leave(
        &mut self,
        id: &FrameworkId,
        slaves: BTreeMap<SlaveId, Unavailability>,
        cx: &mut Ctx<Self>,
    ) {
        self.decide(cx, |state, fx| calls::inverse::offer(state, id, slaves, fx));
    }

    pub(crate) fn offer(&mut self, id: &FrameworkId, allocation: Allocation, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| calls::offers::offer(state, id, allocation, fx));
    }
}
