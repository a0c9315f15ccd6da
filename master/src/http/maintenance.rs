//! `/maintenance/schedule` and `/maintenance/status`.

use allocator::{InverseStatus, InverseStatuses};
use libprocess::http::{Answer, Request, Response};
use libprocess::{Ctx, Time};
use protos::ids::{FrameworkId, SlaveId};
use protos::json::to_json;
use protos::mesos::allocator::InverseOfferStatus;
use protos::mesos::machine_info::Mode;
use protos::mesos::maintenance::{ClusterStatus, Schedule, cluster_status::DrainingMachine};
use protos::mesos::{MachineId, MachineInfo};

use super::{form, viewer::Viewer};
use crate::Master;
use crate::registrar::{Operation, time_info};
use crate::security::Action;
use crate::state::{Maintenance, Slave};

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
            let mut machines = master.state.maintenance.machines.clone();
            if !viewer.may(Action::GetMaintenanceStatus, None) {
                machines.clear();
            }
            let is_on = |id: &MachineId, slave: &Slave| Maintenance::is_on(id, slave);
            let by_machine: Vec<Vec<SlaveId>> = machines
                .iter()
                .map(|info| master.state.slaves.iter().filter(|s| is_on(&info.id, s)))
                .map(|slaves| slaves.map(|slave| slave.id.clone()).collect())
                .collect();
            let answers = master.allocator.inverse_statuses();
            Answer::later(async move {
                let status = status(&machines, &by_machine, &answers.await);
                Response::json(&to_json(&status), request.param("jsonp"))
            })
        })
    }
}

fn status(
    machines: &[MachineInfo],
    slaves: &[Vec<SlaveId>],
    answers: &InverseStatuses,
) -> ClusterStatus {
    let mut status = ClusterStatus::default();
    for (info, slaves) in machines.iter().zip(slaves) {
        let told = slaves.iter().filter_map(|slave| answers.get(slave)).flatten();
        match info.mode() {
            Mode::Draining => status.draining_machines.push(DrainingMachine {
                id: info.id.clone(),
                statuses: told.map(|(framework, answer)| wire_answer(framework, answer)).collect(),
            }),
            Mode::Down => status.down_machines.push(info.id.clone()),
            Mode::Up => {}
        }
    }
    status
}

fn wire_answer(
    framework: &FrameworkId,
    (status, when): &(InverseStatus, Time),
) -> InverseOfferStatus {
    use protos::mesos::allocator::inverse_offer_status::Status;
    let status = match status {
        InverseStatus::Accepted => Status::Accept,
        InverseStatus::Declined => Status::Decline,
    };
    InverseOfferStatus {
        status: status.into(),
        framework_id: framework.wire(),
        timestamp: time_info(*when),
    }
}
