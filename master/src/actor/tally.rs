//! Counters, each found by its name once: a message may count a dozen times.

use std::borrow::Cow;

use indexmap::IndexMap;
use libprocess::metrics::{Counter, Metrics};
use rustc_hash::FxBuildHasher;

/// Counters whose names begin alike.
#[derive(Default)]
pub(crate) struct Tally {
    prefix: String,
    known: IndexMap<Cow<'static, str>, Counter, FxBuildHasher>,
}

impl Tally {
    /// Counters under this prefix, which is put before each name as it is.
    pub(super) fn under(prefix: String) -> Self {
        Self { prefix, known: IndexMap::default() }
    }

    /// Counts one more.
    #[allow(clippy::ptr_arg, reason = "a new name is kept, without a copy when it is static")]
    pub(super) fn count(&mut self, name: &Cow<'static, str>, metrics: &Metrics) {
        let counter = match self.known.get(name) {
            Some(counter) => counter,
            None => {
                let counter = metrics.counter(&format!("{}{name}", self.prefix));
                self.known.entry(name.clone()).or_insert(counter)
            }
        };
        counter.increment();
    }

    /// They are no metrics any more.
    pub(super) fn forget(&self, metrics: &Metrics) {
        for name in self.known.keys() {
            metrics.remove(&format!("{}{name}", self.prefix));
        }
    }
}
