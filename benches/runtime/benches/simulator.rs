//! Claims: the simulator does millions of events a second on one core, with messages encoded and
//! decoded and the trace on; and an hour of a thousand nodes takes less than a minute.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use libprocess::sim::World;
use libprocess::{Ctx, NodeConfig, Pid, Process, Routes};
use runtime_benches::{Blob, Instant, Outcome, report};

/// Sends a message to a friend each second.
struct Heart {
    friend: Pid,
}

impl Process for Heart {
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Blob>(|_, blob, _| drop(std::hint::black_box(blob)));
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let first = cx.random_within(Duration::from_secs(1));
        cx.after(first, Self::beat);
    }
}

impl Heart {
    fn beat(&mut self, cx: &mut Ctx<Self>) {
        cx.send(&self.friend, &Blob::of(20));
        cx.after(Duration::from_secs(1), Self::beat);
    }
}

/// Answers each message with one.
struct Bouncer;

impl Process for Bouncer {
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Blob>(|_, blob, cx| cx.reply(&blob));
    }
}

fn address(number: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + number), 5050)
}

fn bounce() -> Outcome<()> {
    let mut world = World::new(1);
    let nodes: Vec<_> = (0..10).map(|n| world.node(address(n), NodeConfig::default())).collect();
    for node in &nodes {
        for number in 0..10 {
            node.spawn(&format!("bouncer{number}"), Bouncer)?;
        }
    }
    for (at, node) in nodes.iter().enumerate() {
        let next = &nodes[(at + 1) % nodes.len()];
        for number in 0..10 {
            let id = format!("bouncer{number}");
            let (from, to) = (node.pid(&id), next.pid(&id));
            let name = libprocess::MessageName::of::<Blob>();
            let body = prost::Message::encode_to_vec(&Blob::of(20)).into();
            node.post(libprocess::Envelope { from, to, name, body });
        }
    }
    let start = Instant::now();
    let before = world.events();
    while start.elapsed() < Duration::from_secs(5) {
        for _ in 0..100_000 {
            world.step();
        }
    }
    let events = (world.events() - before) as u64;
    report("events", runtime_benches::rate(events, start.elapsed()), "events/s");
    Ok(())
}

fn hour() -> Outcome<()> {
    let mut world = World::new(2);
    let nodes: Vec<_> = (0..1_000).map(|n| world.node(address(n), NodeConfig::default())).collect();
    for (at, node) in nodes.iter().enumerate() {
        for number in 0..10 {
            let id = format!("heart{number}");
            let friend = nodes[(at + 1) % nodes.len()].pid(&id);
            node.spawn(&id, Heart { friend })?;
        }
    }
    let start = Instant::now();
    world.run_for(Duration::from_secs(3600));
    report("1,000 nodes x 10 actors, an hour at 1 Hz", start.elapsed().as_secs_f64(), "s");
    report("events in it", world.events() as f64, "events");
    Ok(())
}

fn main() -> Outcome<()> {
    bounce()?;
    hour()
}
