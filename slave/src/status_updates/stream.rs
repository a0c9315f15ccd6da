//! One task's updates in order: only the oldest unacknowledged one is in flight.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
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

/// The stream of one task.
#[derive(Debug, Default)]
pub struct Stream {
    pending: VecDeque<StatusUpdate>,
    seen: BTreeSet<Bytes>,
    wait: Duration,
    /// Counts what is in flight, so that an old reminder is recognised.
    epoch: u64,
}

impl Stream {
    /// A stream as it was left on disk; None when its last update was acknowledged.
    pub fn recovered(updates: Vec<StatusUpdate>, acknowledged: &[Bytes]) -> Option<Self> {
        let mut stream = Self::default();
        for update in updates {
            stream.push(update);
        }
        let over = |stream: &mut Self, uuid| stream.acknowledge(uuid) == Acknowledged::Closed;
        let over = acknowledged.iter().any(|uuid| over(&mut stream, uuid));
        (!over).then_some(stream)
    }

    /// Adds an update; false when it is known already.
    pub fn push(&mut self, update: StatusUpdate) -> bool {
        let uuid = update.uuid.clone().unwrap_or_default();
        let fresh = self.seen.insert(uuid);
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
    pub fn head(&self) -> Option<&StatusUpdate> {
        self.pending.front()
    }

    /// How many updates wait.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// True when no update waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The head is sent for the first time (again): after how long to send it once more, and the
    /// number of the sending.
    pub fn sent(&mut self) -> (Duration, u64) {
        self.wait = RETRY_MIN;
        self.epoch += 1;
        (self.wait, self.epoch)
    }

    /// The wait of sending `epoch` is over: None when something happened since, else the next wait.
    pub fn retry(&mut self, epoch: u64) -> Option<Duration> {
        if epoch != self.epoch || self.pending.is_empty() {
            return None;
        }
        self.wait = (self.wait * 2).min(RETRY_MAX);
        Some(self.wait)
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
        self.epoch += 1;
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

    fn update(state: TaskState, uuid: u8) -> StatusUpdate {
        status::of(&TaskId::new("t"), state, 0.0).uuid([uuid; 16]).update(&"F".into())
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
        let (first, epoch) = stream.sent();
        let mut waits = vec![first.as_secs()];
        waits.extend((0..8).filter_map(|_| stream.retry(epoch)).map(|wait| wait.as_secs()));
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        stream.acknowledge(&[1; 16]);
        assert_eq!(stream.retry(epoch), None);
    }
}
