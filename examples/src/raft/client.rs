//! A client that writes and reads at random, one thing after the other, and records what it sees.

use std::time::Duration;

use libprocess::{Ctx, Pid, Process, Routes, Timer};
use rand::Rng;

use super::history::{Action, Recorder};
use super::messages::{Answer, Redirect};
use super::session::{PATIENCE, PAUSE, Session};

/// Between two operations, at most.
const THINKS: Duration = Duration::from_millis(200);
/// Values of different clients differ: a client's are its number times this, plus a count.
const VALUES: u64 = 1_000_000;

/// One client.
pub struct Client {
    number: usize,
    session: Session,
    /// The value that it wrote last.
    value: u64,
    again: Option<Timer>,
    recorder: Recorder,
}

impl Client {
    /// Client `number`, counted from 0.
    pub fn new(number: usize, servers: Vec<Pid>, recorder: Recorder) -> Self {
        let value = (number as u64 + 1) * VALUES;
        Self { number, session: Session::new(servers, 0), value, again: None, recorder }
    }

    fn think(&mut self, cx: &mut Ctx<Self>) {
        let pause = cx.random_within(THINKS);
        cx.after(pause, Self::begin);
    }

    fn begin(&mut self, cx: &mut Ctx<Self>) {
        let write = cx.rng().random_bool(0.5).then_some(self.value + 1);
        self.value = write.unwrap_or(self.value);
        if self.recorder.call(self.number, write.map_or(Action::Read(None), Action::Write)) {
            self.session.begin(cx.pid(), write);
            self.ask(cx);
        }
    }

    fn ask(&mut self, cx: &mut Ctx<Self>) {
        if let Some((server, command)) = self.session.question() {
            cx.send(server, command);
            let next = |client: &mut Self, cx: &mut Ctx<Self>| {
                client.session.turn();
                client.ask(cx);
            };
            self.rearm(Some(cx.after(PATIENCE, next)), cx);
        }
    }

    fn rearm(&mut self, again: Option<Timer>, cx: &mut Ctx<Self>) {
        if let Some(before) = std::mem::replace(&mut self.again, again) {
            cx.cancel(&before);
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Ctx<Self>) {
        if self.session.answered(&answer) {
            self.rearm(None, cx);
            self.recorder.returned(self.number, answer.value);
            self.think(cx);
        }
    }

    fn redirect(&mut self, redirect: Redirect, cx: &mut Ctx<Self>) {
        if self.session.redirected(&redirect) {
            self.rearm(Some(cx.after(PAUSE, Self::ask)), cx);
        }
    }
}

impl Process for Client {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::answer).on(Self::redirect);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.think(cx);
    }
}
