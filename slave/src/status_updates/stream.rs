//! One task's updates in order: only the oldest unacknowledged one is in flight.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libprocess::Time;
use protos::mesos::internal::StatusUpdate;
use protos::task_state::{from_wire, is_terminal};

/// First wait for an acknowledgement; it doubles.
const RETRY_MIN: Duration = Duration::from_secs(10);
/// Longest wait for an acknowledgement.
const RETRY_MAX: Duration = Duration::from_secs(600);

/// What an acknowledgement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It is not for the update in flight: nothing changed.
    Ignored,
    /// The next update is in flight, or none is left.
    Advanced,
    /// The last update of the task was acknowledged: the stream is over.
    Closed,
}

/// What to do when the wait for an acknowledgement may be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing is in flight.
    Idle,
    /// What is in flight was sent later: look again after that time.
    Wait(Duration),
    /// Send the head again, and look again after that time.
    Again(Duration),
}

/// The stream of one task.
#[derive(Debug, Default)]
pub struct Stream {
    pending: VecDeque<Arc<StatusUpdate>>,
    /// The uuids of all updates, in memory of their own: a message is not kept for its uuid's sake.
    seen: BTreeSet<Box<[u8]>>,
    wait: Duration,
    /// When the head is to be sent again.
    due: Time,
}

impl Stream {
    /// A stream as it was left on disk; None when its last update was acknowledged.
    pub fn recovered(updates: Vec<StatusUpdate>, acknowledged: &[Bytes]) -> Option<Self> {
        let mut stream = Self::default();
        for update in updates {
            stream.push(Arc::new(update));
        }
        let over = |stream: &mut Self, uuid| stream.acknowledge(uuid) == Acknowledged::Closed;
        let over = acknowledged.iter().any(|uuid| over(&mut stream, uuid));
        (!over).then_some(stream)
    }

    /// Adds an update; false when it is known already.
    pub fn push(&mut self, update: Arc<StatusUpdate>) -> bool {
        let fresh = self.seen.insert(update.uuid.as_deref().unwrap_or_default().into());
        if fresh {
            self.pending.push_back(update);
        }
        fresh
    }

    /// True when the update was pushed before.
    pub fn knows(&self, uuid: &[u8]) -> bool {
        self.seen.contains(uuid)
    }

    /// The update that is, or should be, in flight.
    pub fn head(&self) -> Option<&Arc<StatusUpdate>> {
        self.pending.front()
    }

    /// The newest update that waits.
    pub fn last(&self) -> Option<&Arc<StatusUpdate>> {
        self.pending.back()
    }

    /// How many updates wait.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// True when no update waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The head is sent for the first time, or to another master: after how long to look at
    /// [`Stream::retry`].
    pub fn sent(&mut self, now: Time) -> Duration {
        self.wait = RETRY_MIN;
        self.due = now + self.wait;
        self.wait
    }

    /// The wait for an acknowledgement may be over.
    pub fn retry(&mut self, now: Time) -> Retry {
        if self.pending.is_empty() {
            return Retry::Idle;
        }
        if now < self.due {
            return Retry::Wait(self.due - now);
        }
        self.wait = (self.wait * 2).min(RETRY_MAX);
        self.due = now + self.wait;
        Retry::Again(self.wait)
    }

    /// True when the acknowledgement is for the update in flight.
    pub fn expects(&self, uuid: &[u8]) -> bool {
        self.head().is_some_and(|head| head.uuid.as_deref() == Some(uuid))
    }

    /// Takes an acknowledgement.
    pub fn acknowledge(&mut self, uuid: &[u8]) -> Acknowledged {
        if !self.expects(uuid) {
            return Acknowledged::Ignored;
        }
        let Some(head) = self.pending.pop_front() else { return Acknowledged::Ignored };
        let last = from_wire(head.status.state).is_some_and(is_terminal);
        if last && self.pending.is_empty() { Acknowledged::Closed } else { Acknowledged::Advanced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::ids::TaskId;
    use protos::mesos::TaskState;
    use protos::status;

    fn update(state: TaskState, uuid: u8) -> Arc<StatusUpdate> {
        let status = status::of(&TaskId::new("t"), state, 0.0);
        Arc::new(status.uuid([uuid; 16]).update(&"F".into()))
    }

    #[test]
    fn stream_sends_the_oldest_until_it_is_acknowledged() {
        let mut stream = Stream::default();
        assert!(stream.push(update(TaskState::TaskStarting, 1)));
        assert!(!stream.push(update(TaskState::TaskStarting, 1)));
        assert!(stream.push(update(TaskState::TaskFinished, 2)));
        assert_eq!(stream.acknowledge(&[2; 16]), Acknowledged::Ignored);
        assert_eq!(stream.acknowledge(&[1; 16]), Acknowledged::Advanced);
        assert_eq!(stream.acknowledge(&[1; 16]), Acknowledged::Ignored);
        assert_eq!(stream.acknowledge(&[2; 16]), Acknowledged::Closed);
        assert!(stream.is_empty() && stream.knows(&[2; 16]));
    }

    #[test]
    fn stream_retries_double_up_to_ten_minutes_and_stop_when_acknowledged() {
        let mut stream = Stream::default();
        stream.push(update(TaskState::TaskRunning, 1));
        let mut now = Time::default();
        let mut wait = stream.sent(now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            waits.push(wait.as_secs());
            now = now + wait;
            let Retry::Again(next) = stream.retry(now) else { panic!("{waits:?}") };
            wait = next;
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        stream.acknowledge(&[1; 16]);
        assert_eq!(stream.retry(now + wait), Retry::Idle);
    }

    #[test]
    fn stream_that_moved_on_waits_for_what_is_in_flight_now() {
        let mut stream = Stream::default();
        stream.push(update(TaskState::TaskStarting, 1));
        stream.push(update(TaskState::TaskRunning, 2));
        let second = |seconds| Time::default() + Duration::from_secs(seconds);
        stream.sent(second(0));
        stream.acknowledge(&[1; 16]);
        stream.sent(second(4));
        assert_eq!(stream.retry(second(10)), Retry::Wait(Duration::from_secs(4)));
        assert_eq!(stream.retry(second(14)), Retry::Again(Duration::from_secs(20)));
    }
}
