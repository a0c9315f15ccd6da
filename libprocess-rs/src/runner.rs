//! Runs a process over its inbox: one event, one atomic step.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::json;

use crate::driver::{Progress, Run};
use crate::envelope::Letter;
use crate::gate::{Admission, Waiting};
use crate::http::Answer;
use crate::inbox::{Asked, Event, Inbox};
use crate::node::Seen;
use crate::routes::{MessageHandler, Target};
use crate::{Ctx, MessageName, Node, Pid, Process, Routes};

pub(crate) struct Runner<P: Process> {
    process: P,
    cx: Ctx<P>,
    routes: Arc<Routes<P>>,
    /// Events swapped out of the inbox and not yet handled.
    batch: VecDeque<Event<P>>,
    /// The message that was handled last: the next one is often of the same name.
    last: Option<(MessageName, MessageHandler<P>)>,
    waiting: Option<Box<Waiting>>,
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
        Self {
            process,
            cx: Ctx::new(node, me, inbox),
            routes,
            batch: VecDeque::new(),
            last: None,
            waiting: None,
            phase: Phase::Fresh,
            panicked: false,
        }
    }

    fn step(&mut self, event: Event<P>) {
        if self.cx.node().is_filtered() && self.is_dropped(&event) {
            return;
        }
        match event {
            Event::Message(letter) => self.message(letter),
            Event::Dispatch(call) => call(&mut self.process, &mut self.cx),
            Event::Http(asked) => self.http(*asked),
            Event::Admitted(admission) => self.admitted(*admission),
            Event::Exited(pid) => self.process.exited(&pid, &mut self.cx),
            Event::Inspect(reply) => {
                let _ = reply.send(self.queued());
            }
            Event::Terminate => self.cx.stopping = true,
        }
    }

    /// Asks the node's filter, which tests install.
    fn is_dropped(&self, event: &Event<P>) -> bool {
        let seen = match event {
            Event::Message(Letter { from, name, body }) => Seen::Message { from, name, body },
            Event::Dispatch(_) => Seen::Dispatch,
            Event::Http(asked) => Seen::Http(&asked.request),
            Event::Exited(pid) => Seen::Exited(pid),
            Event::Admitted(_) | Event::Inspect(_) | Event::Terminate => return false,
        };
        self.cx.node().drops(self.cx.pid(), &seen)
    }

    fn message(&mut self, letter: Letter) {
        let known = self.last.as_ref().filter(|(name, _)| name.is_same(&letter.name));
        let handler = match known {
            Some((_, handler)) => handler.clone(),
            None => match self.routes.message(&letter.name) {
                Some((handler, own)) => {
                    if own {
                        self.last = Some((letter.name.clone(), handler.clone()));
                    } else if let Some(to) = self.cx.delegated(&letter.name) {
                        let to = to.clone();
                        return self.cx.node().post(letter.to(&to));
                    }
                    handler.clone()
                }
                None => return self.unhandled(letter),
            },
        };
        self.cx.from = Some(letter.from.clone());
        handler(&mut self.process, letter, &mut self.cx);
        self.cx.from = None;
    }

    fn unhandled(&self, letter: Letter) {
        match self.cx.delegated(&letter.name) {
            Some(to) => self.cx.node().post(letter.to(to)),
            None => slog::debug!(self.cx.log(), "message dropped: no handler";
                "name" => letter.name, "from" => %letter.from),
        }
    }

    fn http(&mut self, asked: Asked) {
        match &mut self.waiting {
            Some(waiting) => waiting.push(asked),
            None => self.check_or_serve(asked),
        }
    }

    /// Starts the checks of a request, or serves it at once when there are none.
    fn check_or_serve(&mut self, asked: Asked) {
        let remainder = asked.request.endpoint();
        let check = match self.routes.http(&asked.request, &remainder) {
            Target::Answer(response) => {
                let _ = asked.reply.send(response);
                return;
            }
            Target::Handler { realm, name, .. } => {
                let id = self.cx.pid().id();
                let path = if name.is_empty() { format!("/{id}") } else { format!("/{id}/{name}") };
                self.cx.node().guards().check(&asked.request, realm, &path)
            }
        };
        match check {
            None => self.serve(asked),
            Some(check) => {
                self.waiting.get_or_insert_default().push(asked);
                let inbox = self.cx.inbox().clone();
                self.cx.node().driver().spawn(Box::pin(async move {
                    inbox.push(Event::Admitted(Box::new(check.await)));
                }));
            }
        }
    }

    /// The foremost waiting request was judged; those behind it follow until one needs a check.
    fn admitted(&mut self, admission: Admission) {
        let mut waited = self.waiting.take().unwrap_or_default();
        if let Some(mut asked) = waited.pop() {
            match admission {
                Admission::Pass(principal) => {
                    asked.request.principal = principal;
                    self.serve(asked);
                }
                Admission::Refuse(response) => {
                    let _ = asked.reply.send(response);
                }
            }
        }
        while let Some(next) = waited.pop() {
            self.http(next);
        }
    }

    fn serve(&mut self, asked: Asked) {
        let Asked { request, reply } = asked;
        let remainder = request.endpoint();
        let answer = match self.routes.http(&request, &remainder) {
            Target::Handler { handler, .. } => handler(&mut self.process, request, &mut self.cx),
            Target::Answer(response) => Answer::Now(response),
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
        let me = self.cx.pid();
        let mut events: Vec<_> = self.batch.iter().map(|event| describe(event, me)).collect();
        self.cx.inbox().peek(|event| events.push(describe(event, me)));
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

    /// Handles what was taken out already, as far as the budget goes.
    fn drain(&mut self, budget: &mut usize) {
        while *budget > 0
            && !self.cx.stopping
            && !self.cx.inbox().is_doomed()
            && let Some(event) = self.batch.pop_front()
        {
            *budget -= 1;
            self.step(event);
        }
    }

    /// True when the process is over; one that was asked to stop has its last word first.
    fn ends(&mut self) -> bool {
        if self.phase != Phase::Ended && (self.cx.stopping || self.cx.inbox().is_doomed()) {
            self.guarded(|runner| runner.process.finalize(&mut runner.cx));
            if self.phase != Phase::Ended {
                self.finish();
            }
        }
        self.phase == Phase::Ended
    }

    fn finish(&mut self) {
        self.phase = Phase::Ended;
        self.cx.inbox().close();
        self.batch.clear();
        self.waiting = None;
        self.cx.node().forget(self.cx.pid());
    }
}

impl<P: Process> Run for Runner<P> {
    fn run(&mut self, mut budget: usize) -> Progress {
        if self.phase == Phase::Fresh {
            self.phase = Phase::Running;
            self.guarded(|runner| runner.process.initialize(&mut runner.cx));
        }
        if self.ends() {
            return Progress::Ended;
        }
        if self.batch.is_empty() && !self.cx.inbox().take(&mut self.batch) {
            return Progress::Idle;
        }
        self.guarded(|runner| runner.drain(&mut budget));
        if self.ends() {
            return Progress::Ended;
        }
        // What came in meanwhile has to wait for the next turn: a process that sends to itself
        // must not run ahead of those that it sends to.
        if self.batch.is_empty() && !self.cx.inbox().take(&mut self.batch) {
            return Progress::Idle;
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

fn describe<P: Process>(event: &Event<P>, to: &Pid) -> serde_json::Value {
    match event {
        Event::Message(letter) => json!({
            "type": "MESSAGE", "name": letter.name.as_str(), "from": letter.from.to_string(),
            "to": to.to_string(), "body": String::from_utf8_lossy(&letter.body),
        }),
        Event::Http(asked) => {
            json!({"type": "HTTP", "method": asked.request.method, "url": asked.request.path})
        }
        Event::Dispatch(_) | Event::Admitted(_) => json!({"type": "DISPATCH"}),
        Event::Exited(_) => json!({"type": "EXITED"}),
        Event::Inspect(_) => json!({"type": "HTTP", "method": "GET", "url": "/__processes__"}),
        Event::Terminate => json!({"type": "TERMINATE"}),
    }
}
