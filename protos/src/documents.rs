//! JSON shapes that the endpoints of masters and slaves share. Keys stand in the order that tools
//! know.

use serde_json::{Map, Value, json};

use crate::json::to_json;
use crate::mesos;
use crate::resources::Resources;
use crate::task_state;

/// Adds `value` under `key` unless it is absent.
pub fn put(object: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value.into());
    }
}

/// The members of an object; none of any other value.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Labels as a list of pairs.
pub fn labels(labels: &Option<mesos::Labels>) -> Option<Value> {
    labels.as_ref().map(|labels| labels.labels.iter().map(to_json).collect())
}

/// The role that resources are allocated to; `*` when they are allocated to none.
pub fn role(resources: &Resources) -> String {
    let role = resources.allocations().into_keys().next().unwrap_or_default();
    if role.is_empty() { "*".to_owned() } else { role }
}

fn status(status: &mesos::TaskStatus) -> Value {
    let mut entry = object(json!({
        "state": task_state::name(status.state),
        "timestamp": status.timestamp(),
    }));
    put(&mut entry, "labels", labels(&status.labels));
    put(&mut entry, "container_status", status.container_status.as_ref().map(to_json));
    put(&mut entry, "healthy", status.healthy);
    Value::Object(entry)
}

/// A task's limits by resource; None when it has none.
pub fn limits(task: &mesos::Task) -> Option<Value> {
    let limits = task.limits.iter().map(|(name, limit)| (name.clone(), limit.value.into()));
    (!task.limits.is_empty()).then(|| Value::Object(limits.collect()))
}

/// A task.
pub fn task(task: &mesos::Task) -> Value {
    // Tasks in books were validated before they got there.
    let held = Resources::from_wire(&task.resources).unwrap_or_default();
    let mut entry = object(json!({
        "id": task.task_id.value,
        "name": task.name,
        "framework_id": task.framework_id.value,
        "executor_id": task.executor_id.as_ref().map_or("", |id| &id.value),
        "slave_id": task.slave_id.value,
        "state": task_state::name(task.state),
        "resources": held.to_object(),
    }));
    put(&mut entry, "limits", limits(task));
    entry.insert("role".to_owned(), role(&held).into());
    entry.insert("statuses".to_owned(), task.statuses.iter().map(status).collect());
    put(&mut entry, "user", task.user.clone());
    put(&mut entry, "labels", labels(&task.labels));
    put(&mut entry, "discovery", task.discovery.as_deref().map(to_json));
    put(&mut entry, "container", task.container.as_deref().map(to_json));
    put(&mut entry, "health_check", task.health_check.as_deref().map(to_json));
    Value::Object(entry)
}
