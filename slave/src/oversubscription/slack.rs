//! The estimator that measures: what executors were given and have not used for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Time;
use protos::ids::{ExecutorId, FrameworkId};
use protos::mesos;
use protos::resources::Resources;

use super::{ExecutorUsage, ResourceEstimator, Usage};

/// Estimates are rounded down to this, so that masters are not told of every breath.
const STEP_CPUS: f64 = 0.1;

/// How an executor has been seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Time,
    /// CPU time up to then, in seconds.
    used: f64,
    /// The highest use of late, in CPUs; it fades.
    peak: f64,
    since: Time,
}

/// Offers CPUs that are allocated and were not used of late: each executor counts with its highest
/// use, which fades by half in `half_life`, and a margin on top. One that was just started counts
/// with all it was given.
#[derive(Debug, Clone)]
pub struct SlackEstimator {
    /// A peak counts for half after so long.
    pub half_life: Duration,
    /// This share of the peak is kept free beside it.
    pub margin: f64,
    /// An executor is believed to need all it was given for so long.
    pub warm_up: Duration,
    seen: BTreeMap<(FrameworkId, ExecutorId), Seen>,
}

impl Default for SlackEstimator {
    fn default() -> Self {
        Self {
            half_life: Duration::from_secs(300),
            margin: 0.2,
            warm_up: Duration::from_secs(60),
            seen: BTreeMap::new(),
        }
    }
}

impl SlackEstimator {
    /// Its name in the flag `resource_estimator`; parameters of the same name in the flag `modules` are
    /// `half_life`, `margin` and `warm_up`.
    pub const NAME: &'static str = "SlackResourceEstimator";

    /// What one executor will not need, in CPUs.
    fn slack(&mut self, executor: &ExecutorUsage, now: Time) -> f64 {
        let key = (executor.framework.clone(), executor.executor.clone());
        let given = executor.allocated.non_revocable().cpus();
        let used = executor.statistics.as_ref().map(|statistics| {
            statistics.cpus_user_time_secs() + statistics.cpus_system_time_secs()
        });
        // What cannot be measured needs all it was given.
        let Some(used) = used else { return 0.0 };
        let before = self.seen.get(&key).copied();
        let Some(before) = before.filter(|before| before.used <= used && before.at <= now) else {
            let fresh = Seen { at: now, used, peak: given, since: now };
            self.seen.insert(key, fresh);
            return 0.0;
        };
        let passed = now.since(before.at).as_secs_f64();
        let rate = if passed > 0.0 { (used - before.used) / passed } else { before.peak };
        let fade = 0.5_f64.powf(passed / self.half_life.as_secs_f64().max(1.0));
        let peak = rate.max(before.peak * fade);
        self.seen.insert(key, Seen { at: now, used, peak, since: before.since });
        if now.since(before.since) < self.warm_up {
            return 0.0;
        }
        (given - peak * (1.0 + self.margin)).max(0.0)
    }
}

impl ResourceEstimator for SlackEstimator {
    fn estimate(&mut self, usage: &Usage) -> Resources {
        let there = |it: &(FrameworkId, ExecutorId)| {
            usage
                .executors
                .iter()
                .any(|executor| (&executor.framework, &executor.executor) == (&it.0, &it.1))
        };
        self.seen.retain(|key, _| there(key));
        let slack: f64 = usage.executors.iter().map(|it| self.slack(it, usage.at)).sum();
        let free = slack - usage.revocable().cpus();
        let steps = (free / STEP_CPUS + 1e-6).floor();
        if steps < 1.0 {
            return Resources::new();
        }
        let cpus = mesos::Resource {
            name: "cpus".to_owned(),
            r#type: mesos::value::Type::Scalar as i32,
            scalar: Some(mesos::value::Scalar { value: steps * STEP_CPUS }),
            revocable: Some(mesos::resource::RevocableInfo {}),
            ..mesos::Resource::default()
        };
        Resources::from_wire(&[cpus]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(secs: u64, executors: &[(&str, &str, f64)]) -> Usage {
        let executor = |(name, allocated, used): &(&str, &str, f64)| ExecutorUsage {
            framework: "F".into(),
            executor: (*name).into(),
            allocated: allocated.parse().unwrap(),
            statistics: Some(mesos::ResourceStatistics {
                cpus_user_time_secs: Some(*used),
                ..Default::default()
            }),
        };
        Usage {
            at: Time::EPOCH + Duration::from_secs(secs),
            total: "cpus:8".parse().unwrap(),
            executors: executors.iter().map(executor).collect(),
            load: None,
        }
    }

    #[test]
    fn slack_is_what_was_not_used_of_late() {
        let mut estimator = SlackEstimator::default();
        assert!(estimator.estimate(&usage(0, &[("idle", "cpus:4", 0.0)])).is_empty());
        // Its first minutes count with all it was given, and fade.
        let after = |estimator: &mut SlackEstimator, secs| {
            estimator.estimate(&usage(secs, &[("idle", "cpus:4", 0.0)])).cpus()
        };
        assert_eq!(after(&mut estimator, 30), 0.0);
        let (soon, late) = (after(&mut estimator, 300), after(&mut estimator, 3000));
        assert!(soon > 1.0 && soon < 2.0, "{soon}");
        assert!(late > 3.8, "{late}");
    }

    #[test]
    fn slack_remembers_a_peak_for_a_while() {
        let mut estimator = SlackEstimator { margin: 0.0, ..SlackEstimator::default() };
        estimator.estimate(&usage(0, &[("a", "cpus:4", 0.0)]));
        estimator.estimate(&usage(6000, &[("a", "cpus:4", 0.0)]));
        // Ten seconds with three CPUs.
        let busy = estimator.estimate(&usage(6010, &[("a", "cpus:4", 30.0)])).cpus();
        assert!((busy - 1.0).abs() < 0.11, "{busy}");
        let later = estimator.estimate(&usage(6310, &[("a", "cpus:4", 30.0)])).cpus();
        assert!((later - 2.5).abs() < 0.11, "{later}");
    }

    #[test]
    fn slack_counts_nothing_of_who_cannot_be_measured_or_is_gone() {
        let mut estimator = SlackEstimator::default();
        let mut blind = usage(0, &[("a", "cpus:4", 0.0)]);
        blind.executors[0].statistics = None;
        assert!(estimator.estimate(&blind).is_empty());
        estimator.estimate(&usage(1, &[("a", "cpus:4", 0.0)]));
        assert!(estimator.estimate(&usage(9000, &[])).is_empty());
        assert!(estimator.seen.is_empty());
    }

    #[test]
    fn slack_is_offered_as_revocable_and_once() {
        let mut estimator = SlackEstimator::default();
        estimator.estimate(&usage(0, &[("a", "cpus:4", 0.0)]));
        let free = estimator.estimate(&usage(9000, &[("a", "cpus:4", 0.0)]));
        assert_eq!(free.revocable(), free);
        let mut taken = usage(9015, &[("a", "cpus:4", 0.0), ("b", "cpus:1", 0.0)]);
        taken.executors[1].allocated = free;
        assert!(estimator.estimate(&taken).is_empty());
    }
}
