//! What happened, one line for each event, and a hash over all of it.

use std::fmt::Write;

use crate::Time;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

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

/// A running FNV-1a hash over trace lines; keeps, prints or compares them when asked to.
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
            hash: FNV_OFFSET,
            line: String::new(),
            print,
            lines: None,
            hashes: None,
            expected: None,
            diverged: None,
            events: 0,
        }
    }

    /// Adds one event.
    pub(super) fn note(
        &mut self,
        now: Time,
        at: &dyn std::fmt::Display,
        kind: &str,
        details: std::fmt::Arguments<'_>,
    ) {
        self.line.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.line, "{now:?} {at} {kind} {details}");
        for byte in self.line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        if self.print {
            eprintln!("{}", self.line);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
        if let Some(hashes) = &mut self.hashes {
            hashes.push(self.hash);
        }
        if let Some(expected) = &self.expected
            && self.diverged.is_none()
            && expected.get(self.events) != Some(&self.hash)
        {
            self.diverged = Some((self.events, self.line.clone()));
        }
        self.events += 1;
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
            trace.note(Time::EPOCH, &"n", "run", format_args!("{name}"));
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
