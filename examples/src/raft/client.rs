//! A client: writes and reads at random, one thing after the other, and records what it sees.

use std::time::Duration;

use libprocess::{Ctx, Pid, Process, Routes, Timer};
use rand::Rng;

use super::history::{Action, Recorder};
use super::messages::{Answer, Command, Redirect};

/// Between two operations, at most.
const THINKS: Duration = Duration::from_millis(200);
/// How long it waits before it asks the next server.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long it waits when a server has sent it elsewhere.
const PAUSE: Duration = Duration::from_millis(10);
/// Values of different clients differ: a client's are its number times this, plus serial numbers.
const VALUES: u64 = 1_000_000;

/// One client.
pub struct Client {
    number: usize,
    servers: Vec<Pid>,
    /// The server that it asks.
    server: usize,
    serial: u64,
    wish: Option<Command>,
    again: Option<Timer>,
    recorder: Recorder,
}

impl Client {
    /// Client `number`, counted from 0.
    pub fn new(number: usize, servers: Vec<Pid>, recorder: Recorder) -> Self {
        Self { number, servers, server: 0, serial: 0, wish: None, again: None, recorder }
    }

    fn think(&mut self, cx: &mut Ctx<Self>) {
        let pause = cx.random_within(THINKS);
        cx.after(pause, Self::begin);
    }

    fn begin(&mut self, cx: &mut Ctx<Self>) {
        let value = (self.number as u64 + 1) * VALUES + self.serial + 1;
        let write = cx.rng().random_bool(0.5).then_some(value);
        if !self.recorder.call(self.number, write.map_or(Action::Read(None), Action::Write)) {
            return;
        }
        self.serial += 1;
        self.wish = Some(Command { client: cx.pid().to_string(), serial: self.serial, write });
        self.ask(cx);
    }

    fn ask(&mut self, cx: &mut Ctx<Self>) {
        if let Some(wish) = &self.wish {
            cx.send(&self.servers[self.server], wish);
            self.ask_again_after(PATIENCE, self.server + 1, cx);
        }
    }

    fn ask_again_after(&mut self, pause: Duration, server: usize, cx: &mut Ctx<Self>) {
        let server = server % self.servers.len();
        let again = cx.after(pause, move |client: &mut Self, cx| {
            client.server = server;
            client.ask(cx);
        });
        if let Some(before) = self.again.replace(again) {
            cx.cancel(&before);
        }
    }

    /// True for news of what it wants now, rather than of what it has long got.
    fn waits_for(&self, serial: u64) -> bool {
        self.wish.as_ref().is_some_and(|wish| wish.serial == serial)
    }

    fn answer(&mut self, answer: Answer, cx: &mut Ctx<Self>) {
        if self.waits_for(answer.serial) {
            self.recorder.returned(self.number, answer.value);
            self.wish = None;
            if let Some(again) = self.again.take() {
                cx.cancel(&again);
            }
            self.think(cx);
        }
    }

    fn redirect(&mut self, redirect: Redirect, cx: &mut Ctx<Self>) {
        if self.waits_for(redirect.serial) {
            let leader = redirect.leader.and_then(|pid| pid.parse::<Pid>().ok());
            let known =
                leader.and_then(|pid| self.servers.iter().position(|server| *server == pid));
            self.ask_again_after(PAUSE, known.unwrap_or(self.server + 1), cx);
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
