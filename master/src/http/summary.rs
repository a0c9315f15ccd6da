//! `/state-summary`.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::Ctx;
use libprocess::http::{Answer, Request};
use protos::ids::SlaveId;
use serde_json::{Map, Value, json};

use super::documents;
use super::render::{Job, Writer};
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
    pub(super) fn http_summary(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| master.document(request, cx, render))
    }
}

async fn render(job: Job) -> Writer {
    let (state, viewer) = (&*job.state, &job.viewer);
    let mut writer = Writer::object();
    writer.put("hostname", state.config.hostname.clone());
    if let Some(cluster) = &state.config.cluster {
        writer.put("cluster", cluster.clone());
    }
    let shown: Vec<&Framework> =
        state.frameworks.iter().filter(|f| viewer.framework(&f.info)).collect();
    // Tasks are looked at once, not once for each slave.
    let mut by_slave: BTreeMap<&SlaveId, Vec<&TaskEntry>> = BTreeMap::new();
    for task in shown.iter().flat_map(|framework| framework.tasks.all()) {
        by_slave.entry(&task.slave).or_default().push(task);
    }
    let slaves = state.slaves.iter().map(|slave| {
        let mut entry = documents::slave(state, slave, viewer);
        let here = by_slave.get(&slave.id).into_iter().flatten().copied();
        put_counts(&mut entry, here);
        let frameworks = shown.iter().filter(|f| f.is_on(&slave.id));
        let ids = frameworks.map(|f| Value::from(f.id.as_str())).collect();
        entry.insert("framework_ids".to_owned(), ids);
        Value::Object(entry)
    });
    writer.list("slaves", slaves).await;
    let frameworks = shown.iter().map(|framework| {
        let mut entry = documents::framework_head(state, framework);
        put_counts(&mut entry, framework.tasks.all());
        let slaves: BTreeSet<_> = framework.tasks.all().map(|t| t.slave.as_str()).collect();
        entry.insert("slave_ids".to_owned(), json!(slaves));
        Value::Object(entry)
    });
    writer.list("frameworks", frameworks).await;
    writer.close()
}
