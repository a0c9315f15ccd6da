//! Metrics. Those whose names depend on roles and frameworks are set at the end of each periodic run
//! and after changes of roles; between, they stay as they were.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libprocess::metrics::Metrics;
use libprocess::{Handle, Time};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::AllocatorProcess;
use crate::amounts::Quantities;
use crate::config::Config;
use crate::hierarchy::Hierarchy;

/// How far statistics of a timer look back.
const WINDOW: Duration = Duration::from_secs(3600);
/// The most samples of a timer.
const SAMPLES: usize = 1000;

/// Durations in milliseconds within the window.
#[derive(Debug, Default)]
struct Timer {
    samples: VecDeque<(Time, f64)>,
}

impl Timer {
    fn add(&mut self, took: Duration, now: Time) {
        if self.samples.len() >= SAMPLES {
            // Every other one of the older half goes.
            let mut at = 0;
            self.samples.retain(|_| {
                at += 1;
                at > SAMPLES / 2 || at % 2 == 0
            });
        }
        self.samples.push_back((now, took.as_secs_f64() * 1e3));
        while self.samples.front().is_some_and(|(at, _)| now.since(*at) > WINDOW) {
            self.samples.pop_front();
        }
    }

    fn put(&self, name: &str, values: &mut BTreeMap<String, f64>) {
        let Some((_, last)) = self.samples.back() else { return };
        let mut sorted: Vec<f64> = self.samples.iter().map(|(_, ms)| *ms).collect();
        sorted.sort_by(f64::total_cmp);
        values.insert(name.to_owned(), *last);
        values.insert(format!("{name}/count"), sorted.len() as f64);
        for (suffix, part) in [
            ("min", 0.0),
            ("p50", 0.5),
            ("p90", 0.9),
            ("p95", 0.95),
            ("p99", 0.99),
            ("p999", 0.999),
            ("p9999", 0.9999),
            ("max", 1.0),
        ] {
            values.insert(format!("{name}/{suffix}"), percentile(&sorted, part));
        }
    }
}

/// Between the two nearest samples, in proportion.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// Figures under names that come and go.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// They are to be set at the end of the next run.
    pub(super) due: bool,
    latency: Timer,
    runs: Timer,
    cells: BTreeMap<String, Arc<AtomicU64>>,
}

impl Figures {
    /// A run waited, and then took, so long.
    pub(super) fn ran(&mut self, waited: Duration, took: Duration, now: Time) {
        self.latency.add(waited, now);
        self.runs.add(took, now);
    }

    /// Sets the figures if that is due.
    pub(super) fn publish(&mut self, metrics: &Metrics, hierarchy: &Hierarchy, config: &Config) {
        if !std::mem::take(&mut self.due) {
            return;
        }
        let mut values = BTreeMap::new();
        self.latency.put("allocator/mesos/allocation_run_latency_ms", &mut values);
        self.runs.put("allocator/mesos/allocation_run_ms", &mut values);
        by_role(hierarchy, &mut values);
        if config.framework_metrics {
            by_framework(hierarchy, &mut values);
        }
        self.cells.retain(|name, _| {
            let stays = values.contains_key(name);
            if !stays {
                metrics.remove(name);
            }
            stays
        });
        for (name, value) in values {
            match self.cells.get(&name) {
                Some(cell) => cell.store(value.to_bits(), Ordering::Relaxed),
                None => {
                    let cell = Arc::new(AtomicU64::new(value.to_bits()));
                    let shown = cell.clone();
                    metrics.gauge_fn(&name, move || f64::from_bits(shown.load(Ordering::Relaxed)));
                    self.cells.insert(name, cell);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_percentiles_and_count_are_of_the_window() {
        let mut timer = Timer::default();
        for second in 0..5000_u64 {
            let now = Time::from_nanos(second * 1_000_000_000);
            timer.add(Duration::from_millis(second % 100), now);
        }
        let mut values = BTreeMap::new();
        timer.put("t", &mut values);
        assert_eq!((values["t"], values["t/max"], values["t/min"]), (99.0, 99.0, 0.0));
        assert!(values["t/count"] <= SAMPLES as f64 && (40.0..60.0).contains(&values["t/p50"]));
        let mut one = Timer::default();
        one.add(Duration::from_millis(7), Time::EPOCH);
        let mut values = BTreeMap::new();
        one.put("t", &mut values);
        assert_eq!((values["t/p9999"], values["t/count"]), (7.0, 1.0));
    }
}
