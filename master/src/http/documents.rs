//! JSON shapes that several endpoints share. Keys stand in the order that clients know.

use libprocess::Time;
use protos::documents::{labels, object, put};
use protos::json::to_json;
use protos::mesos;
use protos::resources::Resources;
use protos::{attributes, mesos::framework_info::Capability};
use serde_json::{Map, Value, json};

use super::render::Writer;
use super::viewer::Viewer;
use crate::state::{Framework, Offer, Slave, State, TaskEntry};

pub(crate) fn seconds(time: Time) -> Value {
    time.as_secs_f64().into()
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

pub(super) fn domain(domain: &mesos::DomainInfo) -> Value {
    let fault = domain.fault_domain.as_ref();
    json!({"fault_domain": fault.map(|fault| json!({
        "region": {"name": fault.region.name},
        "zone": {"name": fault.zone.name},
    }))})
}

/// What frameworks hold of a slave, and what is offered of it.
pub(crate) fn slave_usage(state: &State, slave: &Slave) -> (Resources, Resources) {
    (state.used_on(&slave.id), state.offers.held_on(&slave.id))
}

/// What is always known of a slave.
pub(crate) fn slave_base(id: &str, info: &mesos::SlaveInfo) -> Map<String, Value> {
    let mut entry = object(json!({
        "id": id,
        "hostname": info.hostname,
        "port": info.port(),
        "attributes": attributes::to_object(&info.attributes),
    }));
    put(&mut entry, "domain", info.domain.as_ref().map(domain));
    entry
}

/// Slaves that the registry knows and that are not back yet.
pub(super) fn recovered_slaves(state: &State) -> impl Iterator<Item = Value> {
    let recovered = state.slaves.recovered().iter();
    recovered.map(|(id, info)| Value::Object(slave_base(id.as_str(), info)))
}

/// A slave's entry in `/state` and `/slaves`.
pub(super) fn slave(state: &State, slave: &Slave, viewer: &Viewer) -> Map<String, Value> {
    let (used, offered) = slave_usage(state, slave);
    let mut entry = slave_base(slave.id.as_str(), &slave.info);
    entry.insert("pid".to_owned(), slave.pid.to_string().into());
    entry.insert("registered_time".to_owned(), seconds(slave.registered));
    put(&mut entry, "reregistered_time", slave.reregistered.map(seconds));
    entry.insert("resources".to_owned(), slave.total.to_object().into());
    entry.insert("used_resources".to_owned(), used.to_object().into());
    entry.insert("offered_resources".to_owned(), offered.to_object().into());
    let reserved = slave.total.reservations().into_iter().filter(|(role, _)| viewer.role(role));
    let reserved = reserved.map(|(role, part)| (role, part.to_object().into()));
    entry.insert("reserved_resources".to_owned(), Value::Object(reserved.collect()));
    let unreserved = slave.total.unreserved();
    entry.insert("unreserved_resources".to_owned(), unreserved.to_object().into());
    entry.insert("active".to_owned(), slave.active.into());
    entry.insert("deactivated".to_owned(), slave.deactivated.into());
    entry.insert("version".to_owned(), slave.version.clone().into());
    let capabilities = slave.capabilities.iter().map(|c| Value::from(c.r#type().as_str_name()));
    entry.insert("capabilities".to_owned(), capabilities.collect());
    put(&mut entry, "drain_info", slave.drain.as_ref().map(to_json));
    let started = slave.drain_started.map(|time| time.as_nanos() / 1_000_000_000);
    put(&mut entry, "estimated_drain_start_time_seconds", started);
    entry
}

/// The part of a framework's entry up to `recovered`: all that `/state-summary` shows.
pub(super) fn framework_head(state: &State, framework: &Framework) -> Map<String, Value> {
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

/// Writes those tasks of a framework that may be seen.
async fn write_tasks(
    writer: &mut Writer,
    name: &str,
    tasks: impl Iterator<Item = &TaskEntry>,
    of: &mesos::FrameworkInfo,
    viewer: &Viewer,
) {
    writer.open_list(name);
    for task in tasks {
        let known = task.without_resources();
        if viewer.task(&known, of) {
            writer.item_by(|out| super::json::task(out, &known, task.holding())).await;
        }
    }
    writer.close_list();
}

pub(super) fn offered(state: &State, framework: &Framework) -> Resources {
    let offers = framework.offers.iter().filter_map(|id| state.offers.get(id));
    offers.map(|offer| offer.resources.clone()).sum()
}

/// Writes a framework's whole entry as an item.
pub(super) async fn write_framework(
    writer: &mut Writer,
    state: &State,
    framework: &Framework,
    viewer: &Viewer,
) {
    let info = &framework.info;
    let used: Resources = framework.used().into_values().sum();
    writer.open_item();
    writer.members(framework_head(state, framework));
    writer.put("user", info.user.clone());
    writer.put("failover_timeout", info.failover_timeout());
    writer.put("checkpoint", info.checkpoint());
    writer.put("registered_time", seconds(framework.registered));
    writer.put("unregistered_time", framework.unregistered.map_or(0.0.into(), seconds));
    if let Some(principal) = &info.principal {
        writer.put("principal", principal.clone());
    }
    writer.put("resources", used.plus(&offered(state, framework)).to_object());
    if let Some(again) = framework.reregistered.filter(|again| *again != framework.registered) {
        writer.put("reregistered_time", seconds(again));
    }
    if framework.has(mesos::framework_info::capability::Type::MultiRole) {
        writer.put("roles", info.roles.clone());
    } else {
        writer.put("role", info.role());
    }
    let tasks = &framework.tasks;
    let active = tasks.active().values().map(|task| &**task);
    write_tasks(writer, "tasks", active, info, viewer).await;
    let unreachable = tasks.unreachable().values().map(|task| &**task);
    write_tasks(writer, "unreachable_tasks", unreachable, info, viewer).await;
    write_tasks(writer, "completed_tasks", tasks.completed(), info, viewer).await;
    let offers = framework.offers.iter().filter_map(|id| state.offers.get(id)).map(offer);
    writer.list("offers", offers).await;
    writer.open_list("executors");
    for (slave, executors) in &framework.executors {
        for known in executors.values() {
            // One that is hidden leaves an empty place.
            let seen = viewer.executor(known, info);
            let entry = if seen { executor(known, slave.as_str()) } else { json!({}) };
            writer.item(entry).await;
        }
    }
    writer.close_list();
    if let Some(labels) = labels(&info.labels) {
        writer.put("labels", labels);
    }
    writer.put("offer_constraints", to_json(framework.constraints.wire()));
    writer.close_item().await;
}
