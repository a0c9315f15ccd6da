//! `/flags`: served by masters that do not lead, too.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use serde_json::json;

use super::viewer::Viewer;
use crate::Master;

impl Master {
    pub(super) fn http_flags(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let authorises = self.state.config.acls.is_some();
        if authorises && request.method != "GET" {
            return Response::method_not_allowed(&["GET"], &request.method);
        }
        if !Viewer::new(&self.state.config, &request).flags() {
            return Response::status(403);
        }
        let document = json!({"flags": self.state.config.flags});
        Response::json(&document, request.param("jsonp"))
    }
}
