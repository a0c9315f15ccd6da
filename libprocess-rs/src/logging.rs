//! How much is logged, and how to change that while a program runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use slog::{Drain, Level, OwnedKVList, Record};

/// A log's verbosity: 0 logs what the program was started to log, 1 adds `DEBUG`, 2 and more add
/// `TRACE`. Clones are the same log's.
///
/// `/logging/toggle` changes that of its node ([`crate::NodeConfig::verbosity`]).
#[derive(Debug, Clone)]
pub struct Verbosity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The least severe level that is logged at all times.
    least: Level,
    start: u32,
    now: AtomicU32,
}

impl Verbosity {
    /// That of a log which was started with `least` as the least severe level. It starts at 1 for
    /// `DEBUG`, at 2 for `TRACE`, else at 0.
    pub fn new(least: Level) -> Self {
        let start = match least {
            Level::Trace => 2,
            Level::Debug => 1,
            _ => 0,
        };
        Self(Arc::new(Inner { least, start, now: AtomicU32::new(start) }))
    }

    /// The verbosity that the program was started with.
    pub fn start(&self) -> u32 {
        self.0.start
    }

    /// The present verbosity.
    pub fn get(&self) -> u32 {
        self.0.now.load(Ordering::Relaxed)
    }

    /// Changes the verbosity.
    pub fn set(&self, verbosity: u32) {
        self.0.now.store(verbosity, Ordering::Relaxed);
    }

    /// Whether lines of `level` are logged at present.
    pub fn allows(&self, level: Level) -> bool {
        let raised = match self.get() {
            0 => self.0.least,
            1 => Level::Debug,
            _ => Level::Trace,
        };
        level.is_at_least(self.0.least) || level.is_at_least(raised)
    }

    /// A drain that passes on what is allowed at present.
    pub fn filter<D: Drain>(&self, drain: D) -> Filter<D> {
        Filter { drain, verbosity: self.clone() }
    }
}

impl Default for Verbosity {
    fn default() -> Self {
        Self::new(Level::Info)
    }
}

/// A drain in front of another that obeys a [`Verbosity`].
#[derive(Debug, Clone)]
pub struct Filter<D> {
    drain: D,
    verbosity: Verbosity,
}

impl<D: Drain> Drain for Filter<D> {
    type Ok = Option<D::Ok>;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<Self::Ok, D::Err> {
        if self.verbosity.allows(record.level()) {
            return self.drain.log(record, values).map(Some);
        }
        Ok(None)
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.verbosity.allows(level) && self.drain.is_enabled(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbosity_adds_to_what_is_logged_and_never_takes_away() {
        let verbosity = Verbosity::new(Level::Warning);
        assert_eq!((verbosity.start(), verbosity.get()), (0, 0));
        assert!(verbosity.allows(Level::Warning) && !verbosity.allows(Level::Info));
        verbosity.set(1);
        assert!(verbosity.allows(Level::Debug) && !verbosity.allows(Level::Trace));
        verbosity.set(9);
        assert!(verbosity.allows(Level::Trace));
        let chatty = Verbosity::new(Level::Trace);
        chatty.set(0);
        assert!(chatty.allows(Level::Trace));
        assert_eq!(chatty.start(), 2);
    }
}
