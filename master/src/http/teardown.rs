//! `/teardown`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use protos::ids::FrameworkId;

use super::{form, viewer::Viewer};
use crate::security::Action;
use crate::{Master, calls};

impl Master {
    pub(super) fn http_teardown(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| {
            let form = match form::form(&request) {
                Ok(form) => form,
                Err(refusal) => return refusal.into(),
            };
            let viewer = Viewer::new(&master.state.config, &request);
            match form::field(&form, "frameworkId") {
                Err(refusal) => refusal.into(),
                Ok(id) => master.tear_down(&FrameworkId::new(id), &viewer, cx).into(),
            }
        })
    }

    pub(super) fn tear_down(
        &mut self,
        id: &FrameworkId,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Response {
        let Some(framework) = self.state.frameworks.get(id) else {
            return Response::bad_request("No framework found with specified ID");
        };
        let owner = framework.info.principal.as_deref();
        if !viewer.may(Action::TeardownFramework, owner) {
            return Response::status(403);
        }
        let now = cx.now();
        self.decide(cx, |state, fx| calls::teardown::remove(state, id, now, fx));
        Response::status(200)
    }
}
