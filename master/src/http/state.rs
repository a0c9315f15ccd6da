//! `/state`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use serde_json::{Value, json};

use protos::documents::{object, put};

use super::documents::{self, seconds};
use crate::Master;

impl Master {
    pub(super) fn http_state(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let state = &self.state;
        let active = state.slaves.iter().filter(|slave| slave.active).count();
        let inactive = state.slaves.iter().count() - active;
        let address = state.pid.address();
        let mut document = object(json!({
            "version": state.config.version,
            "build_date": "",
            "build_time": 0,
            "build_user": "",
            "start_time": seconds(state.started),
            "elected_time": seconds(state.started),
            "id": state.info.id,
            "pid": state.pid.to_string(),
            "hostname": state.config.hostname,
            "capabilities": [],
            "activated_slaves": active,
            "deactivated_slaves": inactive,
            "unreachable_slaves": state.slaves.unreachable_count(),
            "leader": state.pid.to_string(),
            "leader_info": {
                "id": state.info.id,
                "pid": state.pid.to_string(),
                "port": address.port(),
                "hostname": state.config.hostname,
            },
        }));
        put(&mut document, "cluster", state.config.cluster.clone());
        put(&mut document, "log_dir", state.config.flags.get("log_dir").cloned());
        document.insert("flags".to_owned(), json!(state.config.flags));
        let slaves = state.slaves.iter().map(|s| Value::Object(documents::slave(state, s)));
        document.insert("slaves".to_owned(), slaves.collect());
        document.insert("recovered_slaves".to_owned(), json!([]));
        let frameworks = state.frameworks.iter().map(|f| documents::framework(state, f));
        document.insert("frameworks".to_owned(), frameworks.collect());
        let completed = state.frameworks.completed().map(|f| documents::framework(state, f));
        document.insert("completed_frameworks".to_owned(), completed.collect());
        document.insert("orphan_tasks".to_owned(), json!([]));
        document.insert("unregistered_frameworks".to_owned(), json!([]));
        Response::json(&Value::Object(document), request.param("jsonp"))
    }
}
