//! `/slaves`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use protos::json::to_json;
use protos::resources::Resources;
use serde_json::{Value, json};

use super::documents;
use crate::Master;

fn full(resources: &Resources) -> Value {
    resources.to_wire().iter().map(to_json).collect()
}

impl Master {
    pub(super) fn http_slaves(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let state = &self.state;
        let wanted = request.param("slave_id");
        let slaves = state.slaves.iter().filter(|s| wanted.is_none_or(|id| id == s.id.as_str()));
        let slaves = slaves.map(|slave| {
            let mut entry = documents::slave(state, slave);
            let (used, offered) = documents::slave_usage(state, slave);
            let reserved = slave.total.reservations().into_iter();
            let reserved = reserved.map(|(role, part)| (role, full(&part))).collect();
            entry.insert("reserved_resources_full".to_owned(), Value::Object(reserved));
            let unreserved = slave.total.unreserved();
            entry.insert("unreserved_resources_full".to_owned(), full(&unreserved));
            entry.insert("used_resources_full".to_owned(), full(&used));
            entry.insert("offered_resources_full".to_owned(), full(&offered));
            Value::Object(entry)
        });
        let document = json!({"slaves": slaves.collect::<Vec<_>>(), "recovered_slaves": []});
        Response::json(&document, request.param("jsonp"))
    }
}
