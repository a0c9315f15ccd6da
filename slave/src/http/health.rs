//! `/health`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};

use crate::Slave;

impl Slave {
    pub(super) fn http_health(&mut self, _: Request, _: &mut Ctx<Self>) -> Response {
        Response::status(200)
    }
}
