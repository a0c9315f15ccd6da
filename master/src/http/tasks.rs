//! `/tasks`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};

use super::json;
use super::render::{Job, Writer};
use crate::Master;
use crate::state::TaskEntry;

const LIMIT: usize = 100;

fn count(request: &Request, name: &str, default: usize) -> Result<usize, Response> {
    let Some(text) = request.param(name) else { return Ok(default) };
    text.parse().map_err(|_| Response::bad_request(format!("{name} '{text}' is not a count")))
}

impl Master {
    pub(super) fn http_tasks(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        for name in ["limit", "offset"] {
            if let Err(refusal) = count(&request, name, 0) {
                return refusal.into();
            }
        }
        self.guarded(request, cx, |master, request, cx| master.document(request, cx, render))
    }
}

async fn render(job: Job) -> Writer {
    let (state, viewer, request) = (&*job.state, &job.viewer, &job.request);
    // They were read before, so the defaults are for what is not given.
    let limit = count(request, "limit", LIMIT).unwrap_or(LIMIT);
    let offset = count(request, "offset", 0).unwrap_or_default();
    let (framework, id) = (request.param("framework_id"), request.param("task_id"));
    let frameworks = state.frameworks.iter().chain(state.frameworks.completed());
    let mut tasks: Vec<&TaskEntry> = frameworks
        .filter(|f| framework.is_none_or(|wanted| wanted == f.id.as_str()))
        .filter(|f| viewer.framework(&f.info))
        .flat_map(|f| f.tasks.each().map(move |(id, task)| (f, id, task)))
        .filter(|(_, known, _)| id.is_none_or(|wanted| wanted == known.as_str()))
        .filter(|(f, _, task)| {
            viewer.sees_all_tasks() || viewer.task(&task.without_resources(), &f.info)
        })
        .map(|(_, _, task)| task)
        .collect();
    tasks.sort_by(|a, b| a.since().total_cmp(&b.since()));
    if request.param("order") != Some("asc") {
        tasks.reverse();
    }
    let mut writer = Writer::object();
    writer.open_list("tasks");
    for task in tasks.into_iter().skip(offset).take(limit) {
        let known = task.without_resources();
        writer.item_by(|out| json::task(out, &known, task.holding())).await;
    }
    writer.close_list();
    writer.close()
}
