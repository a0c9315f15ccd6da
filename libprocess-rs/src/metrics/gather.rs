//! Takes all values: what is stored at once, what must be asked for as it comes.

use std::pin::pin;

use futures::StreamExt;
use futures::future::select;
use futures::stream::FuturesUnordered;

use super::series::Statistics;
use super::{Metric, Metrics, Pull};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// What a snapshot is written as. Called for each metric in the order of names.
pub(crate) trait Form {
    type Output;
    /// Tells how many metrics will follow.
    fn expect(&mut self, metrics: usize) {
        let _ = metrics;
    }
    /// A value that is known.
    fn value(&mut self, name: &str, kind: Kind, value: f64);
    /// What a metric's window says; follows its value.
    fn statistics(&mut self, name: &str, statistics: &Statistics);
    /// Leaves a place for a gauge that was asked for its value.
    fn place(&mut self, name: &str);
    /// Fills the places in order and ends the text.
    fn finish(self, places: Vec<Option<f64>>) -> Self::Output;
}

impl Metrics {
    /// Writes all metrics as `form`. Gauges that have no value when `deadline` is over are left
    /// out, and they alone.
    pub(crate) fn gather<F: Form + Send, D: Future<Output = ()> + Send>(
        &self,
        mut form: F,
        deadline: D,
    ) -> impl Future<Output = F::Output> + Send + use<F, D> {
        let pulls = self.scan(&mut form);
        let mut values = vec![None; pulls.len()];
        async move {
            let asked = pulls.iter().enumerate().map(|(place, pull)| {
                let value = pull();
                async move { (place, value.await) }
            });
            let mut asked: FuturesUnordered<_> = asked.collect();
            let all = async {
                while let Some((place, value)) = asked.next().await {
                    values[place] = value;
                }
            };
            select(pin!(all), pin!(deadline)).await;
            form.finish(values)
        }
    }

    /// Writes what is stored; the gauges that must be asked are returned in the order of their
    /// places, for they must not be called under the lock.
    fn scan(&self, form: &mut impl Form) -> Vec<Pull> {
        let mut pulls = Vec::new();
        let metrics = self.lock();
        form.expect(metrics.len());
        for (name, metric) in metrics.iter() {
            let statistics = match metric {
                Metric::Counter(counter) => {
                    form.value(name, Kind::Counter, counter.get() as f64);
                    counter.statistics()
                }
                Metric::Pushed(gauge) => {
                    form.value(name, Kind::Gauge, gauge.get());
                    gauge.statistics()
                }
                Metric::Timer(timer) => {
                    if let Some(last) = timer.last() {
                        form.value(name, Kind::Gauge, last);
                    }
                    timer.statistics()
                }
                Metric::Pull(pull) => {
                    form.place(name);
                    pulls.push(pull.clone());
                    None
                }
            };
            if let Some(statistics) = statistics {
                form.statistics(name, &statistics);
            }
        }
        pulls
    }
}
