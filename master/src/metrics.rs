//! The master's gauges.

use libprocess::{Ctx, Handle};
use protos::mesos::TaskState;
use protos::resources::Resources;

use crate::Master;
use crate::http::slave_usage;

/// A gauge's name and how its value is read.
type Gauge = (&'static str, fn(&Master) -> f64);

pub(crate) fn register(cx: &Ctx<Master>) {
    let master = cx.handle();
    let gauges: [Gauge; 15] = [
        ("master/elected", |_| 1.0),
        ("master/slaves_connected", |m| slaves(m, |s| s.connected)),
        ("master/slaves_disconnected", |m| slaves(m, |s| !s.connected)),
        ("master/slaves_active", |m| slaves(m, |s| s.active)),
        ("master/slaves_inactive", |m| slaves(m, |s| !s.active)),
        ("master/slaves_unreachable", |m| m.state.slaves.unreachable_count() as f64),
        ("master/frameworks_connected", |m| frameworks(m, |f| f.connected)),
        ("master/frameworks_disconnected", |m| frameworks(m, |f| !f.connected)),
        ("master/frameworks_active", |m| frameworks(m, |f| f.active)),
        ("master/frameworks_inactive", |m| frameworks(m, |f| !f.active)),
        ("master/outstanding_offers", |m| m.state.offers.len() as f64),
        ("master/tasks_staging", |m| tasks(m, TaskState::TaskStaging)),
        ("master/tasks_starting", |m| tasks(m, TaskState::TaskStarting)),
        ("master/tasks_running", |m| tasks(m, TaskState::TaskRunning)),
        ("master/tasks_killing", |m| tasks(m, TaskState::TaskKilling)),
    ];
    let metrics = cx.node().metrics();
    for (name, value) in gauges {
        metrics.gauge(name, &master, value);
    }
    metrics
        .gauge_at("master/uptime_secs", &master, |m, now| now.since(m.state.started).as_secs_f64());
    resources(cx, &master);
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

fn total(master: &Master, of: fn(&Resources) -> f64) -> f64 {
    master.state.slaves.iter().map(|slave| of(&slave.total)).sum()
}

fn used(master: &Master, of: fn(&Resources) -> f64) -> f64 {
    master.state.slaves.iter().map(|slave| of(&slave_usage(&master.state, slave).0)).sum()
}

fn share(master: &Master, of: fn(&Resources) -> f64) -> f64 {
    let total = total(master, of);
    if total > 0.0 { used(master, of) / total } else { 0.0 }
}

fn resources(cx: &Ctx<Master>, master: &Handle<Master>) {
    let gauges: [Gauge; 12] = [
        ("master/cpus_total", |m| total(m, Resources::cpus)),
        ("master/cpus_used", |m| used(m, Resources::cpus)),
        ("master/cpus_percent", |m| share(m, Resources::cpus)),
        ("master/mem_total", |m| total(m, Resources::mem)),
        ("master/mem_used", |m| used(m, Resources::mem)),
        ("master/mem_percent", |m| share(m, Resources::mem)),
        ("master/disk_total", |m| total(m, Resources::disk)),
        ("master/disk_used", |m| used(m, Resources::disk)),
        ("master/disk_percent", |m| share(m, Resources::disk)),
        ("master/gpus_total", |m| total(m, Resources::gpus)),
        ("master/gpus_used", |m| used(m, Resources::gpus)),
        ("master/gpus_percent", |m| share(m, Resources::gpus)),
    ];
    for (name, value) in gauges {
        cx.node().metrics().gauge(name, master, value);
    }
}
