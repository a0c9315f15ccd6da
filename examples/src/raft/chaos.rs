//! A simulated cluster of servers and clients in a storm of faults, after which all is well again.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libprocess::sim::{Cut, Timeout, Verdict, World, loss, partition};
use libprocess::{Envelope, NodeConfig, Pid, Time};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::Bug;
use super::client::Client;
use super::history::{History, Recorder};
use super::server::{Server, Settings};

/// How often servers crash while the network has the same faults.
const CRASHES: u32 = 4;
/// How long the calm after the storm may take until every client has its answer.
const CALM: Duration = Duration::from_secs(30);
/// Clients live in another network, on hosts 10.0.1.x.
const CLIENTS: u8 = 1;

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many servers.
    pub servers: u8,
    /// How many clients.
    pub clients: u8,
    /// How many rounds of faults.
    pub rounds: u32,
    /// The mistake that the servers make.
    pub bug: Option<Bug>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { servers: 3, clients: 4, rounds: 8, bug: Bug::planted() }
    }
}

fn ip(network: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, network, number + 1)
}

fn pid(id: &str, network: u8, number: u8) -> Pid {
    Pid::new(id, SocketAddrV4::new(ip(network, number), 5050))
}

/// Runs a plan and returns what the clients saw.
///
/// # Errors
/// [`Timeout`] when a client waits for an answer for too long after the faults have ended.
pub fn run(world: &mut World, plan: Plan) -> Result<History, Timeout> {
    let recorder = Recorder::default();
    let servers: Vec<Pid> = (0..plan.servers).map(|number| pid("raft", 0, number)).collect();
    for server in &servers {
        let settings = Settings {
            servers: servers.clone(),
            file: "/raft/records".into(),
            patience: Duration::from_millis(150),
            repeat: Duration::from_millis(40),
            bug: plan.bug,
        };
        let node = world.node(server.address(), NodeConfig::default());
        // Fails only for an id that is taken, and a new node has no others.
        world.on_start(&node, move |node| drop(node.spawn("raft", Server::new(settings.clone()))));
    }
    for number in 0..plan.clients {
        let client = Client::new(number.into(), servers.clone(), recorder.clone());
        let address = pid("client", CLIENTS, number).address();
        drop(world.node(address, NodeConfig::default()).spawn("client", client));
    }
    for _ in 0..plan.rounds {
        disturb_network(world, &servers);
        for _ in 0..CRASHES {
            pass(world, 10..300);
            crash(world, &servers);
            let soon = world.rng().random_bool(0.5);
            pass(world, if soon { 1..30 } else { 30..300 });
            for server in &servers {
                if world.living(server).is_none() {
                    world.restart(server);
                }
            }
        }
    }
    world.clear_rules();
    recorder.close();
    world.run_until(CALM, |_| recorder.is_complete())?;
    Ok(recorder.seen())
}

fn pass(world: &mut World, millis: std::ops::Range<u64>) {
    let pause = world.rng().random_range(millis);
    world.run_for(Duration::from_millis(pause));
}

/// Replaces the network's faults by others.
fn disturb_network(world: &mut World, servers: &[Pid]) {
    world.clear_rules();
    if world.rng().random_bool(0.3) {
        world.add_rule(loss(0.1));
    }
    if world.rng().random_bool(0.3) {
        world.add_rule(
            |_: &Envelope, rng: &mut ChaCha8Rng, _: Time| {
                if rng.random_bool(0.1) { Verdict::Duplicate } else { Verdict::Pass }
            },
        );
    }
    let ips: Vec<Ipv4Addr> = servers.iter().map(|server| *server.address().ip()).collect();
    let cut = if world.rng().random_bool(0.3) { Cut::OneWay } else { Cut::Both };
    let one = ips.choose(world.rng()).copied();
    let rest = ips.iter().copied().filter(|ip| Some(*ip) != one);
    match world.rng().random_range(0..8) {
        // One server is cut off from the others.
        0 | 1 => drop(world.add_rule(partition(one, rest, cut))),
        // Two servers do not reach each other; a third one hears both.
        2..=5 => drop(world.add_rule(partition(one, rest.take(1), cut))),
        // Everybody is slow now and then.
        6 => drop(world.add_rule(|_: &Envelope, rng: &mut ChaCha8Rng, _: Time| {
            let delay = Duration::from_millis(rng.random_range(0..100));
            if rng.random_bool(0.1) { Verdict::Delay(delay) } else { Verdict::Pass }
        })),
        _ => {}
    }
}

/// Crashes one server, or all: at any time, or right after it has said something.
fn crash(world: &mut World, servers: &[Pid]) {
    let said =
        ["raft.Vote", "raft.Vote", "raft.Appended", "raft.Appended", "raft.Append", "raft.Answer"];
    match world.rng().random_range(0..8) {
        0 => servers.iter().for_each(|server| world.crash_torn(server)),
        1 => {
            if let Some(server) = servers.choose(world.rng()) {
                world.crash_torn(server);
            }
        }
        _ => {
            if let Some(name) = said.choose(world.rng()) {
                crash_sender(world, name);
            }
        }
    }
}

fn crash_sender(world: &mut World, name: &'static str) {
    let sender = Arc::new(Mutex::new(None));
    let seen = sender.clone();
    let rule = world.add_rule(move |envelope: &Envelope, _: &mut ChaCha8Rng, _: Time| {
        if *envelope.name == *name {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(envelope.from.clone());
        }
        Verdict::Pass
    });
    let mut found = None;
    // Nobody may say it for a while: then nobody crashes.
    let _ = world.run_until(Duration::from_secs(1), |_| {
        found = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        found.is_some()
    });
    world.remove_rule(rule);
    if let Some(sender) = found {
        world.crash_torn(sender);
    }
}
