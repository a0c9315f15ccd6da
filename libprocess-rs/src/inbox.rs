//! A process's queue of events, and how its driver is told that there is work.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::channel::oneshot;

use crate::envelope::Letter;
use crate::gate::Admission;
use crate::http::{Request, Response};
use crate::{Ctx, Pid, Process};

/// A call queued to a process: one atomic step.
pub(crate) type Call<P> = Box<dyn FnOnce(&mut P, &mut Ctx<P>) + Send>;

/// A request with the way its answer takes.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Response>,
}

/// One entry of a process's queue. Rare ones are boxed, so that the others stay small.
pub(crate) enum Event<P: Process> {
    Message(Letter),
    Dispatch(Call<P>),
    Http(Box<Asked>),
    /// The check of the foremost request that waits at the gate is done.
    Admitted(Box<Admission>),
    Exited(Pid),
    Inspect(oneshot::Sender<Vec<serde_json::Value>>),
    Terminate,
}

/// Tells a driver that an inbox went from idle to busy.
pub(crate) trait Wake: Send + Sync {
    /// The process hosted in `slot` has work.
    fn wake(&self, slot: u64);
}

/// The untyped side of an inbox, as the process table keeps it.
pub(crate) trait Mail: Send + Sync {
    /// Queues a message; gives it back when the process no longer takes events.
    fn message(&self, letter: Letter) -> Result<(), Letter>;
    /// Queues messages in order and empties `letters`; false, with `letters` as they were, when the
    /// process no longer takes events.
    fn messages(&self, letters: &mut Vec<Letter>) -> bool;
    /// Queues a request; false when the process no longer takes events.
    fn http(&self, request: Request, reply: oneshot::Sender<Response>) -> bool;
    /// Queues the news that a linked process is gone.
    fn exited(&self, pid: Pid) -> bool;
    /// Asks the process to list its queue.
    fn inspect(&self, reply: oneshot::Sender<Vec<serde_json::Value>>) -> bool;
    /// Asks the process to stop: at once (`inject`), or after what is queued already.
    fn terminate(&self, inject: bool) -> bool;
    /// How many events wait, not counting those that the process has taken out to handle.
    fn waiting(&self) -> usize;
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
    host: OnceLock<(Arc<dyn Wake>, u64)>,
}

/// A queue with room for more than this gives it back when it needs much less.
const KEPT_EVENTS: usize = 1024;

/// How often a taker that finds senders at the lock lets them go on, and for how many spins.
const PATIENCE: usize = 8;
const PAUSE: usize = 64;

impl<P: Process> Inbox<P> {
    /// Starts out awake: the first wake-up comes from [`Inbox::attach`].
    pub(crate) fn new() -> Arc<Self> {
        let state = State { queue: VecDeque::new(), awake: true, closed: false };
        let (state, doomed) = (Mutex::new(state), AtomicBool::new(false));
        Arc::new(Self { state, doomed, host: OnceLock::new() })
    }

    /// Connects the inbox to its place at a host and gives the first wake-up.
    pub(crate) fn attach(&self, host: Arc<dyn Wake>, slot: u64) {
        let (host, slot) = self.host.get_or_init(|| (host, slot));
        host.wake(*slot);
    }

    /// How many messages, dispatches and requests wait, besides those taken out to be handled.
    pub(crate) fn kinds(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for event in &self.lock().queue {
            match event {
                Event::Message(_) => counts[0] += 1,
                Event::Dispatch(_) => counts[1] += 1,
                Event::Http(_) => counts[2] += 1,
                _ => {}
            }
        }
        counts
    }

    pub(crate) fn push(&self, event: Event<P>) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.queue.push_back(event);
        self.rouse(state);
        true
    }

    /// Releases the lock and wakes the host if the inbox was idle.
    fn rouse(&self, mut state: MutexGuard<'_, State<P>>) {
        let wake = !std::mem::replace(&mut state.awake, true);
        drop(state);
        if wake && let Some((host, slot)) = self.host.get() {
            host.wake(*slot);
        }
    }

    /// Swaps the queue into `local`, which must be empty. False puts the inbox to sleep: the next
    /// push wakes the host again.
    pub(crate) fn take(&self, local: &mut VecDeque<Event<P>>) -> bool {
        let mut state = self.lock_patiently();
        std::mem::swap(&mut state.queue, local);
        let kept = state.queue.capacity();
        if kept > KEPT_EVENTS && local.len() < kept / 8 {
            state.queue = VecDeque::new();
        }
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

    /// Leaves the lock to senders that are at it: what they put in by then comes along, and they do
    /// not have to wait for each other's and this thread's cache.
    fn lock_patiently(&self) -> MutexGuard<'_, State<P>> {
        for _ in 0..PATIENCE {
            if let Ok(state) = self.state.try_lock() {
                return state;
            }
            (0..PAUSE).for_each(|_| std::hint::spin_loop());
        }
        self.lock()
    }

    /// A panic while the lock is held cannot leave the queue half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Process> Mail for Inbox<P> {
    fn message(&self, letter: Letter) -> Result<(), Letter> {
        let mut state = self.lock();
        if state.closed {
            return Err(letter);
        }
        state.queue.push_back(Event::Message(letter));
        self.rouse(state);
        Ok(())
    }

    fn messages(&self, letters: &mut Vec<Letter>) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.queue.extend(letters.drain(..).map(Event::Message));
        self.rouse(state);
        true
    }

    fn http(&self, request: Request, reply: oneshot::Sender<Response>) -> bool {
        self.push(Event::Http(Box::new(Asked { request, reply })))
    }

    fn exited(&self, pid: Pid) -> bool {
        self.push(Event::Exited(pid))
    }

    fn inspect(&self, reply: oneshot::Sender<Vec<serde_json::Value>>) -> bool {
        self.push(Event::Inspect(reply))
    }

    fn terminate(&self, inject: bool) -> bool {
        if inject {
            self.doomed.store(true, Ordering::Release);
        }
        self.push(Event::Terminate)
    }

    fn waiting(&self) -> usize {
        self.lock().queue.len()
    }
}
