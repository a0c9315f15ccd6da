//! The runtime's own promises under mixed faults, over many seeds: order and at most once on a
//! connection, no exited event without a link, what is on disk stays there, and progress as soon as
//! the faults stop. `SIM_SEEDS=1000` runs a thousand seeds, `SEED=x` one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libprocess::sim::{FaultKind, Menu, Plan, World, explore_faults};
use libprocess::{Ctx, NodeConfig, Pid, Process, Routes};

const NODES: u8 = 5;
const LOG: &str = "/log";

#[derive(Clone, PartialEq, prost::Message)]
struct Numbered {
    /// The sender's life.
    #[prost(uint64, tag = "1")]
    life: u64,
    #[prost(uint64, tag = "2")]
    number: u64,
}

impl prost::Name for Numbered {
    const PACKAGE: &'static str = "test";
    const NAME: &'static str = "Numbered";
}

/// What all processes of a run have seen, for the checkers; apart from the processes themselves,
/// so that crashes do not take it along.
#[derive(Default)]
struct Seen {
    /// By receiver's life and sender's: the numbers in the order of their arrival.
    arrived: BTreeMap<(u64, u64), Vec<u64>>,
    /// By node: what its disk has confirmed.
    durable: BTreeMap<SocketAddrV4, BTreeSet<u64>>,
    /// By node: links made and not yet used up, by its present life.
    links: BTreeMap<SocketAddrV4, BTreeSet<Pid>>,
    lives: u64,
    wrong: Vec<String>,
}

type Shared = Arc<Mutex<Seen>>;

/// Sends numbers to all others, keeps links to them, and writes what it sends to its disk.
struct Chatter {
    seen: Shared,
    peers: Vec<Pid>,
    life: u64,
    number: u64,
}

impl Process for Chatter {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::arrived);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let here = cx.pid().address();
        {
            let mut seen = self.seen.lock().unwrap();
            seen.lives += 1;
            self.life = seen.lives;
            seen.links.insert(here, BTreeSet::new());
        }
        for peer in self.peers.clone() {
            self.link(&peer, cx);
        }
        let disk = cx.disk();
        let read = async move { disk.read(Path::new(LOG)).await.ok() };
        cx.defer(read, |chatter, log, cx| chatter.recovered(log, cx));
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        let here = cx.pid().address();
        {
            let mut seen = self.seen.lock().unwrap();
            if !seen.links.get_mut(&here).is_some_and(|links| links.remove(pid)) {
                seen.wrong.push(format!("{here} was told of {pid} without a link"));
            }
        }
        let pid = pid.clone();
        cx.after(Duration::from_millis(200), move |chatter, cx| chatter.link(&pid, cx));
    }
}

impl Chatter {
    fn link(&mut self, to: &Pid, cx: &mut Ctx<Self>) {
        let here = cx.pid().address();
        self.seen.lock().unwrap().links.entry(here).or_default().insert(to.clone());
        cx.link(to);
    }

    /// Whatever was confirmed before the crash must be there; more may be, and a torn end.
    fn recovered(&mut self, log: Option<bytes::Bytes>, cx: &mut Ctx<Self>) {
        if let Some(log) = log {
            let text = String::from_utf8_lossy(&log);
            let there: BTreeSet<u64> = text.split_terminator('\n').flat_map(str::parse).collect();
            let here = cx.pid().address();
            let mut seen = self.seen.lock().unwrap();
            let lost: Vec<_> = seen
                .durable
                .get(&here)
                .map(|durable| durable.difference(&there).copied().collect())
                .unwrap_or_default();
            if !lost.is_empty() {
                seen.wrong.push(format!("{here} lost {lost:?} from its disk"));
            }
        }
        self.beat(cx);
    }

    fn beat(&mut self, cx: &mut Ctx<Self>) {
        self.number += 1;
        for peer in &self.peers {
            cx.send(peer, &Numbered { life: self.life, number: self.number });
        }
        // Names of entries are unique over all lives; a line before ends what was torn.
        let entry = self.life * 1_000_000 + self.number;
        let (disk, line) = (cx.disk(), format!("\n{entry}\n"));
        let write = async move { disk.append(Path::new(LOG), line.into()).await };
        cx.defer(write, move |chatter, written, cx| {
            if written.is_ok() {
                let here = cx.pid().address();
                let mut seen = chatter.seen.lock().unwrap();
                seen.durable.entry(here).or_default().insert(entry);
            }
        });
        let pause = cx.random_within(Duration::from_millis(200));
        cx.after(pause, Self::beat);
    }

    fn arrived(&mut self, message: Numbered, _: &mut Ctx<Self>) {
        let mut seen = self.seen.lock().unwrap();
        seen.arrived.entry((self.life, message.life)).or_default().push(message.number);
    }
}

fn address(number: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, number), 5050)
}

fn menu() -> Menu {
    Menu {
        nodes: (1..=NODES).map(address).collect(),
        within: Duration::from_secs(30),
        most: 8,
        crashes: true,
    }
}

fn start(world: &mut World, seen: &Shared) {
    for number in 1..=NODES {
        let node = world.node(address(number), NodeConfig::default());
        let others = (1..=NODES).filter(|other| *other != number);
        let peers: Vec<_> = others.map(|other| Pid::new("chatter", address(other))).collect();
        let seen = seen.clone();
        world.on_start(&node, move |node| {
            let chatter = Chatter { seen: seen.clone(), peers: peers.clone(), life: 0, number: 0 };
            node.spawn("chatter", chatter).unwrap();
        });
    }
}

/// Between two lives, numbers arrive once and in order, except under faults that say otherwise.
fn check_order(seen: &Seen, plan: &Plan) {
    let has = |wanted: fn(&FaultKind) -> bool| plan.faults.iter().any(|f| wanted(&f.kind));
    let doubled = has(|kind| matches!(kind, FaultKind::Duplication(_)));
    let reordered = has(|kind| matches!(kind, FaultKind::Reorder(..)));
    for ((to, from), numbers) in &seen.arrived {
        let distinct: BTreeSet<_> = numbers.iter().collect();
        assert!(doubled || distinct.len() == numbers.len(), "{from} to {to}: {numbers:?} twice");
        let in_order = numbers.is_sorted();
        assert!(reordered || in_order, "{from} to {to}: {numbers:?} out of order");
    }
}

/// The life that a node has now, by whose messages arrive last at it.
fn arrivals(seen: &Seen) -> usize {
    seen.arrived.values().map(Vec::len).sum()
}

#[test]
fn runtime_keeps_its_promises_under_mixed_faults() {
    explore_faults(10, &menu(), |world, plan| {
        let seen = Shared::default();
        start(world, &seen);
        plan.play(world, Duration::from_secs(30));
        // The faults are over: soon everybody hears from everybody, in their present lives.
        world.clear_rules();
        let before = arrivals(&seen.lock().unwrap());
        let lives = seen.lock().unwrap().lives;
        world.run_for(Duration::from_secs(10));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.wrong, Vec::<String>::new());
        assert_eq!(seen.lives, lives, "nobody crashes when it is quiet");
        check_order(&seen, plan);
        // Five nodes, four peers each, about ten messages a second, ten seconds.
        let more = arrivals(&seen) - before;
        assert!(more > 1_000, "only {more} messages in a quiet world");
        assert_eq!(world.panics(), Vec::<String>::new());
    });
}

#[test]
fn chart_of_a_run_shows_messages_and_crashes() {
    let mut world = World::new(1);
    let seen = Shared::default();
    world.keep_chart();
    start(&mut world, &seen);
    world.run_for(Duration::from_millis(300));
    world.crash(address(2));
    world.run_for(Duration::from_millis(300));
    let chart = world.chart();
    assert!(chart.arrows().iter().any(|arrow| arrow.to.address() == address(2)));
    assert!(chart.to_text().contains("10.0.0.2:5050 crash"));
    assert!(chart.to_html("five nodes").contains("10.0.0.5:5050"));
}
