//! The latest values of one metric, stamped with the node's time.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::series::{CAPACITY, Statistics, TimeSeries};
use crate::Time;

type Now = Box<dyn Fn() -> Time + Send + Sync>;

/// The node's time, once the node has started; the epoch before.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<OnceLock<Now>>);

impl Clock {
    pub(super) fn set(&self, now: impl Fn() -> Time + Send + Sync + 'static) {
        self.0.get_or_init(|| Box::new(now));
    }

    pub(super) fn now(&self) -> Time {
        self.0.get().map_or(Time::EPOCH, |now| now())
    }
}

/// Values within a window.
pub(super) struct History {
    clock: Clock,
    series: Mutex<TimeSeries>,
}

impl History {
    pub(super) fn new(clock: Clock, window: Duration) -> Self {
        Self { clock, series: Mutex::new(TimeSeries::new(window, CAPACITY)) }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn push(&self, value: f64) {
        let now = self.clock.now();
        self.series.lock().unwrap_or_else(PoisonError::into_inner).push(now, value);
    }

    pub(super) fn statistics(&self) -> Option<Statistics> {
        let now = self.clock.now();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.forget(now);
        series.statistics()
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("History")
    }
}
