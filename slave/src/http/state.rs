//! `/state`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use protos::attributes;
use protos::json::to_json;
use protos::resources::Resources;
use serde_json::{Value, json};

use protos::documents::{object, put};

use super::documents::framework;
use crate::Slave;
use crate::metrics::used;
use crate::registration::Standing;
use crate::state::CAPABILITIES;

fn full(resources: &Resources) -> Value {
    resources.to_endpoint().iter().map(to_json).collect()
}

fn by_role(resources: &Resources, render: fn(&Resources) -> Value) -> Value {
    let roles = resources.reservations().into_iter();
    Value::Object(roles.map(|(role, part)| (role, render(&part))).collect())
}

fn summed(resources: &Resources) -> Value {
    Value::Object(resources.to_object())
}

impl Slave {
    pub(super) fn http_state(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        if self.registration.standing == Standing::Recovering {
            return Response::text(503, "Agent has not finished recovery");
        }
        let state = &self.state;
        let (total, used) = (&state.total(), used(self));
        let mut document = object(json!({
            "version": state.config.version,
            "build_date": "",
            "build_time": 0,
            "build_user": "",
            "start_time": state.started.as_secs_f64(),
            "id": state.id().as_str(),
            "pid": state.pid.to_string(),
            "hostname": state.config.hostname,
            "capabilities": CAPABILITIES.map(|it| it.as_str_name()),
            "resources": summed(total),
            "reserved_resources": by_role(total, summed),
            "unreserved_resources": summed(&total.unreserved()),
            "reserved_resources_full": by_role(total, full),
            "unreserved_resources_full": full(&total.unreserved()),
            "reserved_resources_allocated": by_role(&used, summed),
            "unreserved_resources_allocated": summed(&used.unreserved()),
            "resource_providers": [],
            "attributes": attributes::to_object(&state.config.attributes),
        }));
        let master = state.master.as_ref().map(|master| master.address().ip().to_string());
        put(&mut document, "master_hostname", master);
        put(&mut document, "log_dir", state.config.flags.get("log_dir").cloned());
        document.insert("flags".to_owned(), json!(state.config.flags));
        let frameworks = state.frameworks.values().map(framework).collect();
        document.insert("frameworks".to_owned(), frameworks);
        let completed = state.completed.iter().map(framework).collect();
        document.insert("completed_frameworks".to_owned(), completed);
        Response::json(&Value::Object(document), request.param("jsonp"))
    }
}
