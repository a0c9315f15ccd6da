//! Things that happen once.

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex};

use futures::channel::oneshot;

use super::{Mutex, MutexGuard, held};

struct Count {
    left: usize,
    waiters: Vec<oneshot::Sender<()>>,
}

/// Opens when it was decremented often enough; a count of one is a plain latch. Clones are the same
/// latch.
#[derive(Clone)]
pub struct CountDownLatch(Arc<StdMutex<Count>>);

impl CountDownLatch {
    /// A latch that opens after `count` decrements; with none it is open.
    pub fn new(count: usize) -> Self {
        Self(Arc::new(StdMutex::new(Count { left: count, waiters: Vec::new() })))
    }

    /// Counts down by one. No effect on an open latch.
    pub fn decrement(&self) {
        let mut state = held(&self.0);
        state.left = state.left.saturating_sub(1);
        let woken = if state.left == 0 { std::mem::take(&mut state.waiters) } else { Vec::new() };
        drop(state);
        for waiter in woken {
            // Who waited may be gone.
            let _ = waiter.send(());
        }
    }

    /// What is left to count.
    pub fn left(&self) -> usize {
        held(&self.0).left
    }

    /// Ready when the latch is open.
    pub fn triggered(&self) -> impl Future<Output = ()> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut state = held(&self.0);
        if state.left > 0 {
            state.waiters.retain(|waiter| !waiter.is_canceled());
            state.waiters.push(sender);
        }
        drop(state);
        let keep = self.clone();
        async move {
            // An open latch drops the sender at once, which is as good.
            let _ = receiver.await;
            drop(keep);
        }
    }
}

impl fmt::Debug for CountDownLatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountDownLatch({} left)", self.left())
    }
}

/// Lets one of several do something that must be done once, while the others wait for it. Clones are
/// the same.
#[derive(Clone, Default)]
pub struct Once(Mutex<bool>);

/// It is this holder's turn to do it. Dropped without [`Doing::done`], it leaves the turn to the
/// next that waits.
#[must_use = "dropping it leaves the turn to the next"]
pub struct Doing(MutexGuard<bool>);

impl Once {
    /// Nothing done yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `Some` for who is to do it; `None` for all others, when it is done.
    pub fn begin(&self) -> impl Future<Output = Option<Doing>> + Send + use<> {
        let turn = self.0.lock();
        async move {
            let done = turn.await;
            (!*done).then_some(Doing(done))
        }
    }
}

impl Doing {
    /// It is done: whoever waits or comes later goes on without doing it.
    pub fn done(mut self) {
        *self.0 = true;
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}
