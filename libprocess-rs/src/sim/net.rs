//! The network between simulated nodes: latency, order, faults, and connections that links watch.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::queue::{Entry, LifeId};
use super::rules::Rules;
use super::state::{Map, State};
use super::trace::Detail;
use crate::driver::LinkMode;
use crate::{Envelope, Time};

/// How long a packet takes.
const LATENCY: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(2));
/// How often what cannot pass a cut is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// After how long a connection attempt without an answer fails, as in the kernel.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);
/// After how long a connection with unanswered packets breaks, about as in the kernel.
const SEND_TIMEOUT: Duration = Duration::from_secs(900);

/// A persistent connection, as the linking node holds it.
struct Connection {
    id: u64,
    /// The peer's life once the connection is made.
    peer: Option<LifeId>,
}

#[derive(Default)]
pub(super) struct Net {
    pub(super) rules: Rules,
    /// When the last message from one node to another arrives: later ones do not overtake it.
    arrivals: Map<(SocketAddrV4, SocketAddrV4), Time>,
    connections: BTreeMap<(LifeId, SocketAddrV4), Connection>,
}

impl State {
    /// Sends a message on its way.
    pub(super) fn transmit(&mut self, from: LifeId, envelope: Envelope) {
        let Some(sender) = self.address_of(from) else {
            return;
        };
        let receiver = envelope.to.address();
        let now = self.now;
        let fate = self.net.rules.judge(&envelope, &mut self.rng, now);
        if fate.copies != 1 {
            let kind = if fate.copies == 0 { "drop" } else { "copy" };
            self.note_message(&sender, kind, &envelope);
        }
        let life = self.life_at(receiver);
        let mut envelope = Some(envelope);
        for copy in 1..=fate.copies {
            let mut at = now + self.draw(LATENCY) + fate.delay;
            match fate.overtaken {
                // As after a new connection: what follows may be there first.
                Some(late) => at = at + late,
                None => {
                    let last = self.net.arrivals.entry((sender, receiver)).or_default();
                    *last = at.max(*last);
                    at = *last;
                }
            }
            let next = if copy == fate.copies { envelope.take() } else { envelope.clone() };
            let Some(envelope) = next else { return };
            if let Some(chart) = &mut self.chart {
                chart.message(now, Some(at), &envelope);
            }
            self.push(at, Entry::Deliver { life, envelope });
        }
        if let (Some(chart), Some(lost)) = (&mut self.chart, envelope) {
            chart.message(now, None, &lost);
        }
    }

    pub(super) fn note_message(
        &mut self,
        at: &SocketAddrV4,
        kind: &'static str,
        envelope: &Envelope,
    ) {
        self.note(at, kind, &Detail::Message(envelope));
    }

    /// Makes the connection that a node's links to `peer` watch.
    pub(super) fn connect(&mut self, life: LifeId, peer: SocketAddrV4, mode: LinkMode) {
        let Some(address) = self.address_of(life) else {
            return;
        };
        let exists = self.net.connections.contains_key(&(life, peer));
        if exists && mode == LinkMode::Reuse {
            return;
        }
        let connection = self.next_id();
        self.note(&address, "connect", &Detail::Peer(peer));
        let fresh = Connection { id: connection, peer: None };
        self.net.connections.insert((life, peer), fresh);
        let at = self.now + self.draw(LATENCY);
        let since = self.now;
        self.push(at, Entry::Connect { life, peer, connection, since });
    }

    fn is_current(&self, life: LifeId, peer: SocketAddrV4, connection: u64) -> bool {
        let held = self.net.connections.get(&(life, peer));
        held.is_some_and(|held| held.id == connection)
    }

    /// A connection attempt reaches its peer, or what is left of it.
    pub(super) fn connected(
        &mut self,
        life: LifeId,
        peer: SocketAddrV4,
        connection: u64,
        since: Time,
    ) {
        let Some(address) = self.address_of(life) else {
            return;
        };
        if !self.is_current(life, peer, connection) {
            return;
        }
        let blocked = self.blocked(address, peer);
        if blocked && self.now.since(since) < CONNECT_TIMEOUT {
            let again = Entry::Connect { life, peer, connection, since };
            self.push(self.now + RETRY, again);
            return;
        }
        let found = self.life_at(peer).filter(|_| !blocked);
        if found.is_none() {
            self.note(&address, "refused", &Detail::Peer(peer));
            let at = self.now + self.draw(LATENCY);
            let lost = Entry::Lost { life, peer, connection, news: None };
            self.push(at, lost);
        } else if let Some(held) = self.net.connections.get_mut(&(life, peer)) {
            held.peer = found;
            self.note(&address, "connected", &Detail::Peer(peer));
        }
    }

    fn blocked(&self, a: SocketAddrV4, b: SocketAddrV4) -> bool {
        self.net.rules.blocks(a, b) || self.net.rules.blocks(b, a)
    }

    /// A node learns that a connection broke; true when its links are to be told.
    pub(super) fn lost(
        &mut self,
        life: LifeId,
        peer: SocketAddrV4,
        connection: u64,
        news: Option<Time>,
    ) -> bool {
        let Some(address) = self.address_of(life) else {
            return false;
        };
        if !self.is_current(life, peer, connection) {
            return false;
        }
        if let Some(since) = news
            && self.net.rules.blocks(peer, address)
            && self.now.since(since) < SEND_TIMEOUT
        {
            let again = Entry::Lost { life, peer, connection, news };
            self.push(self.now + RETRY, again);
            return false;
        }
        self.net.connections.remove(&(life, peer));
        self.note(&address, "lost", &Detail::Peer(peer));
        true
    }

    /// The end of a node breaks the connections to it. News of it cannot pass a cut: the peer then
    /// hears when the cut is healed.
    pub(super) fn break_connections(&mut self, ended: LifeId) {
        self.net.connections.retain(|(life, _), _| *life != ended);
        let broken: Vec<_> = self
            .net
            .connections
            .iter()
            .filter(|(_, connection)| connection.peer == Some(ended))
            .map(|((life, peer), connection)| (*life, *peer, connection.id))
            .collect();
        for (life, peer, connection) in broken {
            let at = self.now + self.draw(LATENCY);
            let news = Some(self.now);
            self.push(at, Entry::Lost { life, peer, connection, news });
        }
    }

    /// Breaks the connections between two nodes in both directions at once.
    pub(super) fn reset(&mut self, a: SocketAddrV4, b: SocketAddrV4) {
        let mut broken = Vec::new();
        for (from, to) in [(a, b), (b, a)] {
            if let Some(life) = self.life_at(from)
                && let Some(held) = self.net.connections.get(&(life, to))
            {
                broken.push((life, to, held.id));
            }
        }
        self.note(&a, "reset", &Detail::Peer(b));
        for (life, peer, connection) in broken {
            self.push_now(Entry::Lost { life, peer, connection, news: None });
        }
    }
}
