//! One ordered map of timers for a node, and the task that fires them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::driver::{Fire, TimerId};

#[derive(Default)]
struct Armed {
    next: TimerId,
    by_deadline: BTreeMap<(Instant, TimerId), Fire>,
    deadlines: BTreeMap<TimerId, Instant>,
}

/// Timers of one node; cost grows with the logarithm of their number.
#[derive(Default)]
pub(crate) struct Timers {
    armed: Mutex<Armed>,
    /// Told when the earliest deadline changed.
    sooner: Notify,
}

impl Timers {
    pub(crate) fn arm(&self, delay: Duration, fire: Fire) -> TimerId {
        let now = Instant::now();
        // A deadline beyond what the clock can express never comes; thirty years stand for it.
        let far = now + Duration::from_secs(30 * 365 * 86_400);
        let deadline = now.checked_add(delay).unwrap_or(far).min(far);
        let mut armed = self.lock();
        armed.next += 1;
        let id = armed.next;
        armed.by_deadline.insert((deadline, id), fire);
        armed.deadlines.insert(id, deadline);
        let first = armed.by_deadline.first_key_value().is_some_and(|((_, first), _)| *first == id);
        drop(armed);
        if first {
            self.sooner.notify_one();
        }
        id
    }

    pub(crate) fn disarm(&self, id: TimerId) {
        let mut armed = self.lock();
        if let Some(deadline) = armed.deadlines.remove(&id) {
            armed.by_deadline.remove(&(deadline, id));
        }
    }

    /// Fires timers for ever.
    pub(crate) async fn run(&self) {
        loop {
            let due = self.take_due(Instant::now());
            if due.is_empty() {
                let next = self.lock().by_deadline.first_key_value().map(|((at, _), _)| *at);
                match next {
                    None => self.sooner.notified().await,
                    Some(at) => {
                        // Either way the map is looked at again.
                        let _ = tokio::time::timeout_at(at, self.sooner.notified()).await;
                    }
                }
            }
            for fire in due {
                fire();
            }
        }
    }

    fn take_due(&self, now: Instant) -> Vec<Fire> {
        let mut armed = self.lock();
        let mut due = Vec::new();
        while let Some(entry) = armed.by_deadline.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let id = entry.key().1;
            due.push(entry.remove());
            armed.deadlines.remove(&id);
        }
        due
    }

    /// No panic can happen while the maps are half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
