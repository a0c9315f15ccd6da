//! `/containers` and `/monitor/statistics`.

use std::time::Duration;

use futures::future::join_all;
use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use protos::json::to_json;
use serde_json::{Value, json};

use super::viewer::Viewer;
use crate::Slave;
use crate::state::{Executor, ExecutorState, Framework};

/// Between two measurements of everything.
const STATISTICS_EVERY: Duration = Duration::from_millis(500);

fn entry(framework: &Framework, executor: &Executor) -> Value {
    json!({
        "executor_id": executor.id.as_str(),
        "executor_name": executor.info.name(),
        "framework_id": framework.id.as_str(),
        "source": executor.info.source(),
    })
}

/// Which containers are asked for; all when nothing is set.
#[derive(Default)]
struct Wanted<'a> {
    container: Option<&'a str>,
    framework: Option<&'a str>,
    executor: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(request: &'a Request) -> Result<Self, &'static str> {
        let container = request.param("container_id");
        let (framework, executor) = (request.param("framework_id"), request.param("executor_id"));
        match (container, framework, executor) {
            (Some(_), None, None) | (None, _, None) | (None, Some(_), Some(_)) => {
                Ok(Self { container, framework, executor })
            }
            (Some(_), ..) => Err("'container_id' excludes 'framework_id' and 'executor_id'"),
            (None, None, Some(_)) => Err("'executor_id' needs 'framework_id'"),
        }
    }

    fn includes(&self, framework: &Framework, executor: &Executor) -> bool {
        self.container.is_none_or(|id| id == executor.container.as_str())
            && self.framework.is_none_or(|id| id == framework.id.as_str())
            && self.executor.is_none_or(|id| id == executor.id.as_str())
    }
}

impl Slave {
    fn live_executors(&self) -> impl Iterator<Item = (&Framework, &Executor)> {
        let frameworks = self.state.frameworks.values();
        let all = frameworks.flat_map(|f| f.executors.values().map(move |executor| (f, executor)));
        all.filter(|(_, executor)| executor.state != ExecutorState::Terminated)
    }

    /// Measures twice a second at most: who asks more often waits.
    pub(super) fn http_statistics(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        if let Some(refusal) = self.refuse_changes(&request) {
            return refusal.into();
        }
        let turn = self.next_statistics.max(cx.now());
        self.next_statistics = turn + STATISTICS_EVERY;
        let wait = cx.sleep(turn.since(cx.now()));
        let slave = cx.handle();
        Answer::later(async move {
            wait.await;
            let measured = slave.ask_later(move |slave, _| slave.statistics(request)).await;
            measured.unwrap_or_else(|_| Response::status(503))
        })
    }

    fn statistics(&self, request: Request) -> impl Future<Output = Response> + Send + use<> {
        let measured = self.live_executors().map(|(framework, executor)| {
            let usage = self.containerizer.usage(&executor.container);
            let mut entry = entry(framework, executor);
            async move {
                // Executors that cannot be measured are left out.
                entry["statistics"] = to_json(&usage.await.ok()?);
                Some(entry)
            }
        });
        let measured: Vec<_> = measured.collect();
        async move {
            let list = join_all(measured).await.into_iter().flatten().collect();
            Response::json(&Value::Array(list), request.param("jsonp"))
        }
    }

    pub(super) fn http_containers(&mut self, request: Request, _: &mut Ctx<Self>) -> Answer {
        if let Some(refusal) = self.refuse_changes(&request) {
            return refusal.into();
        }
        let wanted = match Wanted::of(&request) {
            Ok(wanted) => wanted,
            Err(why) => return Response::bad_request(why).into(),
        };
        let viewer = Viewer::new(self, &request);
        let chosen = self.live_executors();
        let chosen = chosen.filter(|(f, e)| wanted.includes(f, e) && viewer.container(e, f));
        let described = chosen.map(|(framework, executor)| {
            let usage = self.containerizer.usage(&executor.container);
            let status = self.containerizer.status(&executor.container);
            let base = entry(framework, executor);
            let id = executor.container.to_string();
            async move {
                let mut entry = json!({"container_id": id});
                for key in ["executor_id", "executor_name", "framework_id", "source"] {
                    entry[key] = base[key].clone();
                }
                if let Ok(usage) = usage.await {
                    entry["statistics"] = to_json(&usage);
                }
                if let Ok(status) = status.await {
                    entry["status"] = to_json(&status);
                }
                entry
            }
        });
        let described: Vec<_> = described.collect();
        Answer::later(async move {
            let list = Value::Array(join_all(described).await);
            Response::json(&list, request.param("jsonp"))
        })
    }
}
