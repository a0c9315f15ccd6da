//! Round trips between two OS processes. In one shell `ping-pong pong`, which prints its PID; in
//! another `ping-pong ping <that PID> [count]`, which prints how long the answers took.

use std::process::ExitCode;
use std::time::Duration;

use libprocess::{Ctx, Node, Pid, Process, Routes, Time, real};
use tokio::sync::oneshot;

/// Round trips that are not counted: the first one waits for the connection.
const WARM_UP: u64 = 10;
const DEFAULT_COUNT: u64 = 1000;

type Failure = Box<dyn std::error::Error>;

#[derive(Clone, PartialEq, prost::Message)]
struct Ping(#[prost(uint64, tag = "1")] u64);

impl prost::Name for Ping {
    const PACKAGE: &'static str = "pingpong";
    const NAME: &'static str = "Ping";
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pong(#[prost(uint64, tag = "1")] u64);

impl prost::Name for Pong {
    const PACKAGE: &'static str = "pingpong";
    const NAME: &'static str = "Pong";
}

/// Answers each ping.
struct Answerer;

impl Process for Answerer {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::ping);
    }
}

impl Answerer {
    fn ping(&mut self, ping: Ping, cx: &mut Ctx<Self>) {
        if ping.0 == 0 {
            // Without a link each answer would open a connection of its own.
            cx.link(cx.from());
        }
        cx.reply(&Pong(ping.0));
    }
}

/// Sends a ping, waits for its pong, sends the next.
struct Asker {
    peer: Pid,
    count: u64,
    asked: Time,
    took: Vec<Duration>,
    /// Told at the end; dropped when the peer is gone.
    done: Option<oneshot::Sender<Vec<Duration>>>,
}

impl Process for Asker {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::pong);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        // A link keeps the connection open and tells when it breaks.
        cx.link(&self.peer);
        self.ask(0, cx);
    }

    fn exited(&mut self, _: &Pid, cx: &mut Ctx<Self>) {
        cx.stop();
    }
}

impl Asker {
    fn ask(&mut self, number: u64, cx: &mut Ctx<Self>) {
        self.asked = cx.now();
        cx.send(&self.peer, &Ping(number));
    }

    fn pong(&mut self, pong: Pong, cx: &mut Ctx<Self>) {
        if pong.0 >= WARM_UP {
            self.took.push(cx.now() - self.asked);
        }
        if pong.0 + 1 < WARM_UP + self.count {
            self.ask(pong.0 + 1, cx);
        } else if let Some(done) = self.done.take() {
            // Nobody waits any more when the program is about to end.
            let _ = done.send(std::mem::take(&mut self.took));
            cx.stop();
        }
    }
}

async fn pong(node: Node) -> Result<(), Failure> {
    let answerer = node.spawn("pong", Answerer)?;
    println!("{}", answerer.pid());
    node.wait(answerer.pid()).await;
    Ok(())
}

async fn ping(node: Node, peer: &str, count: u64) -> Result<(), Failure> {
    let peer: Pid = peer.parse()?;
    let (done, result) = oneshot::channel();
    let asked = Time::EPOCH;
    node.spawn("ping", Asker { peer, count, asked, took: Vec::new(), done: Some(done) })?;
    let mut took = result.await.map_err(|_| "the peer is gone")?;
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!("{} round trips", took.len());
    for (name, percent) in [("fastest", 0), ("median", 50), ("99 %", 99), ("slowest", 100)] {
        println!("{name:>8} {:>10.1} us", at(percent).as_secs_f64() * 1e6);
    }
    Ok(())
}

async fn run(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let config = real::Config { ip: [127, 0, 0, 1].into(), ..real::Config::default() };
    let node = real::start(config.from_env(|name| std::env::var(name).ok())?).await?;
    match words[..] {
        ["pong"] => pong(node).await,
        ["ping", peer] => ping(node, peer, DEFAULT_COUNT).await,
        ["ping", peer, count] => match count.parse() {
            Ok(0) | Err(_) => Err("the count must be a number of at least 1".into()),
            Ok(count) => ping(node, peer, count).await,
        },
        _ => Err("usage: ping-pong pong | ping-pong ping <pid> [count]".into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match real::run(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ping-pong: {error}");
            ExitCode::FAILURE
        }
    }
}
