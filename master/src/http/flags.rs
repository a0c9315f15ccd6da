//! `/flags`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use serde_json::json;

use crate::Master;

impl Master {
    pub(super) fn http_flags(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let document = json!({"flags": self.state.config.flags});
        Response::json(&document, request.param("jsonp"))
    }
}
