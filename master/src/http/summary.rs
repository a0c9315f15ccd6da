//! `/state-summary`.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::Ctx;
use libprocess::http::{Request, Response};
use serde_json::{Map, Value, json};

use protos::documents::{object, put};

use super::documents;
use crate::Master;
use crate::state::{Framework, TaskEntry};

/// The states that are counted, in the order in which they are shown.
const SHOWN: [&str; 10] = [
    "TASK_STAGING",
    "TASK_STARTING",
    "TASK_RUNNING",
    "TASK_KILLING",
    "TASK_FINISHED",
    "TASK_KILLED",
    "TASK_FAILED",
    "TASK_LOST",
    "TASK_ERROR",
    "TASK_UNREACHABLE",
];

fn all_tasks(framework: &Framework) -> impl Iterator<Item = &TaskEntry> {
    let tasks = &framework.tasks;
    tasks.active().values().chain(tasks.unreachable().values()).chain(tasks.completed())
}

fn put_counts<'a>(entry: &mut Map<String, Value>, tasks: impl Iterator<Item = &'a TaskEntry>) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for task in tasks {
        *counts.entry(task.state().as_str_name()).or_insert(0) += 1;
    }
    for state in SHOWN {
        entry.insert(state.to_owned(), counts.get(state).copied().unwrap_or(0).into());
    }
}

impl Master {
    pub(super) fn http_summary(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let state = &self.state;
        let mut document = object(json!({"hostname": state.config.hostname}));
        put(&mut document, "cluster", state.config.cluster.clone());
        let slaves = state.slaves.iter().map(|slave| {
            let mut entry = documents::slave(state, slave);
            let here = state.frameworks.iter().flat_map(all_tasks);
            put_counts(&mut entry, here.filter(|task| task.slave == slave.id));
            let frameworks = state.frameworks.iter().filter(|f| f.is_on(&slave.id));
            let ids = frameworks.map(|f| Value::from(f.id.as_str())).collect();
            entry.insert("framework_ids".to_owned(), ids);
            Value::Object(entry)
        });
        document.insert("slaves".to_owned(), slaves.collect());
        let frameworks = state.frameworks.iter().map(|framework| {
            let mut entry = documents::framework_head(state, framework);
            put_counts(&mut entry, all_tasks(framework));
            let slaves: BTreeSet<_> = all_tasks(framework).map(|t| t.slave.as_str()).collect();
            entry.insert("slave_ids".to_owned(), json!(slaves));
            Value::Object(entry)
        });
        document.insert("frameworks".to_owned(), frameworks.collect());
        Response::json(&Value::Object(document), request.param("jsonp"))
    }
}
