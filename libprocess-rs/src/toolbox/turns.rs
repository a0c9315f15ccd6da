//! Who may enter next: the line in front of a lock, without what the lock protects.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::channel::oneshot;

use super::held;

/// How much of the lock is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// Together with others that read.
    Read,
    /// Alone.
    Write,
}

#[derive(Default)]
struct State {
    readers: usize,
    writing: bool,
    tickets: u64,
    line: BTreeMap<u64, (Share, oneshot::Sender<Pass>)>,
}

impl State {
    fn is_free_for(&self, share: Share) -> bool {
        !self.writing && (share == Share::Read || self.readers == 0)
    }

    fn enter(&mut self, share: Share) {
        match share {
            Share::Read => self.readers += 1,
            Share::Write => self.writing = true,
        }
    }

    fn leave(&mut self, share: Share) {
        match share {
            Share::Read => self.readers -= 1,
            Share::Write => self.writing = false,
        }
    }
}

/// A line that is served strictly in order: a reader waits behind a writer that came before it.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<State>>);

/// The right to be inside; leaving is dropping it.
pub(super) struct Pass {
    turns: Turns,
    share: Share,
    /// False once it was taken back before anybody had it.
    valid: bool,
}

/// A place in the line.
pub(super) struct Wait {
    turns: Turns,
    ticket: u64,
    granted: oneshot::Receiver<Pass>,
}

impl Turns {
    /// Takes the next place in the line.
    pub(super) fn wait(&self, share: Share) -> Wait {
        let (sender, granted) = oneshot::channel();
        let mut state = held(&self.0);
        state.tickets += 1;
        let ticket = state.tickets;
        state.line.insert(ticket, (share, sender));
        drop(state);
        self.grant();
        Wait { turns: self.clone(), ticket, granted }
    }

    /// Enters at once, when nobody is in the way or waits already.
    pub(super) fn enter(&self, share: Share) -> Option<Pass> {
        let mut state = held(&self.0);
        if !state.line.is_empty() || !state.is_free_for(share) {
            return None;
        }
        state.enter(share);
        Some(Pass { turns: self.clone(), share, valid: true })
    }

    /// Lets in from the front of the line whoever fits.
    fn grant(&self) {
        loop {
            let mut state = held(&self.0);
            let Some(first) = state.line.first_entry() else {
                return;
            };
            let share = first.get().0;
            if !state.is_free_for(share) {
                return;
            }
            let Some((_, (_, sender))) = state.line.pop_first() else {
                return;
            };
            state.enter(share);
            drop(state);
            // Sent outside the lock: it wakes the waiter. One that is gone is undone here rather
            // than by the pass's own end, which would recurse once for each of them.
            if let Err(mut pass) = sender.send(Pass { turns: self.clone(), share, valid: true }) {
                pass.valid = false;
                held(&self.0).leave(share);
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.valid {
            held(&self.turns.0).leave(self.share);
            self.turns.grant();
        }
    }
}

impl Future for Wait {
    type Output = Pass;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Pass> {
        match Pin::new(&mut self.granted).poll(cx) {
            Poll::Ready(Ok(pass)) => Poll::Ready(pass),
            // The sender lies in the line, which this place keeps alive: it is never dropped unsent.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // A writer that gives up may have kept readers waiting.
        let left = held(&self.turns.0).line.remove(&self.ticket);
        if left.is_some() {
            self.turns.grant();
        }
    }
}
