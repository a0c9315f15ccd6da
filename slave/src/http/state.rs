//! `/state`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use protos::attributes;
use protos::json::to_json;
use protos::resources::Resources;
use serde_json::{Value, json};

use protos::documents::{object, put};

use super::documents::framework;
use super::viewer::Viewer;
use crate::Slave;
use crate::metrics::used;
use crate::registration::Standing;
use crate::state::{CAPABILITIES, Framework};

fn full(resources: &Resources) -> Value {
    resources.to_endpoint().iter().map(to_json).collect()
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
        let viewer = Viewer::new(self, &request);
        let by_role = |resources: &Resources, render: fn(&Resources) -> Value| {
            let roles = resources.reservations().into_iter().filter(|(role, _)| viewer.role(role));
            Value::Object(roles.map(|(role, part)| (role, render(&part))).collect())
        };
        let (total, used) = (state.total(), used(self));
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
            "resources": summed(&total),
            "reserved_resources": by_role(&total, summed),
            "unreserved_resources": summed(&total.unreserved()),
            "reserved_resources_full": by_role(&total, full),
            "unreserved_resources_full": full(&total.unreserved()),
            "reserved_resources_allocated": by_role(&used, summed),
            "unreserved_resources_allocated": summed(&used.unreserved()),
            "resource_providers": [],
            "attributes": attributes::to_object(&state.config.attributes),
        }));
        let master = state.master.as_ref().map(|master| master.address().ip().to_string());
        put(&mut document, "master_hostname", master);
        if viewer.flags() {
            for name in ["log_dir", "external_log_file"] {
                put(&mut document, name, state.config.flags.get(name).cloned());
            }
            document.insert("flags".to_owned(), json!(state.config.flags));
        }
        let seen = |it: &&Framework| viewer.framework(it);
        let shown = |it: &Framework| framework(it, viewer);
        let frameworks = state.frameworks.values().filter(seen).map(shown).collect();
        document.insert("frameworks".to_owned(), frameworks);
        let completed = state.completed.iter().filter(seen).map(shown).collect();
        document.insert("completed_frameworks".to_owned(), completed);
        Response::json(&Value::Object(document), request.param("jsonp"))
    }
}
