//! JSON that is written as it goes, for what there is much of.

use protos::documents::{self, labels};
use protos::json::to_json;
use protos::{mesos, task_state};
use serde_json::Value;

use crate::state::Holding;

/// A string.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        value(out, &Value::from(text));
    }
}

/// Any value.
pub(super) fn value(out: &mut Vec<u8>, value: &Value) {
    // Memory takes everything, and a value can always be written.
    let _ = serde_json::to_writer(out, value);
}

fn number(out: &mut Vec<u8>, number: f64) {
    value(out, &Value::from(number));
}

/// `,"key":`
fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    text(out, value);
}

fn optional(out: &mut Vec<u8>, name: &str, found: Option<Value>) {
    if let Some(found) = found {
        key(out, name);
        value(out, &found);
    }
}

fn status(out: &mut Vec<u8>, status: &mesos::TaskStatus) {
    out.extend_from_slice(b"{\"state\":");
    text(out, task_state::name(status.state));
    key(out, "timestamp");
    number(out, status.timestamp());
    optional(out, "labels", labels(&status.labels));
    optional(out, "container_status", status.container_status.as_ref().map(to_json));
    optional(out, "healthy", status.healthy.map(Value::from));
    out.push(b'}');
}

/// A task, as [`documents::task`] shows it; its resources are those of the holding.
pub(super) fn task(out: &mut Vec<u8>, task: &mesos::Task, holding: &Holding) {
    let (resources, role) = holding.shown();
    out.extend_from_slice(b"{\"id\":");
    text(out, &task.task_id.value);
    member(out, "name", &task.name);
    member(out, "framework_id", &task.framework_id.value);
    member(out, "executor_id", task.executor_id.as_ref().map_or("", |id| &id.value));
    member(out, "slave_id", &task.slave_id.value);
    member(out, "state", task_state::name(task.state));
    key(out, "resources");
    out.extend_from_slice(resources.as_bytes());
    optional(out, "limits", documents::limits(task));
    member(out, "role", role);
    key(out, "statuses");
    out.push(b'[');
    for (number, known) in task.statuses.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        status(out, known);
    }
    out.push(b']');
    if let Some(user) = &task.user {
        member(out, "user", user);
    }
    optional(out, "labels", labels(&task.labels));
    optional(out, "discovery", task.discovery.as_deref().map(to_json));
    optional(out, "container", task.container.as_deref().map(to_json));
    optional(out, "health_check", task.health_check.as_deref().map(to_json));
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, cluster, f, status};
    use mesos::TaskState;

    #[test]
    fn task_is_written_as_the_common_form_shows_it() {
        let mut state = cluster();
        let whole = mesos::Task {
            name: "a \"name\"\n".into(),
            statuses: vec![
                status(TaskState::TaskStaging),
                mesos::TaskStatus {
                    healthy: Some(true),
                    timestamp: Some(1.5),
                    labels: Some(mesos::Labels::default()),
                    container_status: Some(mesos::ContainerStatus::default()),
                    ..status(TaskState::TaskRunning)
                },
            ],
            user: Some("nobody".into()),
            labels: Some(mesos::Labels::default()),
            discovery: Some(Box::new(mesos::DiscoveryInfo::default())),
            container: Some(Box::new(mesos::ContainerInfo::default())),
            health_check: Some(Box::new(mesos::HealthCheck::default())),
            limits: [("cpus".to_owned(), mesos::value::Scalar { value: 2.0 })].into(),
            ..testing::task("t", TaskState::TaskRunning)
        };
        for wire in [whole, testing::task("t", TaskState::TaskRunning)] {
            state.frameworks.get_mut(&f()).unwrap().tasks.add("t".into(), wire);
            let known = state.frameworks.task(&f(), &"t".into()).unwrap();
            let mut out = Vec::new();
            super::task(&mut out, &known.without_resources(), known.holding());
            let expected = documents::task(&known.wire()).to_string();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
