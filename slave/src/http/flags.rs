//! `/flags`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use serde_json::json;

use super::viewer::Viewer;
use crate::Slave;

impl Slave {
    pub(super) fn http_flags(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        if let Some(refusal) = self.refuse_changes(&request) {
            return refusal;
        }
        if !Viewer::new(self, &request).flags() {
            return Response::status(403);
        }
        Response::json(&json!({"flags": self.state.config.flags}), request.param("jsonp"))
    }
}
