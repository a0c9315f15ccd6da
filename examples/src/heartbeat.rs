//! A failure detector: everybody tells everybody else each period that it is alive, and suspects
//! whom it has not heard of for too long.
//!
//! Complete: who has crashed is suspected by all, [`Timing::detects_within`] later. Accurate while
//! the network is: nobody is suspected whose heartbeats come in time. Over a network that delays
//! them without bound no detector can have both; this one learns from its errors, so that with
//! delays that have *some* bound, unknown to it, it errs only so often (eventually perfect).

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::http::{Request, Response};
use libprocess::{Ctx, Help, Pid, Process, Routes, Time};

/// Says that its sender is alive.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Heartbeat {}

crate::named!("heartbeat": Heartbeat);

/// When to send and when to suspect.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Time between two heartbeats, and between two looks at who is overdue.
    pub period: Duration,
    /// How long a peer may be silent at first. Grows by a period with each wrong suspicion.
    pub timeout: Duration,
}

impl Timing {
    /// How long after its crash a peer that was never wrongly suspected is suspected at the latest,
    /// when messages take `latency` at most.
    pub fn detects_within(&self, latency: Duration) -> Duration {
        latency + self.timeout + self.period
    }
}

/// What changed in the mind of a detector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A peer was silent for too long.
    Suspected(Pid),
    /// A peer was heard that was suspected, or not known.
    Trusted(Pid),
}

#[derive(Debug)]
struct Peer {
    heard: Time,
    timeout: Duration,
    suspected: bool,
}

/// The deciding half: who is suspected, as a function of who was heard when.
#[derive(Debug)]
pub struct Suspicions {
    timing: Timing,
    peers: BTreeMap<Pid, Peer>,
}

impl Suspicions {
    /// Nobody is known yet.
    pub fn new(timing: Timing) -> Self {
        Self { timing, peers: BTreeMap::new() }
    }

    /// Watches a peer, which has until its timeout to be heard; no effect on one that is known.
    pub fn watch(&mut self, peer: Pid, now: Time) {
        let fresh = Peer { heard: now, timeout: self.timing.timeout, suspected: false };
        self.peers.entry(peer).or_insert(fresh);
    }

    /// A peer was heard.
    pub fn heard(&mut self, pid: &Pid, now: Time) -> Option<Change> {
        let Some(peer) = self.peers.get_mut(pid) else {
            self.watch(pid.clone(), now);
            return Some(Change::Trusted(pid.clone()));
        };
        peer.heard = now;
        if !peer.suspected {
            return None;
        }
        peer.suspected = false;
        peer.timeout += self.timing.period;
        Some(Change::Trusted(pid.clone()))
    }

    /// Suspects whoever is overdue.
    pub fn look(&mut self, now: Time) -> Vec<Change> {
        let mut changes = Vec::new();
        for (pid, peer) in &mut self.peers {
            if !peer.suspected && now - peer.heard > peer.timeout {
                peer.suspected = true;
                changes.push(Change::Suspected(pid.clone()));
            }
        }
        changes
    }

    /// All peers, sorted, and whether they are suspected.
    pub fn peers(&self) -> impl Iterator<Item = (&Pid, bool)> {
        self.peers.iter().map(|(pid, peer)| (pid, peer.suspected))
    }
}

/// Is told of each change, and when it happened.
pub type Watcher = Box<dyn FnMut(Time, Change) + Send>;

/// The actor around [`Suspicions`]. Detectors that it does not know make themselves known by their
/// first heartbeat.
pub struct Detector {
    timing: Timing,
    first: Vec<Pid>,
    suspicions: Suspicions,
    watcher: Watcher,
}

impl Detector {
    /// A detector that knows `peers` from the start.
    pub fn new(timing: Timing, peers: Vec<Pid>, watcher: Watcher) -> Self {
        Self { timing, first: peers, suspicions: Suspicions::new(timing), watcher }
    }

    fn heartbeat(&mut self, _: Heartbeat, cx: &mut Ctx<Self>) {
        if let Some(change) = self.suspicions.heard(cx.from(), cx.now()) {
            (self.watcher)(cx.now(), change);
        }
    }

    fn tick(&mut self, cx: &mut Ctx<Self>) {
        for change in self.suspicions.look(cx.now()) {
            (self.watcher)(cx.now(), change);
        }
        for (peer, _) in self.suspicions.peers() {
            cx.send(peer, &Heartbeat {});
        }
        cx.after(self.timing.period, Self::tick);
    }

    fn show(&mut self, _: Request, _: &mut Ctx<Self>) -> Response {
        let line = |(pid, suspected)| {
            format!("{pid} {}\n", if suspected { "suspected" } else { "trusted" })
        };
        Response::ok("text/plain", self.suspicions.peers().map(line).collect::<String>())
    }
}

impl Process for Detector {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::heartbeat).get(
            "/peers",
            Help::new("Who is known, trusted or suspected", ""),
            Self::show,
        );
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        for peer in std::mem::take(&mut self.first) {
            self.suspicions.watch(peer, cx.now());
        }
        self.tick(cx);
    }
}
