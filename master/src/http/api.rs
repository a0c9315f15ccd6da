//! `/api/v1`: operators' calls that have no path of their own, in JSON. Names are those of the newer
//! API (`agent_id`); the older ones (`slave_id`) are understood, too.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::master::{Call, call::Type};
use serde_json::Value;

use super::{form, viewer::Viewer};
use crate::Master;
use crate::registrar::Operation;
use crate::security::Action;
use crate::slaves::{drain, gone, gone::Begun};
use crate::validation::quota;

impl Master {
    pub(super) fn http_api(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        if request.endpoint() != "api/v1" {
            return Response::status(404).into();
        }
        self.guarded(request, cx, |master, request, cx| match read(&request) {
            Ok(call) => {
                let viewer = Viewer::new(&master.state.config, &request);
                master.api_call(call, &viewer, cx)
            }
            Err(refusal) => refusal.into(),
        })
    }

    fn api_call(&mut self, call: Call, viewer: &Viewer, cx: &mut Ctx<Self>) -> Answer {
        let kind = call.r#type();
        let empty = || Response::bad_request(format!("Call {} is empty", kind.as_str_name()));
        let answer = match kind {
            Type::GetHealth => Some(healthy()),
            Type::MarkAgentGone => call.mark_agent_gone.map(|c| self.gone(&c.slave_id, viewer, cx)),
            Type::DrainAgent => call.drain_agent.map(|c| self.drain(c, viewer, cx)),
            Type::DeactivateAgent => {
                call.deactivate_agent.map(|c| self.deactivate(&c.slave_id, viewer, cx))
            }
            Type::ReactivateAgent => {
                call.reactivate_agent.map(|c| self.reactivate(&c.slave_id, viewer, cx))
            }
            Type::Teardown => call
                .teardown
                .map(|c| self.tear_down(&FrameworkId::from(c.framework_id), viewer, cx).into()),
            Type::UpdateWeights => {
                call.update_weights.map(|c| self.set_weights(c.weight_infos, viewer, cx))
            }
            Type::UpdateQuota => {
                call.update_quota.map(|c| self.update_quotas(c.quota_configs, c.force, viewer, cx))
            }
            Type::UpdateMaintenanceSchedule => {
                call.update_maintenance_schedule.map(|c| self.set_schedule(c.schedule, viewer, cx))
            }
            Type::StartMaintenance => {
                call.start_maintenance.map(|c| self.start_maintenance(c.machines, viewer, cx))
            }
            Type::StopMaintenance => {
                call.stop_maintenance.map(|c| self.stop_maintenance(c.machines, viewer, cx))
            }
            _ => Some(Response::status(501).into()),
        };
        answer.unwrap_or_else(|| empty().into())
    }

    fn gone(&mut self, id: &protos::mesos::SlaveId, viewer: &Viewer, cx: &mut Ctx<Self>) -> Answer {
        if !viewer.may(Action::MarkAgentGone, None) {
            return Response::status(403).into();
        }
        let (id, now) = (SlaveId::from(id), cx.now());
        let mut begun = Begun::Unknown;
        self.decide(cx, |state, fx| begun = gone::start(state, &id, now, fx));
        let status = match begun {
            Begun::Already => 200,
            Begun::Unknown => 404,
            Begun::Busy => 503,
            // The registry answers in order, so that a further change waits for the mark.
            Begun::Now => return self.once_durable_after(cx),
        };
        Response::status(status).into()
    }

    fn drain(
        &mut self,
        call: protos::mesos::master::call::DrainAgent,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        let may_mark = !call.mark_gone() || viewer.may(Action::MarkAgentGone, None);
        if !viewer.may(Action::DrainAgent, None) || !may_mark {
            return Response::status(403).into();
        }
        let id = SlaveId::from(&call.slave_id);
        if let Err(why) = drain::validate(&self.state, &id) {
            return Response::bad_request(why).into();
        }
        if self.state.slaves.is_changing(&id) {
            return Response::status(409).into();
        }
        let config = protos::mesos::DrainConfig {
            max_grace_period: call.max_grace_period,
            mark_gone: call.mark_gone,
        };
        let operation = Operation::Drain(id.clone(), config);
        self.once_durable(operation, cx, move |master, cx| {
            let now = cx.now();
            master.decide(cx, |state, fx| drain::started(state, &id, &config, now, fx));
            Response::status(200)
        })
    }

    fn deactivate(
        &mut self,
        id: &protos::mesos::SlaveId,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        if !viewer.may(Action::DeactivateAgent, None) {
            return Response::status(403).into();
        }
        let id = SlaveId::from(id);
        if let Err(why) = drain::known(&self.state, &id) {
            return Response::bad_request(why).into();
        }
        self.once_durable(Operation::Deactivate(id.clone()), cx, move |master, cx| {
            master.decide(cx, |state, fx| drain::deactivated(state, &id, fx));
            Response::status(200)
        })
    }

    fn reactivate(
        &mut self,
        id: &protos::mesos::SlaveId,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        if !viewer.may(Action::ReactivateAgent, None) {
            return Response::status(403).into();
        }
        let id = SlaveId::from(id);
        if let Err(why) = drain::may_reactivate(&self.state, &id) {
            return Response::bad_request(why).into();
        }
        self.once_durable(Operation::Reactivate(id.clone()), cx, move |master, cx| {
            master.decide(cx, |state, fx| drain::reactivated(state, &id, fx));
            Response::status(200)
        })
    }

    fn update_quotas(
        &mut self,
        configs: Vec<protos::mesos::quota::QuotaConfig>,
        force: Option<bool>,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        for config in &configs {
            if let Err(why) = quota::validate(config) {
                return Response::bad_request(why).into();
            }
            if !viewer.may(Action::UpdateQuota, Some(&config.role)) {
                return Response::status(403).into();
            }
        }
        self.set_quotas(configs, force.unwrap_or_default(), cx)
    }
}

fn healthy() -> Answer {
    let document = serde_json::json!({"type": "GET_HEALTH", "get_health": {"healthy": true}});
    Response::json(&document, None).into()
}

fn read(request: &Request) -> Result<Call, Response> {
    let content_type = request.header("content-type").unwrap_or_default();
    match content_type.split(';').next().unwrap_or_default().trim() {
        "" => return Err(Response::bad_request("Expecting 'Content-Type' to be present")),
        "application/json" => {}
        _ => {
            let why = "Expecting 'Content-Type' of application/json";
            return Err(Response::text(415, why));
        }
    }
    let mut value = form::json(&request.body)?;
    rename(&mut value);
    let call: Call = form::message(&value)?;
    match call.r#type {
        Some(_) => Ok(call),
        None => Err(Response::bad_request("Expecting 'type' to be present")),
    }
}

/// Members that the newer API calls otherwise.
fn rename(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(id) = members.remove("agent_id") {
                members.insert("slave_id".to_owned(), id);
            }
            members.values_mut().for_each(rename);
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &str) -> Request {
        let mut request = Request::new("POST", "/master/api/v1").unwrap();
        if !content_type.is_empty() {
            request.headers.insert("content-type".into(), content_type.into());
        }
        request.body = body.to_owned().into();
        request
    }

    #[test]
    fn call_in_the_newer_names_is_read() {
        let body =
            r#"{"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "S"}}}"#;
        let call = read(&request("application/json", body)).unwrap();
        assert_eq!(call.mark_agent_gone.unwrap().slave_id.value, "S");
    }

    #[test]
    fn call_that_cannot_be_read_is_refused() {
        let cases = [
            ("", "{}", 400),
            ("application/x-protobuf", "{}", 415),
            ("application/json", "{", 400),
            ("application/json", "{}", 400),
            ("application/json", r#"{"mark_agent_gone": {}}"#, 400),
        ];
        for (content_type, body, status) in cases {
            let refused = read(&request(content_type, body)).unwrap_err();
            assert_eq!(refused.status, status, "{content_type} {body}");
        }
    }
}
