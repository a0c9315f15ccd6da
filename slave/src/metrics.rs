//! The slave's gauges and counters.

use libprocess::Ctx;
use protos::mesos::TaskState;
use protos::resources::Resources;

use crate::Slave;
use crate::registration::Standing;
use crate::state::ExecutorState;

/// A gauge's name and how its value is read.
type Gauge = (&'static str, fn(&Slave) -> f64);

const COUNTERS: [&str; 13] = [
    "slave/container_launch_errors",
    "slave/executors_preempted",
    "slave/executors_terminated",
    "slave/invalid_framework_messages",
    "slave/invalid_status_updates",
    "slave/recovery_errors",
    "slave/tasks_failed",
    "slave/tasks_finished",
    "slave/tasks_gone",
    "slave/tasks_killed",
    "slave/tasks_lost",
    "slave/valid_framework_messages",
    "slave/valid_status_updates",
];

const REVOCABLE: [Gauge; 12] = [
    ("slave/cpus_revocable_total", |s| revocable(s).cpus()),
    ("slave/cpus_revocable_used", |s| used(s).revocable().cpus()),
    ("slave/cpus_revocable_percent", |s| revocable_share(s, Resources::cpus)),
    ("slave/mem_revocable_total", |s| revocable(s).mem()),
    ("slave/mem_revocable_used", |s| used(s).revocable().mem()),
    ("slave/mem_revocable_percent", |s| revocable_share(s, Resources::mem)),
    ("slave/disk_revocable_total", |s| revocable(s).disk()),
    ("slave/disk_revocable_used", |s| used(s).revocable().disk()),
    ("slave/disk_revocable_percent", |s| revocable_share(s, Resources::disk)),
    ("slave/gpus_revocable_total", |s| revocable(s).gpus()),
    ("slave/gpus_revocable_used", |s| used(s).revocable().gpus()),
    ("slave/gpus_revocable_percent", |s| revocable_share(s, Resources::gpus)),
];

pub(crate) fn register(cx: &Ctx<Slave>) {
    let slave = cx.handle();
    let gauges: [Gauge; 21] = [
        ("slave/registered", |s| f64::from(s.registration.standing == Standing::Running)),
        ("slave/frameworks_active", |s| s.state.frameworks.len() as f64),
        ("slave/executors_registering", |s| executors(s, ExecutorState::Registering)),
        ("slave/executors_running", |s| executors(s, ExecutorState::Running)),
        ("slave/executors_terminating", |s| executors(s, ExecutorState::Terminating)),
        ("slave/tasks_staging", |s| tasks(s, TaskState::TaskStaging)),
        ("slave/tasks_starting", |s| tasks(s, TaskState::TaskStarting)),
        ("slave/tasks_running", |s| tasks(s, TaskState::TaskRunning)),
        ("slave/tasks_killing", |s| tasks(s, TaskState::TaskKilling)),
        ("slave/cpus_total", |s| s.state.config.resources.cpus()),
        ("slave/cpus_used", |s| used(s).cpus()),
        ("slave/mem_total", |s| s.state.config.resources.mem()),
        ("slave/mem_used", |s| used(s).mem()),
        ("slave/disk_total", |s| s.state.config.resources.disk()),
        ("slave/disk_used", |s| used(s).disk()),
        ("slave/gpus_total", |s| s.state.config.resources.gpus()),
        ("slave/gpus_used", |s| used(s).gpus()),
        ("slave/cpus_percent", |s| share(s, Resources::cpus)),
        ("slave/mem_percent", |s| share(s, Resources::mem)),
        ("slave/disk_percent", |s| share(s, Resources::disk)),
        ("slave/gpus_percent", |s| share(s, Resources::gpus)),
    ];
    for (name, value) in gauges {
        cx.node().metrics().gauge(name, &slave, value);
    }
    let uptime = |s: &Slave, now: libprocess::Time| now.since(s.state.started).as_secs_f64();
    cx.node().metrics().gauge_at("slave/uptime_secs", &slave, uptime);
    // They show from the start, not from their first event.
    COUNTERS.iter().for_each(|name| drop(cx.node().metrics().counter(name)));
    for (name, value) in REVOCABLE {
        cx.node().metrics().gauge(name, &slave, value);
    }
}

/// How much of a kind of resource is in use, from 0 to 1.
fn share(slave: &Slave, amount: fn(&Resources) -> f64) -> f64 {
    let total = amount(&slave.state.config.resources);
    if total > 0.0 { amount(&used(slave)) / total } else { 0.0 }
}

fn revocable(slave: &Slave) -> Resources {
    slave.oversubscribed.clone().unwrap_or_default()
}

/// How much of a kind of revocable resource is in use, from 0 to 1.
fn revocable_share(slave: &Slave, amount: fn(&Resources) -> f64) -> f64 {
    let total = amount(&revocable(slave));
    if total > 0.0 { amount(&used(slave).revocable()) / total } else { 0.0 }
}

fn executors(slave: &Slave, state: ExecutorState) -> f64 {
    let all = slave.state.frameworks.values().flat_map(|framework| framework.executors.values());
    all.filter(|executor| executor.state == state).count() as f64
}

fn tasks(slave: &Slave, state: TaskState) -> f64 {
    let all = slave.state.frameworks.values().flat_map(|framework| framework.executors.values());
    let launched = all.clone().flat_map(|executor| executor.launched.values());
    let launched = launched.filter(|task| task.state() == state).count();
    let queued: usize = match state {
        TaskState::TaskStaging => all.map(|executor| executor.queued.len()).sum(),
        _ => 0,
    };
    (launched + queued) as f64
}

/// What executors and their tasks hold.
pub(crate) fn used(slave: &Slave) -> Resources {
    let all = slave.state.frameworks.values().flat_map(|framework| framework.executors.values());
    let live = all.filter(|executor| executor.state != ExecutorState::Terminated);
    live.map(|executor| executor.resources()).sum()
}
