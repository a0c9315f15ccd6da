//! What a node counts and measures, served at `/metrics/snapshot` and `/metrics/prometheus`.
//!
//! - a [`Counter`] only grows; a [`PushGauge`] is set by whoever knows the value; a gauge is asked
//!   for its value at each snapshot, from its process, as an event of it; a [`Timer`] tells how long
//!   something took, under a name with its unit.
//! - What has a *window* also keeps its latest values and adds `/count`, `/max`, `/min`, `/p50`,
//!   `/p90`, `/p95`, `/p99`, `/p999`, `/p9999` over them.
//!
//! ```
//! use libprocess::metrics::Metrics;
//!
//! # fn show(metrics: &Metrics) {
//! let served = metrics.counter("greeter/served");
//! served.increment();
//! metrics.push_gauge("greeter/temperature").set(36.6);
//! # }
//! ```

mod forms;
mod gather;
mod history;
mod prometheus;
mod rate;
mod series;
#[cfg(test)]
mod tests;
mod timer;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;

pub(crate) use forms::Json;
pub(crate) use gather::Form;
use history::{Clock, History};
pub(crate) use prometheus::{CONTENT_TYPE, Prometheus};
pub use rate::{BadRate, parse_rate_limit};
pub use series::{CAPACITY, Statistics, TimeSeries, WINDOW};
pub use timer::{Stopwatch, Timer, Unit};
pub use values::{Counter, PushGauge};

use crate::{Handle, Process, Time};

/// Asks for a gauge's value; None when it has none at present.
type Pull = Arc<dyn Fn() -> BoxFuture<'static, Option<f64>> + Send + Sync>;

#[derive(Clone)]
enum Metric {
    Counter(Counter),
    Pushed(PushGauge),
    Timer(Timer),
    Pull(Pull),
}

/// The metrics of one node by name. Names are paths such as `master/uptime_secs`; a metric that is
/// registered under a name in use takes its place.
#[derive(Default)]
pub struct Metrics {
    by_name: Mutex<BTreeMap<String, Metric>>,
    clock: Clock,
}

impl Metrics {
    /// Gives the metrics the node's time, which windows need. Called once, at the node's start.
    pub(crate) fn set_clock(&self, now: impl Fn() -> Time + Send + Sync + 'static) {
        self.clock.set(now);
    }

    /// The counter of that name, made on first use.
    pub fn counter(&self, name: &str) -> Counter {
        self.counter_with(name, || None)
    }

    /// As [`Metrics::counter`], with statistics over the values of the last `window`.
    pub fn counter_over(&self, name: &str, window: Duration) -> Counter {
        self.counter_with(name, || Some(History::new(self.clock.clone(), window)))
    }

    fn counter_with(&self, name: &str, history: impl FnOnce() -> Option<History>) -> Counter {
        let mut metrics = self.lock();
        if let Some(Metric::Counter(counter)) = metrics.get(name) {
            return counter.clone();
        }
        let counter = Counter::new(history());
        metrics.insert(name.to_owned(), Metric::Counter(counter.clone()));
        counter
    }

    /// The gauge of that name that is set from outside, made on first use.
    pub fn push_gauge(&self, name: &str) -> PushGauge {
        self.push_gauge_with(name, || None)
    }

    /// As [`Metrics::push_gauge`], with statistics over the values of the last `window`.
    pub fn push_gauge_over(&self, name: &str, window: Duration) -> PushGauge {
        self.push_gauge_with(name, || Some(History::new(self.clock.clone(), window)))
    }

    fn push_gauge_with(&self, name: &str, history: impl FnOnce() -> Option<History>) -> PushGauge {
        let mut metrics = self.lock();
        if let Some(Metric::Pushed(gauge)) = metrics.get(name) {
            return gauge.clone();
        }
        let gauge = PushGauge::new(history());
        metrics.insert(name.to_owned(), Metric::Pushed(gauge.clone()));
        gauge
    }

    /// The timer `<name>_<unit>`, made on first use, with statistics over [`WINDOW`].
    pub fn timer(&self, name: &str, unit: Unit) -> Timer {
        self.timer_over(name, unit, WINDOW)
    }

    /// As [`Metrics::timer`] with a window of one's own.
    pub fn timer_over(&self, name: &str, unit: Unit, window: Duration) -> Timer {
        let name = format!("{name}_{}", unit.suffix());
        let mut metrics = self.lock();
        if let Some(Metric::Timer(timer)) = metrics.get(&name) {
            return timer.clone();
        }
        let timer = Timer::new(unit, History::new(self.clock.clone(), window));
        metrics.insert(name, Metric::Timer(timer.clone()));
        timer
    }

    /// A gauge that asks a process for its value at each snapshot; absent once the process is gone.
    pub fn gauge<P: Process>(&self, name: &str, of: &Handle<P>, value: fn(&P) -> f64) {
        let handle = of.clone();
        self.gauge_later(name, move || {
            let asked = handle.ask(move |process, _| value(process));
            async move { asked.await.ok() }
        });
    }

    /// As [`Metrics::gauge`], with the time of the snapshot.
    pub fn gauge_at<P: Process>(
        &self,
        name: &str,
        of: &Handle<P>,
        value: fn(&P, crate::Time) -> f64,
    ) {
        let handle = of.clone();
        self.gauge_later(name, move || {
            let asked = handle.ask(move |process, cx| value(process, cx.now()));
            async move { asked.await.ok() }
        });
    }

    /// A gauge whose value a closure makes on the spot.
    pub fn gauge_fn(&self, name: &str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        self.gauge_later(name, move || std::future::ready(Some(value())));
    }

    /// A gauge whose value takes time to make; None leaves it out of the snapshot, and so does a
    /// future that is not ready by the snapshot's timeout.
    pub fn gauge_later<F>(&self, name: &str, value: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Option<f64>> + Send + 'static,
    {
        let pull: Pull = Arc::new(move || Box::pin(value()));
        self.lock().insert(name.to_owned(), Metric::Pull(pull));
    }

    /// Forgets a metric, a timer under its name with the unit. Who holds it counts on unseen.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// All values by name; gauges that have none are absent.
    pub fn snapshot(&self) -> impl Future<Output = BTreeMap<String, f64>> + Send + use<> {
        self.gather(forms::Map::default(), std::future::pending())
    }

    /// No panic can happen while the map is half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Metric>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
