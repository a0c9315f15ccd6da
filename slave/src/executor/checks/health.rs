//! What results of a health check mean for the task: without IO.

use std::time::Duration;

use libprocess::Time;
use protos::mesos::HealthCheck;

/// What is told of a task's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// It is healthy, for the first time or again.
    Healthy,
    /// It is not, and is to be killed if it has failed too often.
    Unhealthy { why: String, kill: bool },
}

/// How healthy a task has been.
#[derive(Debug)]
pub(crate) struct Health {
    since: Time,
    grace: Duration,
    tolerated: u32,
    failures: u32,
    /// It has been healthy once: no more grace.
    begun: bool,
    /// The last thing that was told was that it is healthy.
    healthy: bool,
}

impl Health {
    /// Of a task that has just been started.
    pub(crate) fn new(check: &HealthCheck, now: Time) -> Self {
        let grace = Duration::try_from_secs_f64(check.grace_period_seconds()).unwrap_or_default();
        let tolerated = check.consecutive_failures();
        Self { since: now, grace, tolerated, failures: 0, begun: false, healthy: false }
    }

    /// A look found the task well, or says what is wrong.
    pub(crate) fn seen(&mut self, result: Result<(), String>, now: Time) -> Option<News> {
        let Err(why) = result else {
            self.failures = 0;
            self.begun = true;
            let news = !std::mem::replace(&mut self.healthy, true);
            return news.then_some(News::Healthy);
        };
        if !self.begun && now.since(self.since) < self.grace {
            return None;
        }
        self.failures += 1;
        self.healthy = false;
        Some(News::Unhealthy { why, kill: self.failures >= self.tolerated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::from_nanos(secs * 1_000_000_000)
    }

    fn bad() -> Result<(), String> {
        Err("bad".to_owned())
    }

    fn unhealthy(kill: bool) -> Option<News> {
        Some(News::Unhealthy { why: "bad".to_owned(), kill })
    }

    #[test]
    fn health_is_told_when_it_changes_and_failures_each_time() {
        let mut health = Health::new(&HealthCheck::default(), at(0));
        assert_eq!(health.seen(Ok(()), at(1)), Some(News::Healthy));
        assert_eq!(health.seen(Ok(()), at(2)), None);
        assert_eq!(health.seen(bad(), at(3)), unhealthy(false));
        assert_eq!(health.seen(bad(), at(4)), unhealthy(false));
        assert_eq!(health.seen(Ok(()), at(5)), Some(News::Healthy));
        for kill in [false, false, true] {
            assert_eq!(health.seen(bad(), at(6)), unhealthy(kill));
        }
    }

    #[test]
    fn failures_do_not_count_within_the_grace_period_before_the_first_success() {
        let check = HealthCheck { consecutive_failures: Some(1), ..Default::default() };
        let mut health = Health::new(&check, at(0));
        assert_eq!(health.seen(bad(), at(9)), None);
        assert_eq!(health.seen(bad(), at(10)), unhealthy(true));
        let mut health = Health::new(&check, at(0));
        assert_eq!(health.seen(Ok(()), at(1)), Some(News::Healthy));
        assert_eq!(health.seen(bad(), at(2)), unhealthy(true));
    }
}
