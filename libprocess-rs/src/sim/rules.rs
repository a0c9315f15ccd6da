//! Faults: what may happen to a message on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Envelope, Time};

/// What a rule says about one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The rule has nothing against it.
    Pass,
    /// It takes this much longer; what follows on the same connection waits behind it.
    Delay(Duration),
    /// It is lost.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It takes this much longer, and what follows may overtake it: as when a new connection takes
    /// over while the old one still delivers.
    Overtaken(Duration),
}

/// A fault. All rules of a world see each message between nodes when it is sent: one that drops it
/// wins, delays add up, duplicates too. A rule must not call into nodes or the world.
///
/// Closures of the same form as [`Rule::judge`] are rules.
pub trait Rule: Send {
    /// Judges one message; `rng` is the world's generator for the network.
    fn judge(&mut self, envelope: &Envelope, rng: &mut ChaCha8Rng, now: Time) -> Verdict;

    /// True when no packet passes from one node to another, so that connections are neither made
    /// nor seen to break.
    fn blocks(&self, from: SocketAddrV4, to: SocketAddrV4) -> bool {
        let _ = (from, to);
        false
    }
}

impl<F> Rule for F
where
    F: FnMut(&Envelope, &mut ChaCha8Rng, Time) -> Verdict + Send,
{
    fn judge(&mut self, envelope: &Envelope, rng: &mut ChaCha8Rng, now: Time) -> Verdict {
        self(envelope, rng, now)
    }
}

/// Names a rule of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(u64);

/// Loses each message between different hosts with a probability. Nodes of one ip talk over
/// loopback, which loses nothing.
#[derive(Debug, Clone)]
pub struct Loss {
    probability: f64,
}

/// A rule that loses messages between hosts with `probability` in `[0, 1]`; clamped.
pub fn loss(probability: f64) -> Loss {
    Loss { probability: probability.clamp(0.0, 1.0) }
}

impl Rule for Loss {
    fn judge(&mut self, envelope: &Envelope, rng: &mut ChaCha8Rng, _: Time) -> Verdict {
        if envelope.from.address().ip() == envelope.to.address().ip() {
            return Verdict::Pass;
        }
        if rng.random_bool(self.probability) { Verdict::Drop } else { Verdict::Pass }
    }
}

/// Which way a cut works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing passes either way.
    Both,
    /// Nothing passes from the first set to the second; the other way is open.
    OneWay,
}

/// A network cut between two sets of hosts.
#[derive(Debug, Clone)]
pub struct Partition {
    from: BTreeSet<Ipv4Addr>,
    to: BTreeSet<Ipv4Addr>,
    cut: Cut,
}

/// A rule that cuts the network between two sets of hosts. Connections across it hang as TCP's do;
/// `World::reset_connections` makes them break.
pub fn partition(
    from: impl IntoIterator<Item = Ipv4Addr>,
    to: impl IntoIterator<Item = Ipv4Addr>,
    cut: Cut,
) -> Partition {
    Partition { from: from.into_iter().collect(), to: to.into_iter().collect(), cut }
}

impl Rule for Partition {
    fn judge(&mut self, envelope: &Envelope, _: &mut ChaCha8Rng, _: Time) -> Verdict {
        if self.blocks(envelope.from.address(), envelope.to.address()) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    }

    fn blocks(&self, from: SocketAddrV4, to: SocketAddrV4) -> bool {
        let crosses = |a: &SocketAddrV4, b: &SocketAddrV4| {
            self.from.contains(a.ip()) && self.to.contains(b.ip())
        };
        crosses(&from, &to) || (self.cut == Cut::Both && crosses(&to, &from))
    }
}

/// A slow way from one host to another.
#[derive(Debug, Clone)]
pub struct Slow {
    from: Ipv4Addr,
    to: Ipv4Addr,
    delay: Duration,
}

/// A rule that makes each message from one host to another take `delay` longer.
pub fn slow(from: Ipv4Addr, to: Ipv4Addr, delay: Duration) -> Slow {
    Slow { from, to, delay }
}

impl Rule for Slow {
    fn judge(&mut self, envelope: &Envelope, _: &mut ChaCha8Rng, _: Time) -> Verdict {
        let way = (*envelope.from.address().ip(), *envelope.to.address().ip());
        if way == (self.from, self.to) { Verdict::Delay(self.delay) } else { Verdict::Pass }
    }
}

/// Lets messages between different hosts arrive late, behind others of their connection.
#[derive(Debug, Clone)]
pub struct Reorder {
    probability: f64,
    within: Duration,
}

/// A rule that lets what follows overtake a message between hosts, with `probability` in `[0, 1]`
/// and a delay drawn uniformly up to `within`.
pub fn reorder(probability: f64, within: Duration) -> Reorder {
    Reorder { probability: probability.clamp(0.0, 1.0), within }
}

impl Rule for Reorder {
    fn judge(&mut self, envelope: &Envelope, rng: &mut ChaCha8Rng, _: Time) -> Verdict {
        let local = envelope.from.address().ip() == envelope.to.address().ip();
        if local || !rng.random_bool(self.probability) {
            return Verdict::Pass;
        }
        let nanos = u64::try_from(self.within.as_nanos()).unwrap_or(u64::MAX);
        Verdict::Overtaken(Duration::from_nanos(rng.random_range(0..=nanos)))
    }
}

/// Delivers messages between different hosts twice, as a resend after a reconnect would.
#[derive(Debug, Clone)]
pub struct Duplication {
    probability: f64,
}

/// A rule that duplicates messages between hosts with `probability` in `[0, 1]`.
pub fn duplication(probability: f64) -> Duplication {
    Duplication { probability: probability.clamp(0.0, 1.0) }
}

impl Rule for Duplication {
    fn judge(&mut self, envelope: &Envelope, rng: &mut ChaCha8Rng, _: Time) -> Verdict {
        let local = envelope.from.address().ip() == envelope.to.address().ip();
        if !local && rng.random_bool(self.probability) { Verdict::Duplicate } else { Verdict::Pass }
    }
}

/// What all rules together say about one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) copies: usize,
    pub(super) delay: Duration,
    /// How much later than its turn it comes, if others may come before it.
    pub(super) overtaken: Option<Duration>,
}

/// The rules in force, by id.
#[derive(Default)]
pub(super) struct Rules {
    by_id: BTreeMap<RuleId, Box<dyn Rule>>,
    last: u64,
}

impl Rules {
    pub(super) fn add(&mut self, rule: Box<dyn Rule>) -> RuleId {
        self.last += 1;
        self.by_id.insert(RuleId(self.last), rule);
        RuleId(self.last)
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.by_id.remove(&id);
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
    }

    pub(super) fn judge(&mut self, envelope: &Envelope, rng: &mut ChaCha8Rng, now: Time) -> Fate {
        let mut fate = Fate { copies: 1, delay: Duration::ZERO, overtaken: None };
        for rule in self.by_id.values_mut() {
            match rule.judge(envelope, rng, now) {
                Verdict::Pass => {}
                Verdict::Delay(delay) => fate.delay += delay,
                Verdict::Drop => return Fate { copies: 0, ..fate },
                Verdict::Duplicate => fate.copies += 1,
                Verdict::Overtaken(late) => {
                    fate.overtaken = Some(fate.overtaken.unwrap_or_default() + late);
                }
            }
        }
        fate
    }

    pub(super) fn blocks(&self, from: SocketAddrV4, to: SocketAddrV4) -> bool {
        self.by_id.values().any(|rule| rule.blocks(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pid;
    use rand::SeedableRng;

    fn envelope(from: &str, to: &str) -> Envelope {
        let pid = |text: &str| text.parse::<Pid>().unwrap();
        Envelope { from: pid(from), to: pid(to), name: "x".into(), body: "".into() }
    }

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    #[test]
    fn rules_partition_one_way_leaves_the_way_back_open() {
        let mut rule = partition([ip(1)], [ip(2)], Cut::OneWay);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let there = envelope("a@10.0.0.1:1", "b@10.0.0.2:1");
        let back = envelope("b@10.0.0.2:1", "a@10.0.0.1:1");
        assert_eq!(rule.judge(&there, &mut rng, Time::EPOCH), Verdict::Drop);
        assert_eq!(rule.judge(&back, &mut rng, Time::EPOCH), Verdict::Pass);
    }

    #[test]
    fn rules_of_a_world_combine_and_a_drop_wins() {
        let mut rules = Rules::default();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let message = envelope("a@10.0.0.1:1", "b@10.0.0.2:1");
        rules.add(Box::new(slow(ip(1), ip(2), Duration::from_secs(1))));
        rules.add(Box::new(|_: &Envelope, _: &mut ChaCha8Rng, _: Time| Verdict::Duplicate));
        let fate = rules.judge(&message, &mut rng, Time::EPOCH);
        assert_eq!((fate.copies, fate.delay), (2, Duration::from_secs(1)));
        let lost = rules.add(Box::new(loss(1.0)));
        assert_eq!(rules.judge(&message, &mut rng, Time::EPOCH).copies, 0);
        rules.remove(lost);
        assert_eq!(rules.judge(&message, &mut rng, Time::EPOCH).copies, 2);
        let local = envelope("a@10.0.0.1:1", "b@10.0.0.1:2");
        rules.add(Box::new(loss(1.0)));
        assert!(rules.judge(&local, &mut rng, Time::EPOCH).copies > 0);
    }
}
