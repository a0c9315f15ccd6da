//! JSON shapes that several endpoints share. Keys stand in the order that clients know.

use libprocess::Time;
use protos::documents::{self as shared, labels, object, put};
use protos::json::to_json;
use protos::mesos;
use protos::resources::Resources;
use protos::{attributes, mesos::framework_info::Capability};
use serde_json::{Map, Value, json};

use crate::state::{Framework, Offer, Slave, State, TaskEntry};

pub(crate) fn seconds(time: Time) -> Value {
    time.as_secs_f64().into()
}

/// A task.
pub(crate) fn task(task: &TaskEntry) -> Value {
    shared::task(task.wire())
}

fn command(command: &mesos::CommandInfo) -> Value {
    let mut entry = Map::new();
    put(&mut entry, "shell", command.shell);
    put(&mut entry, "value", command.value.clone());
    entry.insert("argv".to_owned(), command.arguments.clone().into());
    put(&mut entry, "environment", command.environment.as_ref().map(to_json));
    let uris = command
        .uris
        .iter()
        .map(|uri| json!({"value": uri.value, "executable": uri.executable.unwrap_or_default()}));
    entry.insert("uris".to_owned(), uris.collect::<Vec<_>>().into());
    Value::Object(entry)
}

fn executor(executor: &mesos::ExecutorInfo, slave: &str) -> Value {
    let resources = Resources::from_wire(&executor.resources).unwrap_or_default();
    let mut entry = object(json!({
        "executor_id": executor.executor_id.value,
        "name": executor.name(),
        "framework_id": executor.framework_id.as_ref().map_or("", |id| &id.value),
        "command": executor.command.as_ref().map_or(json!({}), command),
        "resources": resources.to_object(),
    }));
    put(&mut entry, "role", resources.allocations().into_keys().next());
    put(&mut entry, "labels", labels(&executor.labels));
    put(&mut entry, "type", executor.r#type.map(|_| executor.r#type().as_str_name()));
    entry.insert("slave_id".to_owned(), slave.into());
    Value::Object(entry)
}

pub(crate) fn offer(offer: &Offer) -> Value {
    json!({
        "id": offer.id.as_str(),
        "framework_id": offer.framework.as_str(),
        "allocation_info": {"role": offer.role},
        "slave_id": offer.slave.as_str(),
        "resources": offer.resources.to_object(),
    })
}

fn capabilities(capabilities: &[Capability]) -> Value {
    capabilities.iter().map(|c| Value::from(c.r#type().as_str_name())).collect()
}

fn domain(domain: &mesos::DomainInfo) -> Value {
    let fault = domain.fault_domain.as_ref();
    json!({"fault_domain": fault.map(|fault| json!({
        "region": {"name": fault.region.name},
        "zone": {"name": fault.zone.name},
    }))})
}

/// What frameworks hold of a slave, and what is offered of it.
pub(crate) fn slave_usage(state: &State, slave: &Slave) -> (Resources, Resources) {
    let used = state.frameworks.iter().map(|framework| framework.used_on(&slave.id)).sum();
    (used, state.offers.held_on(&slave.id))
}

/// A slave's entry in `/state` and `/slaves`.
pub(crate) fn slave(state: &State, slave: &Slave) -> Map<String, Value> {
    let (used, offered) = slave_usage(state, slave);
    let mut entry = object(json!({
        "id": slave.id.as_str(),
        "hostname": slave.info.hostname,
        "port": slave.info.port(),
        "attributes": attributes::to_object(&slave.info.attributes),
    }));
    put(&mut entry, "domain", slave.info.domain.as_ref().map(domain));
    entry.insert("pid".to_owned(), slave.pid.to_string().into());
    entry.insert("registered_time".to_owned(), seconds(slave.registered));
    put(&mut entry, "reregistered_time", slave.reregistered.map(seconds));
    entry.insert("resources".to_owned(), slave.total.to_object().into());
    entry.insert("used_resources".to_owned(), used.to_object().into());
    entry.insert("offered_resources".to_owned(), offered.to_object().into());
    let reserved = slave.total.reservations().into_iter();
    let reserved = reserved.map(|(role, part)| (role, part.to_object().into()));
    entry.insert("reserved_resources".to_owned(), Value::Object(reserved.collect()));
    let unreserved = slave.total.unreserved();
    entry.insert("unreserved_resources".to_owned(), unreserved.to_object().into());
    entry.insert("active".to_owned(), slave.active.into());
    entry.insert("deactivated".to_owned(), false.into());
    entry.insert("version".to_owned(), slave.version.clone().into());
    let capabilities = slave.capabilities.iter().map(|c| Value::from(c.r#type().as_str_name()));
    entry.insert("capabilities".to_owned(), capabilities.collect());
    entry
}

/// The part of a framework's entry up to `recovered`: all that `/state-summary` shows.
pub(crate) fn framework_head(state: &State, framework: &Framework) -> Map<String, Value> {
    let used: Resources = framework.used().into_values().sum();
    let mut entry = object(json!({"id": framework.id.as_str(), "name": framework.info.name}));
    if !framework.pid.is_empty() {
        entry.insert("pid".to_owned(), framework.pid.to_string().into());
    }
    entry.insert("used_resources".to_owned(), used.to_object().into());
    entry.insert("offered_resources".to_owned(), offered(state, framework).to_object().into());
    entry.insert("capabilities".to_owned(), capabilities(&framework.info.capabilities));
    entry.insert("hostname".to_owned(), framework.info.hostname().into());
    entry.insert("webui_url".to_owned(), framework.info.webui_url().into());
    entry.insert("active".to_owned(), framework.active.into());
    entry.insert("connected".to_owned(), framework.connected.into());
    entry.insert("recovered".to_owned(), framework.recovered.into());
    entry
}

fn offered(state: &State, framework: &Framework) -> Resources {
    let offers = framework.offers.iter().filter_map(|id| state.offers.get(id));
    offers.map(|offer| offer.resources.clone()).sum()
}

/// A framework's whole entry.
pub(crate) fn framework(state: &State, framework: &Framework) -> Value {
    let info = &framework.info;
    let used: Resources = framework.used().into_values().sum();
    let mut entry = framework_head(state, framework);
    entry.insert("user".to_owned(), info.user.clone().into());
    entry.insert("failover_timeout".to_owned(), info.failover_timeout().into());
    entry.insert("checkpoint".to_owned(), info.checkpoint().into());
    entry.insert("registered_time".to_owned(), seconds(framework.registered));
    let unregistered = framework.unregistered.map_or(0.0.into(), seconds);
    entry.insert("unregistered_time".to_owned(), unregistered);
    put(&mut entry, "principal", info.principal.clone());
    let all = used.plus(&offered(state, framework));
    entry.insert("resources".to_owned(), all.to_object().into());
    put(&mut entry, "reregistered_time", framework.reregistered.map(seconds));
    if framework.has(mesos::framework_info::capability::Type::MultiRole) {
        entry.insert("roles".to_owned(), info.roles.clone().into());
    } else {
        entry.insert("role".to_owned(), info.role().into());
    }
    let tasks = framework.tasks.active().values().map(task).collect::<Vec<_>>();
    entry.insert("tasks".to_owned(), tasks.into());
    let unreachable = framework.tasks.unreachable().values().map(task).collect::<Vec<_>>();
    entry.insert("unreachable_tasks".to_owned(), unreachable.into());
    let completed = framework.tasks.completed().map(task).collect::<Vec<_>>();
    entry.insert("completed_tasks".to_owned(), completed.into());
    let offers = framework.offers.iter().filter_map(|id| state.offers.get(id)).map(offer);
    entry.insert("offers".to_owned(), offers.collect::<Vec<_>>().into());
    let executors = framework.executors.iter().flat_map(|(slave, executors)| {
        executors.values().map(|e| executor(e, slave.as_str())).collect::<Vec<_>>()
    });
    entry.insert("executors".to_owned(), executors.collect::<Vec<_>>().into());
    put(&mut entry, "labels", labels(&info.labels));
    entry.insert("offer_constraints".to_owned(), json!({}));
    Value::Object(entry)
}
