//! How long things take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::history::History;
use super::series::Statistics;
use crate::Time;

/// The unit of a timer's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `_ns`
    Nanoseconds,
    /// `_us`
    Microseconds,
    /// `_ms`
    Milliseconds,
    /// `_secs`
    Seconds,
    /// `_mins`
    Minutes,
    /// `_hrs`
    Hours,
    /// `_days`
    Days,
    /// `_weeks`
    Weeks,
}

impl Unit {
    /// What names of timers end in, after an underscore.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds => "secs",
            Self::Minutes => "mins",
            Self::Hours => "hrs",
            Self::Days => "days",
            Self::Weeks => "weeks",
        }
    }

    fn nanos(self) -> f64 {
        match self {
            Self::Nanoseconds => 1.0,
            Self::Microseconds => 1e3,
            Self::Milliseconds => 1e6,
            Self::Seconds => 1e9,
            Self::Minutes => 60e9,
            Self::Hours => 3600e9,
            Self::Days => 86_400e9,
            Self::Weeks => 604_800e9,
        }
    }

    fn of(self, duration: Duration) -> f64 {
        duration.as_nanos() as f64 / self.nanos()
    }
}

/// Stands for "nothing measured yet": the bits of one of the values that are no number.
const NONE: u64 = u64::MAX;

#[derive(Debug)]
struct Inner {
    unit: Unit,
    last: AtomicU64,
    history: History,
}

/// The duration that was measured last, and statistics over those before it. It has no value until
/// something was measured. Clones are the same timer; several measurements may overlap.
#[derive(Debug, Clone)]
pub struct Timer(Arc<Inner>);

impl Timer {
    pub(super) fn new(unit: Unit, history: History) -> Self {
        Self(Arc::new(Inner { unit, last: AtomicU64::new(NONE), history }))
    }

    /// Starts to measure, by the node's time.
    pub fn start(&self) -> Stopwatch {
        Stopwatch { timer: self.clone(), since: self.0.history.clock().now() }
    }

    /// Measures how long `future` takes from now on; not when it is dropped before its end.
    pub fn time<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let watch = self.start();
        async move {
            let output = future.await;
            watch.stop();
            output
        }
    }

    /// Takes a duration that was measured elsewhere.
    pub fn record(&self, duration: Duration) {
        let value = self.0.unit.of(duration);
        self.0.last.store(value.to_bits(), Ordering::Relaxed);
        self.0.history.push(value);
    }

    /// The last duration, in the timer's unit.
    pub fn last(&self) -> Option<f64> {
        let bits = self.0.last.load(Ordering::Relaxed);
        (bits != NONE).then_some(f64::from_bits(bits))
    }

    pub(super) fn statistics(&self) -> Option<Statistics> {
        self.0.history.statistics()
    }
}

/// One measurement under way; dropping it forgets it.
#[must_use = "nothing is measured until it is stopped"]
#[derive(Debug)]
pub struct Stopwatch {
    timer: Timer,
    since: Time,
}

impl Stopwatch {
    /// Ends the measurement and tells what it gave.
    pub fn stop(self) -> Duration {
        let took = self.timer.0.history.clock().now() - self.since;
        self.timer.record(took);
        took
    }
}
