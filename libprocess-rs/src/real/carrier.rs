//! The actix actor that hosts the processes of one thread.
//!
//! Events lie in the processes' inboxes and the actor is only woken: an actor of its own for each
//! process would cost hundreds of bytes more, and another wake-up. Processes take turns, each with
//! a bounded batch of events.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};

use crate::driver::{Progress, Run};
use crate::inbox::Wake;

/// Events of one process handled before another gets its turn.
const BATCH: usize = 1024;
/// Turns given before sockets and timers of the thread get theirs.
const TURNS: usize = 16;

#[derive(Default)]
struct State {
    /// Slots of processes that have work, in the order in which they got it.
    ready: VecDeque<u64>,
    /// Processes that were started and not yet taken over by the actor.
    fresh: Vec<(u64, Box<dyn Run>)>,
    free: Vec<u64>,
    slots: u64,
    /// A wake-up is pending or the actor is at work.
    awake: bool,
}

/// What the actor and those who wake it share.
#[derive(Default)]
pub(crate) struct Carrier {
    state: Mutex<State>,
    actor: OnceLock<Addr<Host>>,
}

impl Carrier {
    /// Starts the actor on a thread.
    pub(crate) fn start(arbiter: &actix_rt::ArbiterHandle) -> Arc<Self> {
        let carrier = Arc::new(Self::default());
        let shared = carrier.clone();
        let actor = Host::start_in_arbiter(arbiter, move |_| Host {
            shared,
            processes: Vec::new(),
            turn: VecDeque::new(),
        });
        carrier.actor.get_or_init(|| actor);
        carrier
    }

    /// Takes a process in; it runs once its slot is woken.
    pub(crate) fn host(&self, runner: Box<dyn Run>) -> u64 {
        let mut state = self.lock();
        let slot = state.free.pop().unwrap_or_else(|| {
            state.slots += 1;
            state.slots - 1
        });
        state.fresh.push((slot, runner));
        slot
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Carrier {
    fn wake(&self, slot: u64) {
        let mut state = self.lock();
        state.ready.push_back(slot);
        let wake = !std::mem::replace(&mut state.awake, true);
        drop(state);
        if wake && let Some(actor) = self.actor.get() {
            actor.do_send(Woken);
        }
    }
}

pub(crate) struct Host {
    shared: Arc<Carrier>,
    /// By slot.
    processes: Vec<Option<Box<dyn Run>>>,
    /// Slots taken out of the shared queue for this round.
    turn: VecDeque<u64>,
}

impl Actor for Host {
    type Context = Context<Self>;
}

struct Woken;

impl Message for Woken {
    type Result = ();
}

impl Host {
    /// Takes over what has work by now; false when there is nothing, and the actor sleeps.
    fn take(&mut self) -> bool {
        let mut state = self.shared.lock();
        std::mem::swap(&mut state.ready, &mut self.turn);
        let fresh = std::mem::take(&mut state.fresh);
        state.awake = !self.turn.is_empty();
        let more = state.awake;
        let slots = usize::try_from(state.slots).unwrap_or(usize::MAX);
        drop(state);
        if self.processes.len() < slots {
            self.processes.resize_with(slots, || None);
        }
        for (slot, runner) in fresh {
            self.processes[slot as usize] = Some(runner);
        }
        more
    }

    fn run(&mut self, slot: u64) {
        let Some(process) = self.processes.get_mut(slot as usize) else {
            return;
        };
        let Some(runner) = process else {
            return;
        };
        match runner.run(BATCH) {
            Progress::Idle => {}
            Progress::More => self.shared.lock().ready.push_back(slot),
            Progress::Ended => {
                let ended = process.take();
                // Its end may wake others: not under the lock.
                drop(ended);
                self.shared.lock().free.push(slot);
            }
        }
    }
}

impl Handler<Woken> for Host {
    type Result = ();

    fn handle(&mut self, _: Woken, context: &mut Context<Self>) {
        for _ in 0..TURNS {
            let Some(slot) = self
                .turn
                .pop_front()
                .or_else(|| if self.take() { self.turn.pop_front() } else { None })
            else {
                return;
            };
            self.run(slot);
        }
        // The rest comes after what else the thread has to do.
        let me = context.address();
        actix_rt::spawn(async move {
            tokio::task::yield_now().await;
            me.do_send(Woken);
        });
    }
}
