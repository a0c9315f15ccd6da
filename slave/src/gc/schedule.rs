//! What is to be removed, and when: without IO.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libprocess::Time;

/// How old what is over may become, by the share of the disk in use and the share that is to stay
/// free, both from 0 to 1.
pub fn max_age(delay: Duration, headroom: f64, usage: f64) -> Duration {
    delay.mul_f64((1.0 - headroom - usage).clamp(0.0, 1.0))
}

/// Paths, and since when nothing in them has changed.
#[derive(Debug, Default)]
pub struct Schedule {
    since: BTreeMap<PathBuf, Time>,
}

impl Schedule {
    /// Has a path removed once it is old enough; a later `since` counts.
    pub fn add(&mut self, path: PathBuf, since: Time) {
        let known = self.since.entry(path).or_insert(since);
        *known = (*known).max(since);
    }

    /// Keeps a path. False when it was not to be removed.
    pub fn keep(&mut self, path: &Path) -> bool {
        self.since.remove(path).is_some()
    }

    /// Takes out what is at least that old.
    pub fn due(&mut self, now: Time, max_age: Duration) -> Vec<PathBuf> {
        let old = |_: &PathBuf, since: &mut Time| now.since(*since) >= max_age;
        self.since.extract_if(.., old).map(|(path, _)| path).collect()
    }

    /// Paths that wait.
    pub fn len(&self) -> usize {
        self.since.len()
    }

    /// True when no path waits.
    pub fn is_empty(&self) -> bool {
        self.since.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Duration = Duration::from_secs(7 * 86400);

    #[test]
    fn age_shrinks_as_the_disk_fills() {
        assert_eq!(max_age(WEEK, 0.1, 0.0), WEEK.mul_f64(0.9));
        assert_eq!(max_age(WEEK, 0.1, 0.4), WEEK.mul_f64(0.5));
        assert_eq!(max_age(WEEK, 0.1, 0.95), Duration::ZERO);
        assert_eq!(max_age(WEEK, 0.0, 0.0), WEEK);
    }

    #[test]
    fn paths_are_due_once_and_kept_ones_never() {
        let at = |secs: u64| Time::from_nanos(secs * 1_000_000_000);
        let mut schedule = Schedule::default();
        schedule.add("a".into(), at(10));
        schedule.add("b".into(), at(20));
        schedule.add("c".into(), at(10));
        assert!(schedule.keep(Path::new("c")) && !schedule.keep(Path::new("x")));
        assert_eq!(schedule.due(at(40), Duration::from_secs(30)), [PathBuf::from("a")]);
        assert_eq!(schedule.due(at(40), Duration::from_secs(30)), Vec::<PathBuf>::new());
        // It was used again meanwhile.
        schedule.add("b".into(), at(45));
        assert!(schedule.due(at(50), Duration::from_secs(30)).is_empty());
        assert_eq!(schedule.due(at(50), Duration::ZERO), [PathBuf::from("b")]);
        assert!(schedule.is_empty());
    }
}
