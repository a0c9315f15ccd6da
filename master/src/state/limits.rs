//! Rates: at most so many events a second, the others wait their turn.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Time;

use crate::config::{RateLimit, RateLimits};

/// Spaces events out evenly.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    interval: Duration,
    next: Time,
}

impl Bucket {
    /// At most `qps` events a second, above 0.
    pub(crate) fn new(qps: f64) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / qps).unwrap_or(Duration::MAX);
        Self { interval, next: Time::EPOCH }
    }

    /// How long the next event must wait. Each call takes a turn.
    pub(crate) fn turn(&mut self, now: Time) -> Duration {
        let at = self.next.max(now);
        self.next = at + self.interval;
        at.since(now)
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// At once.
    Pass,
    /// After so long.
    Wait(Duration),
    /// Too many wait already: so many are allowed.
    Refuse(u64),
}

#[derive(Debug)]
struct Limiter {
    limit: RateLimit,
    bucket: Bucket,
    waiting: u64,
}

/// Frameworks' messages: a limiter for each principal that has one, and one for all others.
#[derive(Debug, Default)]
pub(crate) struct Limiters {
    by_principal: BTreeMap<String, Option<Limiter>>,
    others: Option<Limiter>,
}

impl Limiters {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        let limiter = |limit: &RateLimit| Limiter {
            limit: *limit,
            bucket: Bucket::new(limit.qps),
            waiting: 0,
        };
        let each = limits.by_principal.iter();
        Self {
            by_principal: each.map(|(name, l)| (name.clone(), l.as_ref().map(limiter))).collect(),
            others: limits.others.as_ref().map(limiter),
        }
    }

    /// True when nothing is limited.
    pub(crate) fn are_none(&self) -> bool {
        self.by_principal.is_empty() && self.others.is_none()
    }

    fn of(&mut self, principal: Option<&str>) -> Option<&mut Limiter> {
        match principal.and_then(|principal| self.by_principal.get_mut(principal)) {
            Some(own) => own.as_mut(),
            None => self.others.as_mut(),
        }
    }

    /// A message of a principal came.
    pub(crate) fn judge(&mut self, principal: Option<&str>, now: Time) -> Verdict {
        let Some(limiter) = self.of(principal) else { return Verdict::Pass };
        if let Some(capacity) = limiter.limit.capacity.filter(|most| limiter.waiting >= *most) {
            // A turn that is free at once is no waiting, however small the capacity.
            if limiter.waiting > 0 || limiter.bucket.next > now {
                return Verdict::Refuse(capacity);
            }
        }
        match limiter.bucket.turn(now) {
            Duration::ZERO => Verdict::Pass,
            wait => {
                limiter.waiting += 1;
                Verdict::Wait(wait)
            }
        }
    }

    /// A message that waited has passed.
    pub(crate) fn passed(&mut self, principal: Option<&str>) {
        if let Some(limiter) = self.of(principal) {
            limiter.waiting = limiter.waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiters(capacity: Option<u64>) -> Limiters {
        let limit = RateLimit { qps: 2.0, capacity };
        Limiters::new(&RateLimits {
            by_principal: [("own".to_owned(), Some(limit)), ("free".to_owned(), None)].into(),
            others: Some(RateLimit { qps: 1.0, capacity: None }),
        })
    }

    #[test]
    fn messages_beyond_the_rate_wait_and_beyond_the_capacity_are_refused() {
        let mut limiters = limiters(Some(1));
        let half = Duration::from_millis(500);
        let verdicts: Vec<_> = (0..3).map(|_| limiters.judge(Some("own"), Time::EPOCH)).collect();
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Wait(half), Verdict::Refuse(1)]);
        limiters.passed(Some("own"));
        assert_eq!(limiters.judge(Some("own"), Time::EPOCH + half), Verdict::Wait(half));
    }

    #[test]
    fn principals_without_a_limit_share_the_common_one() {
        let mut limiters = limiters(None);
        assert_eq!(limiters.judge(Some("free"), Time::EPOCH), Verdict::Pass);
        assert_eq!(limiters.judge(Some("free"), Time::EPOCH), Verdict::Pass);
        assert_eq!(limiters.judge(Some("x"), Time::EPOCH), Verdict::Pass);
        assert_eq!(limiters.judge(None, Time::EPOCH), Verdict::Wait(Duration::from_secs(1)));
    }
}
