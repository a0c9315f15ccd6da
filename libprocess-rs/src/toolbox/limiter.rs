//! Permits at an even pace.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::oneshot;

use super::held;
use crate::{Node, Time};

struct State {
    /// No permit before.
    next: Time,
    tickets: u64,
    line: BTreeMap<u64, oneshot::Sender<()>>,
    /// Somebody is waiting for `next` on behalf of the line.
    watched: bool,
}

/// Hands out permits one by one, at least `interval` of the node's time apart, first come, first
/// served. Time that nobody used is not saved up: there are no bursts. Clones share the pace.
#[derive(Clone)]
pub struct RateLimiter {
    node: Node,
    interval: Duration,
    state: Arc<Mutex<State>>,
}

/// The future of [`RateLimiter::acquire`].
#[must_use = "the place in the line is given up when this is dropped"]
pub struct Permit {
    state: Arc<Mutex<State>>,
    ticket: u64,
    granted: oneshot::Receiver<()>,
}

impl RateLimiter {
    /// At most `permits` in each `per`, spaced evenly: one each `per / permits`.
    pub fn new(node: &Node, permits: NonZeroU32, per: Duration) -> Self {
        Self::every(node, per / permits.get())
    }

    /// One permit each `interval`.
    pub fn every(node: &Node, interval: Duration) -> Self {
        let state = State { next: Time::EPOCH, tickets: 0, line: BTreeMap::new(), watched: false };
        Self { node: node.clone(), interval, state: Arc::new(Mutex::new(state)) }
    }

    /// Takes a place in the line; ready when it is one's turn.
    pub fn acquire(&self) -> Permit {
        let (sender, granted) = oneshot::channel();
        let now = self.node.now();
        let mut state = held(&self.state);
        state.tickets += 1;
        let ticket = state.tickets;
        if state.line.is_empty() && now >= state.next {
            state.next = now + self.interval;
            // The receiver is above.
            let _ = sender.send(());
        } else {
            state.line.insert(ticket, sender);
            if !std::mem::replace(&mut state.watched, true) {
                self.watch(state.next.since(now));
            }
        }
        drop(state);
        Permit { state: self.state.clone(), ticket, granted }
    }

    /// Requests that wait for their turn.
    pub fn waiting(&self) -> usize {
        held(&self.state).line.len()
    }

    /// Serves the line from `first` on until it is empty.
    fn watch(&self, first: Duration) {
        let limiter = self.clone();
        let mut pause = self.node.sleep(first);
        self.node.driver().spawn(Box::pin(async move {
            loop {
                pause.await;
                match limiter.serve() {
                    Some(next) => pause = limiter.node.sleep(next),
                    None => return,
                }
            }
        }));
    }

    /// Gives a permit to the first in the line; how long until the next is due, if any is wanted.
    fn serve(&self) -> Option<Duration> {
        loop {
            let mut state = held(&self.state);
            let now = self.node.now();
            if now < state.next {
                return Some(state.next.since(now));
            }
            let Some((_, first)) = state.line.pop_first() else {
                state.watched = false;
                return None;
            };
            drop(state);
            // Sent outside the lock: it wakes the waiter. One that is gone leaves its turn.
            if first.send(()).is_ok() {
                held(&self.state).next = now + self.interval;
            }
        }
    }
}

impl Future for Permit {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match Pin::new(&mut self.granted).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            // The sender lies in the line, which this place keeps alive.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        held(&self.state).line.remove(&self.ticket);
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RateLimiter(every {:?}, {} waiting)", self.interval, self.waiting())
    }
}
