//! `/machine/down` and `/machine/up`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use protos::mesos::MachineId;
use protos::mesos::machine_info::Mode;

use super::{form, viewer::Viewer};
use crate::Master;
use crate::registrar::Operation;
use crate::security::Action;
use crate::slaves;

impl Master {
    pub(super) fn http_machine_down(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| {
            let viewer = Viewer::new(&master.state.config, &request);
            match form::json(&request.body).and_then(|value| form::messages(&value)) {
                Ok(ids) => master.start_maintenance(ids, &viewer, cx),
                Err(refusal) => refusal.into(),
            }
        })
    }

    pub(super) fn http_machine_up(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| {
            let viewer = Viewer::new(&master.state.config, &request);
            match form::json(&request.body).and_then(|value| form::messages(&value)) {
                Ok(ids) => master.stop_maintenance(ids, &viewer, cx),
                Err(refusal) => refusal.into(),
            }
        })
    }

    pub(super) fn start_maintenance(
        &mut self,
        ids: Vec<MachineId>,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        if let Err(why) = self.state.maintenance.all_in(&ids, Mode::Draining) {
            return Response::bad_request(why).into();
        }
        if !viewer.may(Action::StartMaintenance, None) {
            return Response::status(403).into();
        }
        let operation = Operation::StartMaintenance(ids.clone());
        self.once_durable(operation.clone(), cx, move |master, cx| {
            master.maintenance_changed(operation, cx);
            master.decide(cx, |state, fx| slaves::lost::machines_down(state, &ids, fx));
            Response::status(200)
        })
    }

    pub(super) fn stop_maintenance(
        &mut self,
        ids: Vec<MachineId>,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        if let Err(why) = self.state.maintenance.all_in(&ids, Mode::Down) {
            return Response::bad_request(why).into();
        }
        if !viewer.may(Action::StopMaintenance, None) {
            return Response::status(403).into();
        }
        let operation = Operation::StopMaintenance(ids);
        self.once_durable(operation.clone(), cx, move |master, cx| {
            master.maintenance_changed(operation, cx);
            Response::status(200)
        })
    }
}
