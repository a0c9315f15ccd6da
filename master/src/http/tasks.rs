//! `/tasks`.

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use serde_json::{Value, json};

use super::documents;
use crate::Master;
use crate::state::TaskEntry;

const LIMIT: usize = 100;

fn count(request: &Request, name: &str, default: usize) -> Result<usize, Response> {
    let Some(text) = request.param(name) else { return Ok(default) };
    text.parse().map_err(|_| Response::bad_request(format!("{name} '{text}' is not a count")))
}

fn first_status(task: &TaskEntry) -> f64 {
    task.wire().statuses.first().map_or(0.0, |status| status.timestamp())
}

impl Master {
    pub(super) fn http_tasks(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let (limit, offset) = match (count(&request, "limit", LIMIT), count(&request, "offset", 0))
        {
            (Ok(limit), Ok(offset)) => (limit, offset),
            (Err(refusal), _) | (_, Err(refusal)) => return refusal,
        };
        let (framework, id) = (request.param("framework_id"), request.param("task_id"));
        let state = &self.state;
        let frameworks = state.frameworks.iter().chain(state.frameworks.completed());
        let mut tasks: Vec<&TaskEntry> = frameworks
            .filter(|f| framework.is_none_or(|wanted| wanted == f.id.as_str()))
            .flat_map(|f| {
                let tasks = &f.tasks;
                let known = tasks.active().values().chain(tasks.unreachable().values());
                known.chain(tasks.completed())
            })
            .filter(|task| id.is_none_or(|wanted| wanted == task.wire().task_id.value))
            .collect();
        tasks.sort_by(|a, b| first_status(a).total_cmp(&first_status(b)));
        if request.param("order") != Some("asc") {
            tasks.reverse();
        }
        let page: Vec<Value> =
            tasks.into_iter().skip(offset).take(limit).map(documents::task).collect();
        Response::json(&json!({"tasks": page}), request.param("jsonp"))
    }
}
