//! A process's queue of events, and how its driver is told that there is work.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::channel::oneshot;

use crate::http::{Request, Response};
use crate::{Ctx, Envelope, Pid, Process};

/// A call queued to a process: one atomic step.
pub(crate) type Call<P> = Box<dyn FnOnce(&mut P, &mut Ctx<P>) + Send>;

/// One entry of a process's queue.
pub(crate) enum Event<P: Process> {
    Message(Envelope),
    Dispatch(Call<P>),
    Http(Request, oneshot::Sender<Response>),
    Exited(Pid),
    Inspect(oneshot::Sender<Vec<serde_json::Value>>),
    Terminate,
}

/// Tells a driver that an inbox went from idle to busy.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

/// The untyped side of an inbox, as the process table keeps it.
pub(crate) trait Mail: Send + Sync {
    /// Queues a message; false when the process no longer takes events.
    fn message(&self, envelope: Envelope) -> bool;
    /// Queues a request; false when the process no longer takes events.
    fn http(&self, request: Request, reply: oneshot::Sender<Response>) -> bool;
    /// Queues the news that a linked process is gone.
    fn exited(&self, pid: Pid) -> bool;
    /// Asks the process to list its queue.
    fn inspect(&self, reply: oneshot::Sender<Vec<serde_json::Value>>) -> bool;
    /// Asks the process to stop: at once (`inject`), or after what is queued already.
    fn terminate(&self, inject: bool) -> bool;
}

struct State<P: Process> {
    queue: VecDeque<Event<P>>,
    /// A wake-up is pending or the runner is draining.
    awake: bool,
    closed: bool,
}

/// Multi-producer queue with one wake-up on the idle → busy edge, swapped out whole by its runner.
pub(crate) struct Inbox<P: Process> {
    state: Mutex<State<P>>,
    /// Earlier events are to be discarded in favour of a terminate event.
    doomed: AtomicBool,
    waker: OnceLock<Box<dyn Wake>>,
}

impl<P: Process> Inbox<P> {
    /// Starts out awake: the first wake-up comes from [`Inbox::attach`].
    pub(crate) fn new() -> Arc<Self> {
        let state = State { queue: VecDeque::new(), awake: true, closed: false };
        let (state, doomed) = (Mutex::new(state), AtomicBool::new(false));
        Arc::new(Self { state, doomed, waker: OnceLock::new() })
    }

    /// Connects the inbox to its host and gives the first wake-up.
    pub(crate) fn attach(&self, waker: Box<dyn Wake>) {
        self.waker.get_or_init(|| waker).wake();
    }

    pub(crate) fn push(&self, event: Event<P>) -> bool {
        self.push_with(event, false)
    }

    fn push_with(&self, event: Event<P>, doom: bool) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.queue.push_back(event);
        if doom {
            self.doomed.store(true, Ordering::Release);
        }
        let wake = !std::mem::replace(&mut state.awake, true);
        drop(state);
        if wake && let Some(waker) = self.waker.get() {
            waker.wake();
        }
        true
    }

    /// Swaps the queue into `local`, which must be empty. False puts the inbox to sleep: the next
    /// push wakes the host again.
    pub(crate) fn take(&self, local: &mut VecDeque<Event<P>>) -> bool {
        let mut state = self.lock();
        std::mem::swap(&mut state.queue, local);
        state.awake = !local.is_empty();
        state.awake
    }

    /// True once a terminate with inject asked for everything queued to be dropped.
    pub(crate) fn is_doomed(&self) -> bool {
        self.doomed.load(Ordering::Acquire)
    }

    /// Refuses all further events and drops the queued ones; their senders see it.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.queue);
        drop(state);
        drop(dropped);
    }

    /// Runs `look` over what is queued and not yet swapped out.
    pub(crate) fn peek(&self, mut look: impl FnMut(&Event<P>)) {
        self.lock().queue.iter().for_each(&mut look);
    }

    /// A panic while the lock is held cannot leave the queue half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Process> Mail for Inbox<P> {
    fn message(&self, envelope: Envelope) -> bool {
        self.push(Event::Message(envelope))
    }

    fn http(&self, request: Request, reply: oneshot::Sender<Response>) -> bool {
        self.push(Event::Http(request, reply))
    }

    fn exited(&self, pid: Pid) -> bool {
        self.push(Event::Exited(pid))
    }

    fn inspect(&self, reply: oneshot::Sender<Vec<serde_json::Value>>) -> bool {
        self.push(Event::Inspect(reply))
    }

    fn terminate(&self, inject: bool) -> bool {
        self.push_with(Event::Terminate, inject)
    }
}
