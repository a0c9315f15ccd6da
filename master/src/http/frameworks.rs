//! `/frameworks`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use serde_json::{Value, json};

use super::documents;
use crate::Master;
use crate::state::Framework;

impl Master {
    pub(super) fn http_frameworks(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let state = &self.state;
        let wanted = request.param("framework_id");
        let chosen = |f: &&Framework| wanted.is_none_or(|id| id == f.id.as_str());
        let render = |f: &Framework| documents::framework(state, f);
        let frameworks: Vec<Value> = state.frameworks.iter().filter(chosen).map(render).collect();
        let completed: Vec<Value> =
            state.frameworks.completed().filter(chosen).map(render).collect();
        let document = json!({
            "frameworks": frameworks,
            "completed_frameworks": completed,
            "unregistered_frameworks": [],
        });
        Response::json(&document, request.param("jsonp"))
    }
}
