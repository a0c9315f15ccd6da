//! The master's metrics: gauges that are asked for, counters that exist from the start.

use libprocess::{Ctx, Handle};
use protos::mesos::{OperationState, TaskState};
use protos::resources::Resources;

use crate::Master;

/// A gauge's name and how its value is read.
type Gauge = (&'static str, fn(&Master) -> f64);

/// Counters that are there before anything was counted.
const COUNTERS: [&str; 55] = [
    "dropped_messages",
    "http_cache_hits",
    "invalid_executor_to_framework_messages",
    "invalid_framework_to_executor_messages",
    "invalid_operation_status_update_acknowledgements",
    "invalid_operation_status_updates",
    "invalid_status_update_acknowledgements",
    "invalid_status_updates",
    "messages_authenticate",
    "messages_deactivate_framework",
    "messages_decline_offers",
    "messages_executor_to_framework",
    "messages_exited_executor",
    "messages_framework_to_executor",
    "messages_kill_task",
    "messages_launch_tasks",
    "messages_operation_status_update",
    "messages_operation_status_update_acknowledgement",
    "messages_reconcile_operations",
    "messages_reconcile_tasks",
    "messages_register_framework",
    "messages_register_slave",
    "messages_reregister_framework",
    "messages_reregister_slave",
    "messages_resource_request",
    "messages_revive_offers",
    "messages_status_update",
    "messages_status_update_acknowledgement",
    "messages_suppress_offers",
    "messages_unregister_framework",
    "messages_unregister_slave",
    "messages_update_slave",
    "recovery_slave_removals",
    "slave_registrations",
    "slave_removals",
    "slave_removals/reason_registered",
    "slave_removals/reason_unhealthy",
    "slave_removals/reason_unregistered",
    "slave_reregistrations",
    "slave_shutdowns_canceled",
    "slave_shutdowns_completed",
    "slave_shutdowns_scheduled",
    "slave_unreachable_canceled",
    "slave_unreachable_completed",
    "slave_unreachable_scheduled",
    "tasks_dropped",
    "tasks_error",
    "tasks_failed",
    "tasks_finished",
    "tasks_gone",
    "tasks_gone_by_operator",
    "tasks_killed",
    "tasks_lost",
    "valid_executor_to_framework_messages",
    "valid_framework_to_executor_messages",
];

/// Further counters of the same kind.
const MORE_COUNTERS: [&str; 4] = [
    "valid_operation_status_update_acknowledgements",
    "valid_operation_status_updates",
    "valid_status_update_acknowledgements",
    "valid_status_updates",
];

/// Kinds of operations on resources.
const OPERATIONS: [&str; 8] = [
    "create",
    "create_disk",
    "destroy",
    "destroy_disk",
    "grow_volume",
    "reserve",
    "shrink_volume",
    "unreserve",
];

/// What may become of them.
const FATES: [&str; 6] = ["dropped", "error", "failed", "finished", "gone_by_operator", "total"];

pub(crate) fn register(cx: &Ctx<Master>) {
    let master = cx.handle();
    let gauges: [Gauge; 17] = [
        ("elected", |m| f64::from(u8::from(m.state.elected.is_some()))),
        ("slaves_connected", |m| slaves(m, |s| s.connected)),
        ("slaves_disconnected", |m| slaves(m, |s| !s.connected)),
        ("slaves_active", |m| slaves(m, |s| s.active)),
        ("slaves_inactive", |m| slaves(m, |s| !s.active)),
        ("slaves_unreachable", |m| m.state.slaves.unreachable().len() as f64),
        ("frameworks_connected", |m| frameworks(m, |f| f.connected)),
        ("frameworks_disconnected", |m| frameworks(m, |f| !f.connected)),
        ("frameworks_active", |m| frameworks(m, |f| f.active)),
        ("frameworks_inactive", |m| frameworks(m, |f| !f.active)),
        ("outstanding_offers", |m| m.state.offers.len() as f64),
        ("tasks_staging", |m| tasks(m, TaskState::TaskStaging)),
        ("tasks_starting", |m| tasks(m, TaskState::TaskStarting)),
        ("tasks_running", |m| tasks(m, TaskState::TaskRunning)),
        ("tasks_killing", |m| tasks(m, TaskState::TaskKilling)),
        ("tasks_unreachable", |m| {
            m.state.frameworks.iter().map(|f| f.tasks.unreachable().len() as f64).sum()
        }),
        // Subscribers of the newer operators' API, which this master does not have.
        ("operator_event_stream_subscribers", |_| 0.0),
    ];
    let metrics = cx.node().metrics();
    for (name, value) in gauges {
        metrics.gauge(&format!("master/{name}"), &master, value);
    }
    metrics
        .gauge_at("master/uptime_secs", &master, |m, now| now.since(m.state.started).as_secs_f64());
    for name in COUNTERS.iter().chain(&MORE_COUNTERS) {
        metrics.counter(&format!("master/{name}"));
    }
    let queued = [("messages", 0), ("dispatches", 1), ("http_requests", 2)];
    for (kind, at) in queued {
        let master = master.clone();
        let value = move || master.queued()[at] as f64;
        metrics.gauge_fn(&format!("master/event_queue_{kind}"), value);
    }
    operations(cx, &master);
    resources(cx, &master);
    revocable(cx, &master);
}

fn slaves(master: &Master, which: fn(&crate::state::Slave) -> bool) -> f64 {
    master.state.slaves.iter().filter(|slave| which(slave)).count() as f64
}

fn frameworks(master: &Master, which: fn(&crate::state::Framework) -> bool) -> f64 {
    master.state.frameworks.iter().filter(|framework| which(framework)).count() as f64
}

fn tasks(master: &Master, state: TaskState) -> f64 {
    let active = master.state.frameworks.iter().flat_map(|f| f.tasks.active().values());
    active.filter(|task| task.state() == state).count() as f64
}

fn operations(cx: &Ctx<Master>, master: &Handle<Master>) {
    let metrics = cx.node().metrics();
    for fate in FATES {
        metrics.counter(&format!("master/operations/{fate}"));
        for kind in OPERATIONS {
            metrics.counter(&format!("master/operations/{kind}/{fate}"));
        }
    }
    let gauges: [Gauge; 3] = [
        ("pending", |m| in_flight(m, OperationState::OperationPending)),
        ("recovering", |m| in_flight(m, OperationState::OperationRecovering)),
        ("unreachable", |m| in_flight(m, OperationState::OperationUnreachable)),
    ];
    for (name, value) in gauges {
        metrics.gauge(&format!("master/operations/{name}"), master, value);
    }
    let pending: [Gauge; 8] = [
        ("create", |m| pending_of(m, "CREATE")),
        ("create_disk", |m| pending_of(m, "CREATE_DISK")),
        ("destroy", |m| pending_of(m, "DESTROY")),
        ("destroy_disk", |m| pending_of(m, "DESTROY_DISK")),
        ("grow_volume", |m| pending_of(m, "GROW_VOLUME")),
        ("reserve", |m| pending_of(m, "RESERVE")),
        ("shrink_volume", |m| pending_of(m, "SHRINK_VOLUME")),
        ("unreserve", |m| pending_of(m, "UNRESERVE")),
    ];
    for (kind, value) in pending {
        metrics.gauge(&format!("master/operations/{kind}/pending"), master, value);
        // Operations of slaves that are away leave the books with the slave.
        for state in ["recovering", "unreachable"] {
            metrics.gauge(&format!("master/operations/{kind}/{state}"), master, |_| 0.0);
        }
    }
}

fn in_flight(master: &Master, state: OperationState) -> f64 {
    master.state.operations.iter().filter(|entry| entry.state() == state).count() as f64
}

fn pending_of(master: &Master, kind: &str) -> f64 {
    let pending = master.state.operations.iter().filter(|entry| {
        let of_kind = entry.wire.info.r#type().as_str_name() == kind;
        of_kind && entry.state() == OperationState::OperationPending
    });
    pending.count() as f64
}

type Amount = fn(&Resources) -> f64;

fn total(master: &Master, part: fn(&Resources) -> Resources, of: Amount) -> f64 {
    master.state.slaves.iter().map(|slave| of(&part(&slave.total))).sum()
}

fn used(master: &Master, part: fn(&Resources) -> Resources, of: Amount) -> f64 {
    let by_framework = master.state.frameworks.iter().map(|framework| {
        let held: Resources = framework.used().into_values().sum();
        of(&part(&held))
    });
    by_framework.sum()
}

fn share(master: &Master, part: fn(&Resources) -> Resources, of: Amount) -> f64 {
    let total = total(master, part, of);
    if total > 0.0 { used(master, part, of) / total } else { 0.0 }
}

fn resources(cx: &Ctx<Master>, master: &Handle<Master>) {
    const FIRM: fn(&Resources) -> Resources = Resources::non_revocable;
    let gauges: [Gauge; 12] = [
        ("cpus_total", |m| total(m, FIRM, Resources::cpus)),
        ("cpus_used", |m| used(m, FIRM, Resources::cpus)),
        ("cpus_percent", |m| share(m, FIRM, Resources::cpus)),
        ("mem_total", |m| total(m, FIRM, Resources::mem)),
        ("mem_used", |m| used(m, FIRM, Resources::mem)),
        ("mem_percent", |m| share(m, FIRM, Resources::mem)),
        ("disk_total", |m| total(m, FIRM, Resources::disk)),
        ("disk_used", |m| used(m, FIRM, Resources::disk)),
        ("disk_percent", |m| share(m, FIRM, Resources::disk)),
        ("gpus_total", |m| total(m, FIRM, Resources::gpus)),
        ("gpus_used", |m| used(m, FIRM, Resources::gpus)),
        ("gpus_percent", |m| share(m, FIRM, Resources::gpus)),
    ];
    for (name, value) in gauges {
        cx.node().metrics().gauge(&format!("master/{name}"), master, value);
    }
}

fn revocable(cx: &Ctx<Master>, master: &Handle<Master>) {
    const LOOSE: fn(&Resources) -> Resources = Resources::revocable;
    let gauges: [Gauge; 12] = [
        ("cpus_revocable_total", |m| total(m, LOOSE, Resources::cpus)),
        ("cpus_revocable_used", |m| used(m, LOOSE, Resources::cpus)),
        ("cpus_revocable_percent", |m| share(m, LOOSE, Resources::cpus)),
        ("mem_revocable_total", |m| total(m, LOOSE, Resources::mem)),
        ("mem_revocable_used", |m| used(m, LOOSE, Resources::mem)),
        ("mem_revocable_percent", |m| share(m, LOOSE, Resources::mem)),
        ("disk_revocable_total", |m| total(m, LOOSE, Resources::disk)),
        ("disk_revocable_used", |m| used(m, LOOSE, Resources::disk)),
        ("disk_revocable_percent", |m| share(m, LOOSE, Resources::disk)),
        ("gpus_revocable_total", |m| total(m, LOOSE, Resources::gpus)),
        ("gpus_revocable_used", |m| used(m, LOOSE, Resources::gpus)),
        ("gpus_revocable_percent", |m| share(m, LOOSE, Resources::gpus)),
    ];
    for (name, value) in gauges {
        cx.node().metrics().gauge(&format!("master/{name}"), master, value);
    }
}
