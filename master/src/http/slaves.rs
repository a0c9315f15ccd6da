//! `/slaves`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request};
use protos::json::to_json;
use protos::resources::Resources;
use serde_json::Value;

use super::documents;
use super::render::{Job, Writer};
use crate::Master;

fn full(resources: &Resources) -> Value {
    resources.to_endpoint().iter().map(to_json).collect()
}

impl Master {
    pub(super) fn http_slaves(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| master.document(request, cx, render))
    }
}

async fn render(job: Job) -> Writer {
    let (state, viewer) = (&*job.state, &job.viewer);
    let wanted = job.request.param("slave_id");
    let slaves = state.slaves.iter().filter(|s| wanted.is_none_or(|id| id == s.id.as_str()));
    let slaves = slaves.map(|slave| {
        let mut entry = documents::slave(state, slave, viewer);
        let (used, offered) = documents::slave_usage(state, slave);
        let reserved = slave.total.reservations().into_iter();
        let reserved = reserved.filter(|(role, _)| viewer.role(role));
        let reserved = reserved.map(|(role, part)| (role, full(&part))).collect();
        entry.insert("reserved_resources_full".to_owned(), Value::Object(reserved));
        let unreserved = slave.total.unreserved();
        entry.insert("unreserved_resources_full".to_owned(), full(&unreserved));
        entry.insert("used_resources_full".to_owned(), full(&used));
        entry.insert("offered_resources_full".to_owned(), full(&offered));
        Value::Object(entry)
    });
    let mut writer = Writer::object();
    writer.list("slaves", slaves).await;
    let recovered = documents::recovered_slaves(state);
    let recovered = recovered.filter(|entry| wanted.is_none_or(|id| entry["id"] == id));
    writer.list("recovered_slaves", recovered).await;
    writer.close()
}
