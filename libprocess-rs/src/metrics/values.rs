//! Values that whoever knows them sets: reading them takes no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::history::History;
use super::series::Statistics;

#[derive(Debug, Default)]
struct Cell {
    /// A count, or the bits of a float.
    bits: AtomicU64,
    history: Option<Box<History>>,
}

impl Cell {
    fn with(history: Option<History>) -> Arc<Self> {
        Arc::new(Self { bits: AtomicU64::new(0), history: history.map(Box::new) })
    }

    fn remember(&self, value: f64) {
        if let Some(history) = &self.history {
            history.push(value);
        }
    }

    fn statistics(&self) -> Option<Statistics> {
        self.history.as_ref()?.statistics()
    }
}

/// A value that only grows, until it is reset. Clones are the same counter.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<Cell>);

impl Counter {
    pub(super) fn new(history: Option<History>) -> Self {
        Self(Cell::with(history))
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `by`.
    pub fn add(&self, by: u64) {
        let before = self.0.bits.fetch_add(by, Ordering::Relaxed);
        self.0.remember(before.wrapping_add(by) as f64);
    }

    /// Starts again from zero.
    pub fn reset(&self) {
        self.0.bits.store(0, Ordering::Relaxed);
        self.0.remember(0.0);
    }

    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.bits.load(Ordering::Relaxed)
    }

    pub(super) fn statistics(&self) -> Option<Statistics> {
        self.0.statistics()
    }
}

/// A gauge that is told its value: zero at first. Clones are the same gauge.
#[derive(Debug, Clone, Default)]
pub struct PushGauge(Arc<Cell>);

impl PushGauge {
    pub(super) fn new(history: Option<History>) -> Self {
        Self(Cell::with(history))
    }

    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.bits.store(value.to_bits(), Ordering::Relaxed);
        self.0.remember(value);
    }

    /// Adds `by`, which may be negative.
    pub fn add(&self, by: f64) {
        let mut value = self.get();
        let sum = |bits| {
            value = f64::from_bits(bits) + by;
            Some(value.to_bits())
        };
        // The closure never declines.
        let _ = self.0.bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
        self.0.remember(value);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1.0);
    }

    /// Takes one away.
    pub fn decrement(&self) {
        self.add(-1.0);
    }

    /// The present value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.bits.load(Ordering::Relaxed))
    }

    pub(super) fn statistics(&self) -> Option<Statistics> {
        self.0.statistics()
    }
}
