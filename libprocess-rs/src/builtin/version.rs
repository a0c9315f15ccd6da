//! `/version`.

use crate::http::{Request, Response};
use crate::{Ctx, Help, Process, Routes};

const VERSION: Help = Help::new("Version and build of this program", "");

pub(crate) struct VersionProcess;

impl Process for VersionProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/", VERSION, Self::version);
    }
}

impl VersionProcess {
    fn version(&mut self, request: Request, cx: &mut Ctx<Self>) -> Response {
        Response::json(&cx.node().config().version, request.param("jsonp"))
    }
}
