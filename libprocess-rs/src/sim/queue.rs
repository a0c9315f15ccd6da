//! The one ordered queue of the simulator: entries by virtual time, then by sequence.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddrV4;

use super::disk::DiskJob;
use super::programs::SpawnRequest;
use crate::driver::TimerId;
use crate::subprocess::ExitStatus;
use crate::{Envelope, Time};

/// One life of a node: from its start to its crash. A restarted node gets a new one.
pub(super) type LifeId = u64;

/// What happens at a point in time.
pub(super) enum Entry {
    /// A process handles one event.
    Run { life: LifeId, slot: u64 },
    /// A future is polled.
    Poll { life: LifeId, task: u64 },
    /// A timer fires, unless it was disarmed.
    Timer { life: LifeId, timer: TimerId },
    /// A message arrives; `life` is the receiver's when it was sent, if there was one.
    Deliver { life: Option<LifeId>, envelope: Envelope },
    /// A connection attempt of `life` reaches its peer.
    Connect { life: LifeId, peer: SocketAddrV4, connection: u64, since: Time },
    /// A node learns that its connection to a peer broke; `news` tells since when the peer's host
    /// tries to say so, None that the node's own host says it.
    Lost { life: LifeId, peer: SocketAddrV4, connection: u64, news: Option<Time> },
    /// A disk operation takes effect and completes.
    Disk { life: LifeId, job: DiskJob },
    /// A program starts.
    Spawn(Box<SpawnRequest>),
    /// A signal arrives at a program.
    Signal { pid: u32, signal: i32 },
    /// A program ends.
    Exit { pid: u32, status: ExitStatus },
    /// A node ends itself.
    Close { life: LifeId },
}

impl Entry {
    /// The node that the entry happens to, for entries that wait while it is frozen.
    pub(super) fn life(&self) -> Option<LifeId> {
        match self {
            Entry::Run { life, .. }
            | Entry::Poll { life, .. }
            | Entry::Timer { life, .. }
            | Entry::Lost { life, .. }
            | Entry::Disk { life, .. } => Some(*life),
            Entry::Deliver { life, .. } => *life,
            // The kernel answers connections, and ends processes, whether they run or not.
            Entry::Connect { .. }
            | Entry::Spawn(_)
            | Entry::Signal { .. }
            | Entry::Exit { .. }
            | Entry::Close { .. } => None,
        }
    }
}

/// Where an entry stands in the order of all.
type Key = (Time, u64);

/// Entries by time and then by arrival. Most happen at once, one after another: these wait in a
/// plain queue beside the heap.
#[derive(Default)]
pub(super) struct Queue {
    /// Later entries, as keys with places in `later`.
    heap: BinaryHeap<Reverse<(Key, usize)>>,
    later: Vec<Option<Entry>>,
    free: Vec<usize>,
    at_once: VecDeque<(Key, Entry)>,
    /// The time of the last entry taken, which entries of the plain queue share.
    now: Time,
    sequence: u64,
    /// Entries that are no timers.
    busy: usize,
}

impl Queue {
    /// Adds an entry behind all others of its time.
    pub(super) fn push(&mut self, at: Time, entry: Entry) {
        if !matches!(entry, Entry::Timer { .. }) {
            self.busy += 1;
        }
        self.sequence += 1;
        let key = (at, self.sequence);
        if at == self.now {
            self.at_once.push_back((key, entry));
        } else {
            self.push_later(key, entry);
        }
    }

    fn push_later(&mut self, key: Key, entry: Entry) {
        let place = match self.free.pop() {
            Some(place) => {
                self.later[place] = Some(entry);
                place
            }
            None => {
                self.later.push(Some(entry));
                self.later.len() - 1
            }
        };
        self.heap.push(Reverse((key, place)));
    }

    fn later_is_first(&self) -> bool {
        match (self.heap.peek(), self.at_once.front()) {
            (Some(Reverse((later, _))), Some((at_once, _))) => later < at_once,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Time, Entry)> {
        let ((at, _), entry) = if self.later_is_first() {
            let Reverse((key, place)) = self.heap.pop()?;
            self.free.push(place);
            (key, self.later[place].take()?)
        } else {
            self.at_once.pop_front()?
        };
        if !matches!(entry, Entry::Timer { .. }) {
            self.busy -= 1;
        }
        self.now = at;
        Some((at, entry))
    }

    /// The time of the next entry.
    pub(super) fn next_time(&self) -> Option<Time> {
        if self.later_is_first() {
            self.heap.peek().map(|Reverse(((at, _), _))| *at)
        } else {
            self.at_once.front().map(|((at, _), _)| *at)
        }
    }

    /// True when nothing but timers waits.
    pub(super) fn is_quiet(&self) -> bool {
        self.busy == 0
    }

    /// Takes the unfinished disk operations of a life out, oldest first.
    pub(super) fn take_disk_jobs(&mut self, of: LifeId) -> Vec<DiskJob> {
        let mut jobs = Vec::new();
        let mut kept = Vec::new();
        for (key, entry) in self.take_all() {
            match entry {
                Entry::Disk { life, job } if life == of => {
                    self.busy -= 1;
                    jobs.push(job);
                }
                entry => kept.push((key, entry)),
            }
        }
        for (key, entry) in kept {
            self.push_later(key, entry);
        }
        jobs
    }

    /// All entries in order; counters stay.
    fn take_all(&mut self) -> Vec<(Key, Entry)> {
        let mut all: Vec<_> = self.at_once.drain(..).collect();
        for Reverse((key, place)) in self.heap.drain() {
            all.extend(self.later[place].take().map(|entry| (key, entry)));
        }
        self.later.clear();
        self.free.clear();
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<Entry> {
        self.busy = 0;
        self.take_all().into_iter().map(|(_, entry)| entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(timer: TimerId) -> Entry {
        Entry::Timer { life: 1, timer }
    }

    #[test]
    fn queue_entries_of_one_time_come_in_the_order_of_their_arrival() {
        let mut queue = Queue::default();
        for (at, id) in [(5, 1), (3, 2), (5, 3), (3, 4), (9, 5), (5, 6)] {
            queue.push(Time::from_nanos(at), timer(id));
        }
        let order = std::iter::from_fn(|| queue.pop()).map(|(at, entry)| match entry {
            Entry::Timer { timer, .. } => (at.as_nanos(), timer),
            _ => unreachable!("only timers were pushed"),
        });
        assert_eq!(order.collect::<Vec<_>>(), [(3, 2), (3, 4), (5, 1), (5, 3), (5, 6), (9, 5)]);
    }

    #[test]
    fn queue_with_timers_only_is_quiet() {
        let mut queue = Queue::default();
        queue.push(Time::EPOCH, timer(1));
        assert!(queue.is_quiet());
        queue.push(Time::EPOCH, Entry::Close { life: 1 });
        assert!(!queue.is_quiet());
        while queue.pop().is_some() {}
        assert!(queue.is_quiet());
    }
}
