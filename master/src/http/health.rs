//! `/health`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};

use crate::Master;

impl Master {
    pub(super) fn http_health(&mut self, _: Request, _: &mut Ctx<Self>) -> Response {
        Response::status(200)
    }
}
