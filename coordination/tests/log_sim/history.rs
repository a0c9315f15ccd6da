//! What the clients of a log were told, and what replicas told each other.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};

use coordination::log::{Entry, Value};
use libprocess::Envelope;
use prost::Message;
use protos::mesos::internal::log::LearnedMessage;

/// All that matters for the checks.
#[derive(Default)]
pub(crate) struct History {
    /// What was acknowledged, by position.
    acked: BTreeMap<u64, Value>,
    /// What somebody said is settled, by position.
    learned: BTreeMap<u64, Value>,
    /// The highest position that anybody wanted to truncate to.
    truncated: u64,
    /// Who won with which proposal: host and number of its attempt.
    terms: BTreeMap<u64, (SocketAddrV4, u64)>,
    errors: Vec<String>,
    pub(crate) acks: u64,
    elections: u64,
}

pub(crate) type Shared = Arc<Mutex<History>>;

impl History {
    fn note(&mut self, who: &str, position: u64, value: Value) {
        // What is gone at one replica may be anything at others.
        let before = self.learned.entry(position).or_insert_with(|| value.clone());
        if *before != value {
            let text = format!("position {position}: {who} has {value:?}, earlier {before:?}");
            self.errors.push(text);
        }
    }

    pub(crate) fn saw(&mut self, envelope: &Envelope) {
        if envelope.name.ends_with(".LearnedMessage") {
            let action = LearnedMessage::decode(envelope.body.clone()).unwrap().action;
            let value = match (&action.append, &action.truncate) {
                (Some(append), _) => Value::Append(append.bytes.clone()),
                (_, Some(truncate)) => Value::Truncate(truncate.to),
                _ => Value::Nop,
            };
            self.note(&envelope.from.to_string(), action.position, value);
        }
    }

    pub(crate) fn elected(&mut self, proposal: u64, host: SocketAddrV4, attempt: u64) {
        self.elections += 1;
        if let Some(other) = self.terms.insert(proposal, (host, attempt)) {
            let text = format!("term {proposal} has two writers: {other:?} and {host} {attempt}");
            self.errors.push(text);
        }
    }

    pub(crate) fn asked(&mut self, value: &Value) {
        if let Value::Truncate(to) = value {
            self.truncated = self.truncated.max(*to);
        }
    }

    pub(crate) fn acked(&mut self, position: u64, value: Value) {
        self.acks += 1;
        self.note("who acknowledged", position, value.clone());
        if let Some(before) = self.acked.insert(position, value) {
            self.errors.push(format!("position {position} acknowledged twice, before {before:?}"));
        }
    }

    /// The last position acknowledged so far.
    pub(crate) fn last_acked(&self) -> u64 {
        self.acked.keys().last().copied().unwrap_or(0)
    }

    /// What a replica says of its whole log, which must go as far as `last` at least.
    pub(crate) fn read(&mut self, host: SocketAddrV4, begin: u64, last: u64, entries: &[Entry]) {
        if begin > self.truncated {
            let text = format!("{host} begins at {begin}, truncated to {}", self.truncated);
            self.errors.push(text);
        }
        for entry in entries {
            self.note(&host.to_string(), entry.position, entry.value.clone());
        }
        let end = entries.last().map_or(begin, |entry| entry.position);
        if end < last {
            self.errors.push(format!("{host} ends at {end}, acknowledged was {last}"));
        }
    }

    pub(crate) fn summary(&self) -> String {
        let (elections, acks, truncated) = (self.elections, self.acks, self.truncated);
        let last = self.learned.keys().last();
        format!("{elections} elections, {acks} acks, truncated {truncated}, last {last:?}")
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        self.errors.first().map_or(Ok(()), |error| Err(error.clone()))
    }
}
