//! Metrics. Those whose names depend on roles and frameworks are set at the end of each periodic run
//! and after changes of roles; between, they stay as they were.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Handle;
use libprocess::metrics::{Metrics, PushGauge, Timer, Unit};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::AllocatorProcess;
use crate::amounts::Quantities;
use crate::config::Config;
use crate::hierarchy::Hierarchy;

/// How far statistics of timers look back.
const WINDOW: Duration = Duration::from_secs(3600);

/// Figures under names that come and go, and timers.
pub(super) struct Figures {
    /// They are to be set at the end of the next run.
    pub(super) due: bool,
    latency: Timer,
    runs: Timer,
    gauges: BTreeMap<String, PushGauge>,
}

impl Figures {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let timer = |name: &str| metrics.timer_over(name, Unit::Milliseconds, WINDOW);
        Self {
            due: false,
            latency: timer("allocator/mesos/allocation_run_latency"),
            runs: timer("allocator/mesos/allocation_run"),
            gauges: BTreeMap::new(),
        }
    }

    /// A run waited, and then took, so long.
    pub(super) fn ran(&self, waited: Duration, took: Duration) {
        self.latency.record(waited);
        self.runs.record(took);
    }

    /// Sets the figures if that is due.
    pub(super) fn publish(&mut self, metrics: &Metrics, hierarchy: &Hierarchy, config: &Config) {
        if !std::mem::take(&mut self.due) {
            return;
        }
        let mut values = BTreeMap::new();
        by_role(hierarchy, &mut values);
        if config.framework_metrics {
            by_framework(hierarchy, &mut values);
        }
        self.gauges.retain(|name, _| {
            let stays = values.contains_key(name);
            if !stays {
                metrics.remove(name);
            }
            stays
        });
        for (name, value) in values {
            match self.gauges.get(&name) {
                Some(gauge) => gauge.set(value),
                None => {
                    let gauge = metrics.push_gauge(&name);
                    gauge.set(value);
                    self.gauges.insert(name, gauge);
                }
            }
        }
    }
}

fn by_role(hierarchy: &Hierarchy, values: &mut BTreeMap<String, f64>) {
    let names = hierarchy.scalar_names();
    for (role, of) in hierarchy.roles() {
        let mut put = |name: String, value: f64| {
            values.insert(name, value);
        };
        if let Some(share) = of.share {
            put(format!("allocator/mesos/roles/{role}/shares/dominant"), share);
        }
        if !role.is_empty() {
            let active = of.refusals as f64;
            put(format!("allocator/mesos/offer_filters/roles/{role}/active"), active);
        }
        let mut all = |kind: &str, amounts: &Quantities| {
            for (resource, amount) in amounts {
                let place =
                    format!("allocator/mesos/quota/roles/{role}/resources/{resource}/{kind}");
                put(place, *amount as f64 / 1000.0);
            }
        };
        let with_zeros = |amounts: &Quantities| {
            let amount = |name: &String| amounts.get(name).copied().unwrap_or(0);
            names.iter().map(|name| (name.clone(), amount(name))).collect::<Quantities>()
        };
        if role.is_empty() || of.has_quota {
            all("consumed", &with_zeros(&of.consumed));
        } else {
            all("consumed", &of.consumed);
        }
        if of.has_quota {
            all("guarantee", &of.guarantees);
            all("limit", &of.limits);
            all("offered_or_allocated", &with_zeros(&of.offered_or_allocated));
        }
    }
}

fn by_framework(hierarchy: &Hierarchy, values: &mut BTreeMap<String, f64>) {
    for (name, id, role, suppressed) in hierarchy.suppression() {
        let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
        let place = format!("master/frameworks/{name}/{id}/roles/{role}/suppressed");
        values.insert(place, f64::from(u8::from(suppressed)));
    }
}

type Value = fn(&AllocatorProcess) -> f64;

/// Figures that are always there.
pub(super) fn register(metrics: &Metrics, handle: &Handle<AllocatorProcess>) {
    metrics.gauge("allocator/mesos/allocation_runs", handle, |a| a.hierarchy.cycles() as f64);
    let resources: [(&str, Value, Value); 3] = [
        ("cpus", |a| a.hierarchy.scalar("cpus").0, |a| a.hierarchy.scalar("cpus").1),
        ("mem", |a| a.hierarchy.scalar("mem").0, |a| a.hierarchy.scalar("mem").1),
        ("disk", |a| a.hierarchy.scalar("disk").0, |a| a.hierarchy.scalar("disk").1),
    ];
    for (resource, total, allocated) in resources {
        let prefix = format!("allocator/mesos/resources/{resource}");
        metrics.gauge(&format!("{prefix}/total"), handle, total);
        metrics.gauge(&format!("{prefix}/offered_or_allocated"), handle, allocated);
    }
}
