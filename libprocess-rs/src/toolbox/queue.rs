//! A queue whose takers wait.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::channel::oneshot;

use super::held;

struct State<T> {
    items: VecDeque<T>,
    tickets: u64,
    takers: BTreeMap<u64, oneshot::Sender<T>>,
}

/// An unbounded asynchronous queue: items and takers are both served first come, first served.
/// Clones are the same queue.
pub struct Queue<T>(Arc<Mutex<State<T>>>);

/// The future of [`Queue::get`]. Dropping it leaves the items to others, one that was handed to it
/// already included.
#[must_use = "the place in the line is given up when this is dropped"]
pub struct Get<T> {
    queue: Queue<T>,
    ticket: u64,
    item: oneshot::Receiver<T>,
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        let state = State { items: VecDeque::new(), tickets: 0, takers: BTreeMap::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Adds an item at the end.
    pub fn put(&self, item: T) {
        self.serve(item, VecDeque::push_back);
    }

    /// Hands `item` to whoever waits longest, or stores it when nobody does.
    fn serve(&self, mut item: T, store: fn(&mut VecDeque<T>, T)) {
        loop {
            let mut state = held(&self.0);
            let Some((_, taker)) = state.takers.pop_first() else {
                store(&mut state.items, item);
                return;
            };
            drop(state);
            // Sent outside the lock: it wakes the taker, which may be gone.
            match taker.send(item) {
                Ok(()) => return,
                Err(refused) => item = refused,
            }
        }
    }

    /// The first item, now or when there is one.
    pub fn get(&self) -> Get<T> {
        let (sender, receiver) = oneshot::channel();
        let mut state = held(&self.0);
        state.tickets += 1;
        let ticket = state.tickets;
        // Items lie here only while nobody waits.
        match state.items.pop_front() {
            Some(item) => {
                // The receiver is two lines above.
                let _ = sender.send(item);
            }
            None => {
                state.takers.insert(ticket, sender);
            }
        }
        drop(state);
        Get { queue: self.clone(), ticket, item: receiver }
    }

    /// Items that nobody has taken yet.
    pub fn len(&self) -> usize {
        held(&self.0).items.len()
    }

    /// True when no item lies here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Future for Get<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.item).poll(cx) {
            Poll::Ready(Ok(item)) => Poll::Ready(item),
            // The sender lies in the queue, which this future keeps alive.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Get<T> {
    fn drop(&mut self) {
        // Closed first: from here on nobody can hand an item over unseen.
        self.item.close();
        held(&self.queue.0).takers.remove(&self.ticket);
        if let Ok(Some(item)) = self.item.try_recv() {
            self.queue.serve(item, VecDeque::push_front);
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} items)", self.len())
    }
}
