//! Runs a process over its inbox: one event, one atomic step.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::channel::oneshot;
use serde_json::json;

use crate::driver::{Progress, Run};
use crate::http::{Answer, Request, Response};
use crate::inbox::{Event, Inbox};
use crate::{Ctx, Envelope, Node, Pid, Process, Routes};

pub(crate) struct Runner<P: Process> {
    process: P,
    cx: Ctx<P>,
    routes: Arc<Routes<P>>,
    /// Events swapped out of the inbox and not yet handled.
    batch: VecDeque<Event<P>>,
    phase: Phase,
    panicked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Running,
    Ended,
}

impl<P: Process> Runner<P> {
    pub(crate) fn new(
        process: P,
        node: Node,
        me: Pid,
        inbox: Arc<Inbox<P>>,
        routes: Arc<Routes<P>>,
    ) -> Self {
        let cx = Ctx::new(node, me, inbox);
        Self { process, cx, routes, batch: VecDeque::new(), phase: Phase::Fresh, panicked: false }
    }

    fn step(&mut self, event: Event<P>) {
        match event {
            Event::Message(envelope) => self.message(envelope),
            Event::Dispatch(call) => call(&mut self.process, &mut self.cx),
            Event::Http(request, reply) => self.http(request, reply),
            Event::Exited(pid) => self.process.exited(&pid, &mut self.cx),
            Event::Inspect(reply) => {
                let _ = reply.send(self.queued());
            }
            Event::Terminate => self.cx.stopping = true,
        }
    }

    fn message(&mut self, envelope: Envelope) {
        let Some(handler) = self.routes.message(&envelope.name) else {
            slog::debug!(self.cx.log(), "message dropped: no handler";
                "name" => &envelope.name, "from" => %envelope.from);
            return;
        };
        self.cx.from = envelope.from.clone();
        handler(&mut self.process, envelope, &mut self.cx);
        self.cx.from = Pid::empty();
    }

    fn http(&mut self, request: Request, reply: oneshot::Sender<Response>) {
        let answer = match self.routes.http(&request) {
            Ok(handler) => handler(&mut self.process, request, &mut self.cx),
            Err(response) => Answer::Now(response),
        };
        match answer {
            Answer::Now(response) => {
                let _ = reply.send(response);
            }
            Answer::Later(future) => self.cx.node().driver().spawn(Box::pin(async move {
                let _ = reply.send(future.await);
            })),
        }
    }

    /// What waits in the queue, as `/__processes__` shows it.
    fn queued(&self) -> Vec<serde_json::Value> {
        let mut events: Vec<_> = self.batch.iter().map(describe).collect();
        self.cx.inbox().peek(|event| events.push(describe(event)));
        events
    }

    /// Runs `step`; a panic ends this process alone.
    fn guarded(&mut self, step: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            slog::error!(self.cx.log(), "process panicked and is terminated");
            self.panicked = true;
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.phase = Phase::Ended;
        self.cx.inbox().close();
        self.batch.clear();
        self.cx.node().forget(self.cx.pid());
    }
}

impl<P: Process> Run for Runner<P> {
    fn run(&mut self, budget: usize) -> Progress {
        if self.phase == Phase::Fresh {
            self.phase = Phase::Running;
            self.guarded(|runner| runner.process.initialize(&mut runner.cx));
        }
        for _ in 0..budget {
            if self.phase == Phase::Ended {
                return Progress::Ended;
            }
            if self.cx.stopping || self.cx.inbox().is_doomed() {
                self.guarded(|runner| runner.process.finalize(&mut runner.cx));
                if self.phase != Phase::Ended {
                    self.finish();
                }
                return Progress::Ended;
            }
            let event = match self.batch.pop_front() {
                Some(event) => event,
                None if !self.cx.inbox().take(&mut self.batch) => return Progress::Idle,
                None => continue,
            };
            self.guarded(|runner| runner.step(event));
        }
        Progress::More
    }

    fn pid(&self) -> &Pid {
        self.cx.pid()
    }

    fn panicked(&self) -> bool {
        self.panicked
    }
}

/// A process that its host drops takes no more events: who asked it learns that it is gone.
impl<P: Process> Drop for Runner<P> {
    fn drop(&mut self) {
        self.cx.inbox().close();
    }
}

fn describe<P: Process>(event: &Event<P>) -> serde_json::Value {
    match event {
        Event::Message(m) => json!({
            "type": "MESSAGE", "name": m.name, "from": m.from.to_string(),
            "to": m.to.to_string(), "body": String::from_utf8_lossy(&m.body),
        }),
        Event::Http(request, _) => {
            json!({"type": "HTTP", "method": request.method, "url": request.path})
        }
        Event::Dispatch(_) => json!({"type": "DISPATCH"}),
        Event::Exited(_) => json!({"type": "EXITED"}),
        Event::Inspect(_) => json!({"type": "HTTP", "method": "GET", "url": "/__processes__"}),
        Event::Terminate => json!({"type": "TERMINATE"}),
    }
}
