//! Counters and gauges of a node.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, join_all};

use crate::{Handle, Process};

/// A value that only grows, until it is reset.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `by`.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

type Pull = Arc<dyn Fn() -> BoxFuture<'static, Option<f64>> + Send + Sync>;

#[derive(Clone)]
enum Metric {
    Counter(Counter),
    Pull(Pull),
}

/// The metrics of one node by name.
#[derive(Default)]
pub struct Metrics {
    by_name: Mutex<BTreeMap<String, Metric>>,
}

impl Metrics {
    /// The counter of that name, made on first use.
    pub fn counter(&self, name: &str) -> Counter {
        let mut metrics = self.lock();
        if let Some(Metric::Counter(counter)) = metrics.get(name) {
            return counter.clone();
        }
        let counter = Counter::default();
        metrics.insert(name.to_owned(), Metric::Counter(counter.clone()));
        counter
    }

    /// A gauge that asks a process for its value at each snapshot; absent once the process is gone.
    pub fn gauge<P: Process>(&self, name: &str, of: &Handle<P>, value: fn(&P) -> f64) {
        let handle = of.clone();
        let pull: Pull = Arc::new(move || {
            let asked = handle.ask(move |process, _| value(process));
            Box::pin(async move { asked.await.ok() })
        });
        self.lock().insert(name.to_owned(), Metric::Pull(pull));
    }

    /// As [`Metrics::gauge`], with the time of the snapshot.
    pub fn gauge_at<P: Process>(
        &self,
        name: &str,
        of: &Handle<P>,
        value: fn(&P, crate::Time) -> f64,
    ) {
        let handle = of.clone();
        let pull: Pull = Arc::new(move || {
            let asked = handle.ask(move |process, cx| value(process, cx.now()));
            Box::pin(async move { asked.await.ok() })
        });
        self.lock().insert(name.to_owned(), Metric::Pull(pull));
    }

    /// A gauge whose value a closure makes on the spot.
    pub fn gauge_fn(&self, name: &str, value: impl Fn() -> f64 + Send + Sync + 'static) {
        let pull: Pull = Arc::new(move || {
            let value = value();
            Box::pin(async move { Some(value) })
        });
        self.lock().insert(name.to_owned(), Metric::Pull(pull));
    }

    /// Forgets a metric.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// All values by name; gauges that have none are absent.
    pub fn snapshot(&self) -> impl Future<Output = BTreeMap<String, f64>> + Send + use<> {
        let metrics = self.lock().clone();
        let values = metrics.into_iter().map(|(name, metric)| async move {
            let value = match metric {
                Metric::Counter(counter) => Some(counter.get() as f64),
                Metric::Pull(pull) => pull().await,
            };
            Some((name, value?))
        });
        let values: Vec<_> = values.collect();
        async move { join_all(values).await.into_iter().flatten().collect() }
    }

    /// No panic can happen while the map is half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Metric>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
