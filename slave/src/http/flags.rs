//! `/flags`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use serde_json::json;

use crate::Slave;

impl Slave {
    pub(super) fn http_flags(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        Response::json(&json!({"flags": self.state.config.flags}), request.param("jsonp"))
    }
}
