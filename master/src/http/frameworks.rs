//! `/frameworks`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request};
use serde_json::json;

use super::documents;
use super::render::{Job, Writer};
use crate::Master;
use crate::state::Framework;

impl Master {
    pub(super) fn http_frameworks(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| master.document(request, cx, render))
    }
}

async fn render(job: Job) -> Writer {
    let (state, viewer) = (&*job.state, &job.viewer);
    let wanted = job.request.param("framework_id");
    let chosen =
        |f: &&Framework| wanted.is_none_or(|id| id == f.id.as_str()) && viewer.framework(&f.info);
    let mut writer = Writer::object();
    writer.open_list("frameworks");
    for framework in state.frameworks.iter().filter(chosen) {
        documents::write_framework(&mut writer, state, framework, viewer).await;
    }
    writer.close_list();
    writer.open_list("completed_frameworks");
    for framework in state.frameworks.completed().filter(chosen) {
        documents::write_framework(&mut writer, state, framework, viewer).await;
    }
    writer.close_list();
    writer.put("unregistered_frameworks", json!([]));
    writer.close()
}
