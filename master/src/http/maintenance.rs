//! `/maintenance/schedule` and `/maintenance/status`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use protos::json::to_json;
use protos::mesos::machine_info::Mode;
use protos::mesos::maintenance::{ClusterStatus, Schedule, cluster_status::DrainingMachine};

use super::{form, viewer::Viewer};
use crate::Master;
use crate::registrar::Operation;
use crate::security::Action;

impl Master {
    pub(super) fn http_schedule(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| match request.method.as_str() {
            "GET" => {
                let viewer = Viewer::new(&master.state.config, &request);
                let schedule = master.schedule(&viewer);
                Response::json(&to_json(&schedule), request.param("jsonp")).into()
            }
            "POST" => {
                let viewer = Viewer::new(&master.state.config, &request);
                let schedule = form::json(&request.body).and_then(|value| form::message(&value));
                match schedule {
                    Ok(schedule) => master.set_schedule(schedule, &viewer, cx),
                    Err(refusal) => refusal.into(),
                }
            }
            other => Response::method_not_allowed(&["GET", "POST"], other).into(),
        })
    }

    fn schedule(&self, viewer: &Viewer) -> Schedule {
        let mut schedule = self.state.maintenance.schedule.clone().unwrap_or_default();
        if !viewer.may(Action::GetMaintenanceSchedule, None) {
            schedule.windows.clear();
        }
        schedule
    }

    pub(super) fn set_schedule(
        &mut self,
        schedule: Schedule,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        if !viewer.may(Action::UpdateMaintenanceSchedule, None) {
            return Response::status(403).into();
        }
        if let Err(why) = self.state.maintenance.validate(&schedule) {
            return Response::bad_request(why).into();
        }
        let operation = Operation::UpdateSchedule(schedule);
        self.once_durable(operation.clone(), cx, move |master, cx| {
            master.maintenance_changed(operation, cx);
            Response::status(200)
        })
    }

    pub(super) fn http_maintenance_status(
        &mut self,
        request: Request,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        self.guarded(request, cx, |master, request, _| {
            let viewer = Viewer::new(&master.state.config, &request);
            let mut status = ClusterStatus::default();
            if viewer.may(Action::GetMaintenanceStatus, None) {
                for info in &master.state.maintenance.machines {
                    match info.mode() {
                        Mode::Draining => status.draining_machines.push(DrainingMachine {
                            id: info.id.clone(),
                            statuses: master.inverse_statuses(&info.id),
                        }),
                        Mode::Down => status.down_machines.push(info.id.clone()),
                        Mode::Up => {}
                    }
                }
            }
            Response::json(&to_json(&status), request.param("jsonp")).into()
        })
    }
}
