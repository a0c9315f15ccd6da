//! Faults as data: drawn from a seed, played into a world, made smaller when they find something.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Cut, RuleId, World, duplication, loss, partition, reorder, slow};
use crate::Time;

/// One fault, from `at` on for `lasts`, both counted from the start of its plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// When it sets in.
    pub at: Duration,
    /// How long it lasts; a crashed node is restarted and a frozen one goes on then.
    pub lasts: Duration,
    /// What it is.
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// Messages between hosts are lost with this probability.
    Loss(f64),
    /// Messages between hosts arrive twice with this probability.
    Duplication(f64),
    /// Messages between hosts are overtaken with this probability, by up to this long.
    Reorder(f64, Duration),
    /// Nothing passes between a host and all others.
    Isolation(SocketAddrV4),
    /// Nothing passes from the first to the second host.
    OneWayCut(SocketAddrV4, SocketAddrV4),
    /// Messages from the first to the second host take this much longer.
    Slow(SocketAddrV4, SocketAddrV4, Duration),
    /// Connections between two nodes break, once.
    Reset(SocketAddrV4, SocketAddrV4),
    /// A node crashes amid writes and is restarted.
    Crash(SocketAddrV4),
    /// A node stands still.
    Freeze(SocketAddrV4),
    /// A node's clock goes off by this many nanoseconds.
    Skew(SocketAddrV4, i64),
    /// A node's disk refuses everything.
    Disk(SocketAddrV4),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:?} for {:?}: {:?}", self.at, self.lasts, self.kind)
    }
}

/// A list of faults over some nodes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The faults, in any order.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.faults.iter().try_for_each(|fault| writeln!(f, "{fault}"))
    }
}

/// What a random plan may hold.
#[derive(Debug, Clone)]
pub struct Menu {
    /// The nodes that faults may hit.
    pub nodes: Vec<SocketAddrV4>,
    /// Faults set in and end within this long.
    pub within: Duration,
    /// How many there are at most; at least one.
    pub most: usize,
    /// Crashes and disk faults too: only for nodes that come back by [`World::on_start`].
    pub crashes: bool,
}

impl Plan {
    /// Draws a plan; the same seed gives the same.
    pub fn random(seed: u64, menu: &Menu) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(3);
        let count = rng.random_range(1..=menu.most.max(1));
        let faults = (0..count).filter_map(|_| fault(&mut rng, menu)).collect();
        Self { faults }
    }

    /// Lets `lasts` of virtual time pass in the world while the faults happen. What has not ended
    /// by then is ended: rules go, nodes come back.
    pub fn play(&self, world: &mut World, lasts: Duration) {
        let start = world.now();
        let end = start + lasts;
        let mut steps: Vec<(Time, usize, bool)> = Vec::new();
        for (number, fault) in self.faults.iter().enumerate() {
            steps.push((start + fault.at, number, true));
            steps.push(((start + fault.at + fault.lasts).min(end), number, false));
        }
        steps.sort_unstable();
        let mut rules: Vec<Option<RuleId>> = vec![None; self.faults.len()];
        for (at, number, begins) in steps {
            if at > end && begins {
                continue;
            }
            world.run_for(at - world.now());
            let kind = &self.faults[number].kind;
            if begins {
                rules[number] = begin(world, kind);
            } else {
                finish(world, kind, rules[number].take());
            }
        }
        world.run_for(end - world.now());
    }
}

fn fault(rng: &mut ChaCha8Rng, menu: &Menu) -> Option<Fault> {
    let millis = u64::try_from(menu.within.as_millis()).unwrap_or(u64::MAX).max(2);
    let at = rng.random_range(0..millis);
    let lasts = rng.random_range(0..millis - at);
    let a = *menu.nodes.choose(rng)?;
    let b = *menu.nodes.choose(rng)?;
    let kind = match rng.random_range(0..if menu.crashes { 13 } else { 10 }) {
        0 => FaultKind::Loss(rng.random_range(0.0..0.5)),
        1 => FaultKind::Duplication(rng.random_range(0.0..0.5)),
        2 => FaultKind::Reorder(rng.random_range(0.0..0.5), Duration::from_millis(500)),
        3 | 4 => FaultKind::Isolation(a),
        5 => FaultKind::OneWayCut(a, b),
        6 => FaultKind::Slow(a, b, Duration::from_millis(rng.random_range(0..2_000))),
        7 => FaultKind::Reset(a, b),
        8 => FaultKind::Freeze(a),
        9 => FaultKind::Skew(a, rng.random_range(-2_000_000_000..2_000_000_000)),
        10 | 11 => FaultKind::Crash(a),
        _ => FaultKind::Disk(a),
    };
    Some(Fault { at: Duration::from_millis(at), lasts: Duration::from_millis(lasts), kind })
}

fn others(world: &World, than: Ipv4Addr) -> Vec<Ipv4Addr> {
    world.addresses().iter().map(|a| *a.ip()).filter(|ip| *ip != than).collect()
}

fn begin(world: &mut World, kind: &FaultKind) -> Option<RuleId> {
    match kind {
        FaultKind::Loss(p) => return Some(world.add_rule(loss(*p))),
        FaultKind::Duplication(p) => return Some(world.add_rule(duplication(*p))),
        FaultKind::Reorder(p, within) => return Some(world.add_rule(reorder(*p, *within))),
        FaultKind::Isolation(node) => {
            let others = others(world, *node.ip());
            return Some(world.add_rule(partition([*node.ip()], others, Cut::Both)));
        }
        FaultKind::OneWayCut(a, b) => {
            return Some(world.add_rule(partition([*a.ip()], [*b.ip()], Cut::OneWay)));
        }
        FaultKind::Slow(a, b, delay) => {
            return Some(world.add_rule(slow(*a.ip(), *b.ip(), *delay)));
        }
        FaultKind::Reset(a, b) => world.reset_connections(a, b),
        FaultKind::Crash(node) => world.crash_torn(node),
        FaultKind::Freeze(node) => world.freeze(node),
        FaultKind::Skew(node, nanos) => world.skew(node, *nanos),
        FaultKind::Disk(node) => world.fail_disk(node, Some(std::io::ErrorKind::StorageFull)),
    }
    None
}

fn finish(world: &mut World, kind: &FaultKind, rule: Option<RuleId>) {
    if let Some(rule) = rule {
        world.remove_rule(rule);
    }
    match kind {
        FaultKind::Crash(node) if world.living(node).is_none() => {
            world.restart(node);
        }
        FaultKind::Freeze(node) => world.thaw(node),
        FaultKind::Skew(node, _) => world.skew(node, 0),
        FaultKind::Disk(node) => world.fail_disk(node, None),
        _ => {}
    }
}

/// Makes a plan that fails smaller: drops faults while `fails` stays true, then shortens those
/// that are left. The result fails, and no fault can be taken out of it.
///
/// This is delta debugging (Zeller and Hildebrandt 2002); `fails` runs once for each try.
pub fn shrink(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut best = plan.clone();
    let mut pieces = 2;
    while best.faults.len() > 1 {
        let size = best.faults.len().div_ceil(pieces);
        let smaller = (0..pieces).map(|piece| {
            let (from, to) = (piece * size, (piece + 1) * size);
            let kept = best.faults.iter().enumerate();
            let kept = kept.filter(|(at, _)| !(from..to).contains(at));
            Plan { faults: kept.map(|(_, fault)| fault.clone()).collect() }
        });
        let found = smaller
            .collect::<Vec<_>>()
            .into_iter()
            .find(|plan| plan.faults.len() < best.faults.len() && fails(plan));
        match found {
            Some(plan) => {
                best = plan;
                pieces = (pieces - 1).max(2);
            }
            None if pieces >= best.faults.len() => break,
            None => pieces = (pieces * 2).min(best.faults.len()),
        }
    }
    if best.faults.len() == 1 && fails(&Plan::default()) {
        return Plan::default();
    }
    for at in 0..best.faults.len() {
        while best.faults[at].lasts > Duration::from_millis(1) {
            let mut shorter = best.clone();
            shorter.faults[at].lasts /= 2;
            if !fails(&shorter) {
                break;
            }
            best = shorter;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 1)
    }

    #[test]
    fn plan_of_a_seed_is_always_the_same() {
        let menu = Menu {
            nodes: vec![node(1), node(2)],
            within: Duration::from_secs(10),
            most: 20,
            crashes: true,
        };
        let plans: Vec<_> = (0..50).map(|seed| Plan::random(seed, &menu)).collect();
        let again: Vec<_> = (0..50).map(|seed| Plan::random(seed, &menu)).collect();
        assert_eq!(plans, again);
        let faults = || plans.iter().flat_map(|plan| &plan.faults);
        assert!(faults().all(|fault| fault.at + fault.lasts <= menu.within));
        assert!(faults().any(|fault| matches!(fault.kind, FaultKind::Crash(_))));
    }

    #[test]
    fn plan_shrinks_to_the_two_faults_that_matter() {
        let fault = |millis: u64, kind| Fault {
            at: Duration::from_millis(millis),
            lasts: Duration::from_secs(8),
            kind,
        };
        let mut faults: Vec<_> = (0..30).map(|n| fault(n, FaultKind::Loss(0.1))).collect();
        faults.insert(7, fault(100, FaultKind::Crash(node(1))));
        faults.insert(21, fault(101, FaultKind::Freeze(node(2))));
        let fails = |plan: &Plan| {
            let has = |kind: FaultKind| {
                plan.faults.iter().any(|f| f.kind == kind && f.lasts >= Duration::from_secs(1))
            };
            has(FaultKind::Crash(node(1))) && has(FaultKind::Freeze(node(2)))
        };
        let small = shrink(&Plan { faults }, fails);
        let kinds: Vec<_> = small.faults.iter().map(|fault| fault.kind.clone()).collect();
        assert_eq!(kinds, [FaultKind::Crash(node(1)), FaultKind::Freeze(node(2))]);
        assert!(small.faults.iter().all(|fault| fault.lasts == Duration::from_secs(1)));
    }
}
