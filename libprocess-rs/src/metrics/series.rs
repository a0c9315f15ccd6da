//! Values over time, few enough to keep, and what they say together.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Time;

/// How far back windows reach unless told otherwise: two weeks.
pub const WINDOW: Duration = Duration::from_secs(14 * 86_400);

/// Values that a window holds at most.
pub const CAPACITY: usize = 1000;

/// Values with their times, oldest first. Those older than the window are forgotten; when there are
/// too many, every other one of the older half is, so that recent times keep their detail.
#[derive(Debug, Clone)]
pub struct TimeSeries {
    window: Duration,
    capacity: usize,
    values: VecDeque<(Time, f64)>,
}

impl TimeSeries {
    /// An empty series that reaches back `window` and holds `capacity` values (at least one).
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self { window, capacity: capacity.max(1), values: VecDeque::new() }
    }

    /// Adds a value; times come in order.
    pub fn push(&mut self, at: Time, value: f64) {
        self.values.push_back((at, value));
        self.forget(at);
        if self.values.len() > self.capacity {
            self.thin_out();
        }
    }

    /// Forgets what is older than the window at `now`.
    pub fn forget(&mut self, now: Time) {
        while self.values.front().is_some_and(|(at, _)| now.since(*at) > self.window) {
            self.values.pop_front();
        }
    }

    fn thin_out(&mut self) {
        let half = self.values.len().div_ceil(2);
        let mut place = 0;
        self.values.retain(|_| {
            place += 1;
            place > half || place % 2 == 0
        });
    }

    /// Values held, oldest first.
    pub fn values(&self) -> impl Iterator<Item = (Time, f64)> + '_ {
        self.values.iter().copied()
    }

    /// What the values say together; None without any.
    pub fn statistics(&self) -> Option<Statistics> {
        let mut sorted: Vec<f64> = self.values.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        Statistics::of_sorted(&sorted)
    }
}

/// A summary of values. Percentiles between two values are interpolated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// How many values.
    pub count: usize,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// 90 % lie below.
    pub p90: f64,
    /// 95 % lie below.
    pub p95: f64,
    /// 99 % lie below.
    pub p99: f64,
    /// 99.9 % lie below.
    pub p999: f64,
    /// 99.99 % lie below.
    pub p9999: f64,
}

impl Statistics {
    /// The summary of values in ascending order; None without any.
    pub fn of_sorted(values: &[f64]) -> Option<Self> {
        let (min, max) = (*values.first()?, *values.last()?);
        let at = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let below = place.floor() as usize;
            let low = values.get(below).copied().unwrap_or(max);
            let high = values.get(below + 1).copied().unwrap_or(max);
            low + (high - low) * place.fract()
        };
        Some(Self {
            count: values.len(),
            min,
            max,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
        })
    }

    /// The parts under the names that snapshots give them.
    pub fn named(&self) -> [(&'static str, f64); 9] {
        [
            ("count", self.count as f64),
            ("max", self.max),
            ("min", self.min),
            ("p50", self.p50),
            ("p90", self.p90),
            ("p95", self.p95),
            ("p99", self.p99),
            ("p999", self.p999),
            ("p9999", self.p9999),
        ]
    }
}
