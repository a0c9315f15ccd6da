//! What happened, one line for each event, and a hash over all of it.

use std::fmt::Write;
use std::hash::Hasher;
use std::net::SocketAddrV4;

use rustc_hash::FxHasher;

use crate::{Envelope, Pid, Time};

/// What an event is about, besides its time, node and kind. Formatted only where somebody reads it.
pub(super) enum Detail<'a> {
    Nothing,
    Number(u64),
    /// A process of the node.
    Process(&'a Pid),
    Message(&'a Envelope),
    Peer(SocketAddrV4),
    Text(std::fmt::Arguments<'a>),
}

impl Detail<'_> {
    fn hash(&self, hash: &mut FxHasher) {
        match self {
            Detail::Nothing => {}
            Detail::Number(number) => hash.write_u64(*number),
            Detail::Process(pid) => hash.write(pid.id().as_bytes()),
            Detail::Message(envelope) => {
                hash_pid(&envelope.from, hash);
                hash_pid(&envelope.to, hash);
                hash.write(envelope.name.as_bytes());
                hash.write(&envelope.body);
            }
            Detail::Peer(peer) => hash.write_u64(number_of(*peer)),
            Detail::Text(text) => hash.write(text.to_string().as_bytes()),
        }
    }
}

impl std::fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Detail::Nothing => Ok(()),
            Detail::Number(number) => write!(f, "{number}"),
            Detail::Process(pid) => f.write_str(pid.id()),
            Detail::Message(Envelope { from, to, name, .. }) => write!(f, "{from} {to} {name}"),
            Detail::Peer(peer) => write!(f, "{peer}"),
            Detail::Text(text) => write!(f, "{text}"),
        }
    }
}

fn number_of(address: SocketAddrV4) -> u64 {
    u64::from(u32::from(*address.ip())) << 16 | u64::from(address.port())
}

fn hash_pid(pid: &Pid, hash: &mut FxHasher) {
    hash.write(pid.id().as_bytes());
    hash.write_u64(number_of(pid.address()));
}

/// Where two runs of one seed went apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run of seed {seed} differs from the first at event {event}: {line}")]
pub struct Diverged {
    /// The seed.
    pub seed: u64,
    /// Number of the first event that differs, from 0.
    pub event: usize,
    /// The second run's line of that event, or what is missing.
    pub line: String,
}

/// A running hash over events; keeps, prints or compares their lines when asked to.
pub(super) struct Trace {
    hash: u64,
    line: String,
    print: bool,
    lines: Option<Vec<String>>,
    hashes: Option<Vec<u64>>,
    expected: Option<Vec<u64>>,
    diverged: Option<(usize, String)>,
    events: usize,
}

impl Trace {
    pub(super) fn new(print: bool) -> Self {
        Self {
            hash: 0,
            line: String::new(),
            print,
            lines: None,
            hashes: None,
            expected: None,
            diverged: None,
            events: 0,
        }
    }

    /// Adds one event at a node, or of the world itself.
    pub(super) fn note(
        &mut self,
        now: Time,
        at: Option<SocketAddrV4>,
        kind: &str,
        detail: &Detail<'_>,
    ) {
        let mut hash = FxHasher::default();
        hash.write_u64(self.hash);
        hash.write_u64(now.as_nanos());
        hash.write_u64(at.map_or(u64::MAX, number_of));
        hash.write(kind.as_bytes());
        detail.hash(&mut hash);
        self.hash = hash.finish();
        if self.print || self.lines.is_some() || self.expected.is_some() {
            self.write(now, at, kind, detail);
        }
        if let Some(hashes) = &mut self.hashes {
            hashes.push(self.hash);
        }
        self.events += 1;
    }

    /// Formats an event for those who read it.
    fn write(&mut self, now: Time, at: Option<SocketAddrV4>, kind: &str, detail: &Detail<'_>) {
        let expected = self.expected.as_ref().map(|expected| expected.get(self.events));
        let diverges = expected.is_some_and(|expected| expected != Some(&self.hash));
        if !self.print && self.lines.is_none() && !diverges {
            return;
        }
        self.line.clear();
        // Writing to a string cannot fail.
        let _ = match at {
            Some(at) => write!(self.line, "{now:?} {at} {kind} {detail}"),
            None => write!(self.line, "{now:?} world {kind} {detail}"),
        };
        if self.print {
            eprintln!("{}", self.line);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
        if diverges && self.diverged.is_none() {
            self.diverged = Some((self.events, self.line.clone()));
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// Keeps the lines from now on.
    pub(super) fn keep(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(super) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// Keeps the hash after each event; those before now count as one.
    pub(super) fn record(&mut self) {
        self.hashes = Some(vec![self.hash; self.events]);
    }

    pub(super) fn recorded(&mut self) -> Vec<u64> {
        self.hashes.take().unwrap_or_default()
    }

    /// Compares from now on against what an earlier run recorded.
    pub(super) fn expect(&mut self, hashes: Vec<u64>) {
        self.expected = Some(hashes);
    }

    /// Where this run left the expected one, if it did.
    pub(super) fn divergence(&self, seed: u64) -> Option<Diverged> {
        if let Some((event, line)) = self.diverged.clone() {
            return Some(Diverged { seed, event, line });
        }
        let expected = self.expected.as_ref()?.len();
        (self.events < expected).then(|| Diverged {
            seed,
            event: self.events,
            line: format!("the run ended after {} of {expected} events", self.events),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(names: &[&str], expected: Option<Vec<u64>>) -> Trace {
        let mut trace = Trace::new(false);
        trace.record();
        if let Some(hashes) = expected {
            trace.expect(hashes);
        }
        for name in names {
            trace.note(Time::EPOCH, None, "run", &Detail::Text(format_args!("{name}")));
        }
        trace
    }

    #[test]
    fn trace_first_differing_event_is_named() {
        let first = run(&["a", "b", "c"], None).recorded();
        let same = run(&["a", "b", "c"], Some(first.clone()));
        assert_eq!(same.divergence(7), None);
        let other = run(&["a", "x", "c"], Some(first.clone())).divergence(7);
        assert_eq!(other.map(|d| d.event), Some(1));
        let short = run(&["a"], Some(first)).divergence(7);
        assert_eq!(short.map(|d| d.event), Some(1));
    }
}
