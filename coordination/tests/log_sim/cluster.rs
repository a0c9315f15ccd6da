//! An ensemble in a simulated world: a replica and a client that writes on each host.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::log::{Log, LogConfig, LogError, Network, Planted, Value, Writer};
use libprocess::sim::{Verdict, World};
use libprocess::{Ctx, Envelope, Node, NodeConfig, Pid, Process, Routes, Time};
use protos::mesos::internal::log::metadata::Status;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::history::{History, Shared};

const LIMIT: Duration = Duration::from_secs(120);

/// What a host has beside its disk.
#[derive(Default)]
pub(crate) struct Host {
    /// How often the host lost its disk.
    pub(crate) wipes: u64,
    pub(crate) log: Option<Log>,
}

pub(crate) type Hosts = Arc<Mutex<BTreeMap<SocketAddrV4, Host>>>;

pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) size: u8,
    pub(crate) hosts: Hosts,
    pub(crate) history: Shared,
}

pub(crate) fn address(host: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, host), 5050)
}

/// Writes whenever it can, from one election to the next.
struct Client {
    log: Log,
    writer: Option<Writer>,
    history: Shared,
    attempt: u64,
    last: u64,
}

impl Process for Client {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.attempt = cx.now().as_nanos();
        self.pause(cx);
    }
}

impl Client {
    fn pause(&mut self, cx: &mut Ctx<Self>) {
        let pause = cx.random_within(Duration::from_secs(4));
        cx.after(pause, Self::elect);
    }

    fn elect(&mut self, cx: &mut Ctx<Self>) {
        self.attempt += 1;
        let writer = self.log.writer(cx.node());
        cx.defer(writer.elect(), |client: &mut Self, elected, cx| {
            let Ok(Some(elected)) = elected else { return client.pause(cx) };
            let host = cx.node().address();
            client.history.lock().unwrap().elected(elected.proposal, host, client.attempt);
            for _ in 0..cx.rng().random_range(1..4) {
                client.write(cx);
            }
        });
        self.writer = Some(writer);
    }

    fn write(&mut self, cx: &mut Ctx<Self>) {
        let Some(writer) = &self.writer else { return };
        let value = match cx.rng().random_range(0..10) {
            0 => Value::Truncate(self.last.saturating_sub(3)),
            _ => Value::Append(cx.uuid().to_string().into()),
        };
        self.history.lock().unwrap().asked(&value);
        let written = match &value {
            Value::Truncate(to) => writer.truncate(*to),
            Value::Append(bytes) => writer.append(bytes.clone()),
            Value::Nop => unreachable!("not drawn"),
        };
        let term = self.attempt;
        cx.defer(written, move |client: &mut Self, written: Result<Option<u64>, LogError>, cx| {
            let Ok(Some(position)) = written else {
                if client.writer.is_some() && client.attempt == term {
                    client.writer = None;
                    client.pause(cx);
                }
                return;
            };
            client.history.lock().unwrap().acked(position, value);
            client.last = client.last.max(position);
            if client.attempt == term {
                let pause = cx.random_within(Duration::from_millis(300));
                cx.after(pause, Self::write);
            }
        });
    }
}

fn start(node: &Node, size: u8, planted: Planted, hosts: &Hosts, history: &Shared) {
    let members = (1..=size).map(|host| Pid::new("log-replica(1)", address(host)));
    let mut hosts = hosts.lock().unwrap();
    let host = hosts.entry(node.address()).or_default();
    let dir = format!("/disk-{}/replicated_log", host.wipes);
    let quorum = usize::from(size) / 2 + 1;
    let config = LogConfig {
        planted,
        segment_bytes: 2000,
        ..LogConfig::new(dir, quorum, Network::new(members))
    };
    let log = Log::start(node, config).unwrap();
    host.log = Some(log.clone());
    let history = history.clone();
    let client = Client { log, writer: None, history, attempt: 0, last: 0 };
    node.spawn("client", client).unwrap();
}

impl Cluster {
    pub(crate) fn new(seed: u64, size: u8, planted: Planted) -> Self {
        Self::over(World::new(seed), size, planted)
    }

    pub(crate) fn over(mut world: World, size: u8, planted: Planted) -> Self {
        let (hosts, history) = (Hosts::default(), Arc::new(Mutex::new(History::default())));
        for host in 1..=size {
            let node = world.node(address(host), NodeConfig::default());
            let skew = world.rng().random_range(-2_000_000_000..2_000_000_000);
            world.skew(address(host), skew);
            let (hosts, history) = (hosts.clone(), history.clone());
            world.on_start(&node, move |node| start(node, size, planted, &hosts, &history));
        }
        let cluster = Self { world, size, hosts, history };
        cluster.watch()
    }

    /// Has the history see all messages, whatever happens to them.
    pub(crate) fn watch(mut self) -> Self {
        self.rewatch();
        self
    }

    pub(crate) fn rewatch(&mut self) {
        let history = self.history.clone();
        self.world.add_rule(move |envelope: &Envelope, _: &mut ChaCha8Rng, _: Time| {
            history.lock().unwrap().saw(envelope);
            Verdict::Pass
        });
    }

    pub(crate) fn log(&self, host: u8) -> Option<Log> {
        self.world.living(address(host))?;
        self.hosts.lock().unwrap().get(&address(host))?.log.clone()
    }

    /// Lets the world go on until a future of a node has a result; None when it does not in time.
    pub(crate) fn wait<T: Send + 'static>(
        &mut self,
        host: u8,
        limit: Duration,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        struct Waiter;
        impl Process for Waiter {
            fn routes(_: &mut Routes<Self>) {}
        }
        let slot = Arc::new(Mutex::new(None));
        let put = slot.clone();
        let waiter = self.world.living(address(host))?.spawn_numbered("waiter", Waiter);
        waiter.tell(move |_, cx: &mut Ctx<Waiter>| {
            cx.defer(future, move |_, value, cx| {
                *put.lock().unwrap() = Some(value);
                cx.stop();
            });
        });
        self.world.run_until(limit, |_| slot.lock().unwrap().is_some()).ok()?;
        slot.lock().unwrap().take()
    }

    /// True when the replica of a host votes.
    pub(crate) fn votes(&mut self, host: u8) -> bool {
        let Some(log) = self.log(host) else { return false };
        let status = self.wait(host, Duration::from_secs(1), log.status());
        matches!(status, Some(Ok(status)) if status.status == Status::Voting)
    }

    pub(crate) fn wait_until_all_vote(&mut self) -> Result<(), String> {
        for host in 1..=self.size {
            let end = self.world.now() + LIMIT;
            while !self.votes(host) {
                if self.world.now() > end {
                    return Err(format!("host {host} does not vote"));
                }
                self.world.run_for(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// Waits for twenty acknowledgements more.
    pub(crate) fn wait_for_progress(&mut self) -> Result<(), String> {
        let acks = |history: &Shared| history.lock().unwrap().acks;
        let goal = acks(&self.history) + 20;
        let history = self.history.clone();
        let reached = self.world.run_until(LIMIT, |_| acks(&history) >= goal);
        reached.map(drop).map_err(|error| format!("no progress: {error}"))
    }

    /// Has each replica in turn settle all it knows, and tell it.
    pub(crate) fn compare_replicas(&mut self) -> Result<(), String> {
        for host in 1..=self.size {
            let end = self.world.now() + LIMIT;
            while !self.read(host)? {
                if self.world.now() > end {
                    return Err(format!("host {host} is never elected"));
                }
                self.world.run_for(Duration::from_millis(500));
            }
        }
        Ok(())
    }

    fn read(&mut self, host: u8) -> Result<bool, String> {
        let (Some(log), Some(node)) = (self.log(host), self.world.living(address(host))) else {
            return Err(format!("host {host} is gone"));
        };
        let writer = log.writer(&node);
        let last = self.history.lock().unwrap().last_acked();
        let Some(Ok(Some(elected))) = self.wait(host, LIMIT, writer.elect()) else {
            return Ok(false);
        };
        let end = elected.last;
        self.history.lock().unwrap().elected(elected.proposal, address(host), 0);
        let Some(Ok(status)) = self.wait(host, LIMIT, log.status()) else { return Ok(false) };
        let entries = match end < status.begin {
            true => Vec::new(),
            false => match self.wait(host, LIMIT, log.read(status.begin, end)) {
                Some(Ok(entries)) => entries,
                // Truncated meanwhile.
                _ => return Ok(false),
            },
        };
        self.history.lock().unwrap().read(address(host), status.begin, last, &entries);
        Ok(true)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(panic) = self.world.panics().first() {
            return Err(format!("{panic} panicked"));
        }
        self.history.lock().unwrap().check()
    }
}
