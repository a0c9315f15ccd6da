//! JSON shapes of frameworks, executors and tasks.

use protos::documents::{labels, object, put, role, task};
use protos::json::to_json;
use protos::mesos;
use protos::mesos::framework_info::capability::Type as Capability;
use protos::resources::Resources;
use protos::task_state::is_terminal;
use serde_json::{Value, json};

use super::viewer::Viewer;
use crate::state::{Executor, Framework};

fn resources(wire: &[mesos::Resource]) -> Resources {
    Resources::from_wire(wire).unwrap_or_default()
}

fn queued_task(task: &mesos::TaskInfo) -> Value {
    let held = resources(&task.resources);
    let mut entry = object(json!({
        "id": task.task_id.value,
        "name": task.name,
        "slave_id": task.slave_id.value,
        "resources": held.to_object(),
        "role": role(&held),
    }));
    put(&mut entry, "command", task.command.as_ref().map(to_json));
    let executor = task.executor.as_ref().map(|executor| executor.executor_id.value.clone());
    put(&mut entry, "executor_id", executor);
    put(&mut entry, "discovery", task.discovery.as_deref().map(to_json));
    Value::Object(entry)
}

fn executor(executor: &Executor, of: &Framework, viewer: Viewer<'_>) -> Value {
    let mut entry = object(json!({
        "id": executor.id.as_str(),
        "name": executor.info.name(),
        "source": executor.info.source(),
        "container": executor.container.as_str(),
        "directory": executor.directory.display().to_string(),
        "resources": executor.resources().to_object(),
    }));
    let own = resources(&executor.info.resources);
    put(&mut entry, "role", (!own.is_empty()).then(|| role(&own)));
    put(&mut entry, "labels", labels(&executor.info.labels));
    let kind = executor.info.r#type.map(|_| executor.info.r#type().as_str_name());
    put(&mut entry, "type", kind);
    let seen = |task: &&mesos::Task| viewer.task(task, of);
    let (ended, live): (Vec<_>, Vec<_>) =
        executor.launched.values().filter(seen).partition(|task| is_terminal(task.state()));
    entry.insert("tasks".to_owned(), live.into_iter().map(task).collect());
    let queued = executor.queued.iter().filter(|task| viewer.queued(task, of));
    entry.insert("queued_tasks".to_owned(), queued.map(queued_task).collect());
    let completed = executor.completed.iter().filter(seen).chain(ended).map(task).collect();
    entry.insert("completed_tasks".to_owned(), completed);
    Value::Object(entry)
}

pub(super) fn framework(framework: &Framework, viewer: Viewer<'_>) -> Value {
    let info = &framework.info;
    let mut entry = object(json!({
        "id": framework.id.as_str(),
        "name": info.name,
        "user": info.user,
        "failover_timeout": info.failover_timeout(),
        "checkpoint": info.checkpoint(),
        "hostname": info.hostname(),
    }));
    put(&mut entry, "principal", info.principal.clone());
    if framework.has(Capability::MultiRole) {
        entry.insert("roles".to_owned(), info.roles.clone().into());
    } else {
        entry.insert("role".to_owned(), info.role().into());
    }
    let seen = |it: &&Executor| viewer.executor(it, framework);
    let shown = |it: &Executor| executor(it, framework, viewer);
    let executors = framework.executors.values().filter(seen).map(shown).collect();
    entry.insert("executors".to_owned(), executors);
    let completed = framework.completed.iter().filter(seen).map(shown).collect();
    entry.insert("completed_executors".to_owned(), completed);
    Value::Object(entry)
}
