//! The actix actor that hosts one process. Events lie in the process's inbox; the actor is only
//! woken, and drains a bounded batch at a time so that processes of a thread take turns.

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};

use crate::driver::{Progress, Run};
use crate::inbox::Wake;

/// Events handled before another process gets its turn.
const BATCH: usize = 256;

pub(crate) struct Host {
    runner: Box<dyn Run>,
}

impl Host {
    pub(crate) fn new(runner: Box<dyn Run>) -> Self {
        Self { runner }
    }
}

impl Actor for Host {
    type Context = Context<Self>;
}

struct Woken;

impl Message for Woken {
    type Result = ();
}

impl Handler<Woken> for Host {
    type Result = ();

    fn handle(&mut self, _: Woken, context: &mut Context<Self>) {
        match self.runner.run(BATCH) {
            Progress::Idle => {}
            Progress::More => context.notify(Woken),
            Progress::Ended => actix::ActorContext::stop(context),
        }
    }
}

/// Wakes a host from any thread.
pub(crate) struct HostWaker(pub(crate) Addr<Host>);

impl Wake for HostWaker {
    fn wake(&self) {
        self.0.do_send(Woken);
    }
}
