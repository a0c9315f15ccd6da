//! The smallest example: short indeed, and it does what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::{Program, http};
use libprocess::{Ctx, Envelope, Pid, Process, Routes, real};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Greets once and passes on what is answered.
struct Caller {
    greeter: Pid,
    heard: UnboundedSender<Envelope>,
}

impl Process for Caller {
    fn routes(routes: &mut Routes<Self>) {
        routes.otherwise(|caller, envelope, _| drop(caller.heard.send(envelope)));
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        // Field 1 of the message is the text "hi".
        cx.send_raw(&self.greeter, "example.Hello".into(), (&b"\x0a\x02hi"[..]).into());
    }
}

#[test]
fn hello_actor_greeted_by_another_process_answers_and_counts() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_hello-actor"), &[]);
    let greeter: Pid = program.line().split(' ').next().unwrap().parse().unwrap();
    let (heard, mut answers) = unbounded_channel();
    let caller = Caller { greeter: greeter.clone(), heard };
    let answer = real::run(async {
        let ip = [127, 0, 0, 1].into();
        let node = real::start(real::Config { ip, ..real::Config::default() }).await.unwrap();
        node.spawn("caller", caller).unwrap();
        answers.recv().await.unwrap()
    });
    assert_eq!(answer.body, &b"\x0a\x06hi too"[..]);
    let heard = http(greeter.address(), "GET", "/greeter/heard", "");
    assert_eq!(heard.as_deref(), Some("1\n"));
    // The timer goes on by itself.
    while program.line() != format!("{greeter} heard 1 greetings") {}
}

#[test]
fn hello_actor_has_thirty_lines_with_its_message() {
    let source = include_str!("../src/bin/hello-actor.rs");
    let actor = source.split("#[derive").nth(1).unwrap().split("fn main").next().unwrap();
    let lines = actor.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 30, "{lines} lines");
}
