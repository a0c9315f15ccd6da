//! `/redirect`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};

use crate::Master;

impl Master {
    pub(super) fn http_redirect(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        if request.endpoint() != "redirect" {
            return Response::status(404);
        }
        let port = self.state.pid.address().port();
        Response::redirect(&format!("//{}:{port}", self.state.config.hostname))
    }
}
