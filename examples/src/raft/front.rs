//! A client that people and scripts use over plain HTTP.

use std::collections::VecDeque;

use libprocess::http::{self, Request, Response};
use libprocess::{Ctx, Help, Pid, Process, Routes, Timer};
use tokio::sync::oneshot;

use super::messages::{Answer, Redirect};
use super::session::{PATIENCE, PAUSE, Session};

/// How often a server is asked before a request is answered that nothing is known.
const TRIES: u32 = 30;

const READ_OR_WRITE: Help = Help::new(
    "Reads (GET) or writes (POST, with a number as its body) the register",
    "503 means that no answer was had in time: a write may then have happened, or may yet.",
);

struct Wish {
    write: Option<u64>,
    tell: oneshot::Sender<Response>,
}

/// Carries requests out one after the other, as a session has one wish at a time.
pub struct Front {
    servers: Vec<Pid>,
    session: Session,
    wishes: VecDeque<Wish>,
    tries: u32,
    again: Option<Timer>,
}

impl Front {
    /// A client of `servers`, the first of which it asks first.
    pub fn new(servers: Vec<Pid>) -> Self {
        let session = Session::new(Vec::new(), 0);
        Self { servers, session, wishes: VecDeque::new(), tries: 0, again: None }
    }

    fn request(&mut self, request: Request, cx: &mut Ctx<Self>) -> http::Answer {
        let number =
            std::str::from_utf8(&request.body).ok().and_then(|body| body.trim().parse().ok());
        let write = match (request.method.as_str(), number) {
            ("GET", _) => None,
            ("POST", Some(number)) => Some(number),
            ("POST", None) => return Response::bad_request("the body must be a number").into(),
            (other, _) => return Response::method_not_allowed(&["GET", "POST"], other).into(),
        };
        let (tell, told) = oneshot::channel();
        self.wishes.push_back(Wish { write, tell });
        if self.wishes.len() == 1 {
            self.begin(cx);
        }
        http::Answer::later(async move { told.await.unwrap_or_else(|_| Response::status(503)) })
    }

    /// Goes on with the wish that has waited longest.
    fn begin(&mut self, cx: &mut Ctx<Self>) {
        if let Some(wish) = self.wishes.front() {
            self.session.begin(cx.pid(), wish.write);
            self.tries = 0;
            self.ask(cx);
        }
    }

    fn ask(&mut self, cx: &mut Ctx<Self>) {
        self.tries += 1;
        if self.tries > TRIES {
            self.end(Response::text(503, "no answer\n"), cx);
        } else if let Some((server, command)) = self.session.question() {
            cx.send(server, command);
            let next = |front: &mut Self, cx: &mut Ctx<Self>| {
                front.session.turn();
                front.ask(cx);
            };
            self.rearm(Some(cx.after(PATIENCE, next)), cx);
        }
    }

    fn rearm(&mut self, again: Option<Timer>, cx: &mut Ctx<Self>) {
        if let Some(before) = std::mem::replace(&mut self.again, again) {
            cx.cancel(&before);
        }
    }

    fn end(&mut self, response: Response, cx: &mut Ctx<Self>) {
        self.rearm(None, cx);
        if let Some(wish) = self.wishes.pop_front() {
            // Who asked may have hung up.
            let _ = wish.tell.send(response);
        }
        self.begin(cx);
    }

    fn answer(&mut self, answer: Answer, cx: &mut Ctx<Self>) {
        if self.session.answered(&answer) {
            self.end(Response::text(200, format!("{}\n", answer.value)), cx);
        }
    }

    fn redirect(&mut self, redirect: Redirect, cx: &mut Ctx<Self>) {
        if self.session.redirected(&redirect) {
            self.rearm(Some(cx.after(PAUSE, Self::ask)), cx);
        }
    }
}

impl Process for Front {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::answer).on(Self::redirect).any("/value", READ_OR_WRITE, Self::request);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        // The clock is ahead of the serial numbers that earlier lives of this process used.
        self.session = Session::new(std::mem::take(&mut self.servers), cx.now().as_nanos());
    }
}
