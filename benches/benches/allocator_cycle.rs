//! Claim: a cycle over thousands of slaves costs a small multiple of the look-ups it cannot avoid.
//!
//! Peer: one look-up and four comparisons in a plain tree map for each slave and framework, which is
//! the least that deciding against as many filters takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use allocator::hierarchy::Hierarchy;
use allocator::{Config, FrameworkSpec, SlaveSpec};
use benches::{median, millis, ratio, report, timed};
use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

const ROLE: &str = "*";
const RUNS: usize = 5;
const HOUR: Duration = Duration::from_secs(3_600);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn slave_id(number: usize) -> SlaveId {
    SlaveId::new(format!("20261127-010203-16777343-5050-1-S{number}"))
}

fn framework_id(number: usize) -> FrameworkId {
    FrameworkId::new(format!("20261127-010203-16777343-5050-1-{number:04}"))
}

fn resources() -> Outcome<Resources> {
    Ok("cpus:24;mem:65536;disk:1048576;ports:[31000-32000]".parse()?)
}

fn spec() -> FrameworkSpec {
    FrameworkSpec { roles: [ROLE.to_owned()].into(), ..FrameworkSpec::default() }
}

fn with_frameworks(frameworks: usize) -> Hierarchy {
    let mut hierarchy = Hierarchy::new(Config::default());
    for number in 0..frameworks {
        hierarchy.add_framework(framework_id(number), spec(), true, BTreeMap::new());
    }
    hierarchy
}

fn add_slaves(hierarchy: &mut Hierarchy, slaves: usize, total: &Resources) {
    for number in 0..slaves {
        let spec = SlaveSpec { hostname: format!("host-{number}"), ..SlaveSpec::default() };
        hierarchy.add_slave(slave_id(number), spec, total.clone(), BTreeMap::new());
    }
}

/// Every framework refused every slave: a cycle finds nothing to offer. The first figure is of cycles
/// before which a framework changed, so that everything is looked at; the second of idle ones.
fn filtered(slaves: usize, frameworks: usize) -> Outcome<(Duration, Duration)> {
    let total = resources()?;
    let mut hierarchy = with_frameworks(frameworks);
    add_slaves(&mut hierarchy, slaves, &total);
    let refused = total.allocated_to(ROLE);
    let now = Time::EPOCH + HOUR;
    for framework in 0..frameworks {
        let framework = framework_id(framework);
        for slave in 0..slaves {
            hierarchy.recover_resources(&framework, &slave_id(slave), &refused, Some(HOUR), now);
        }
    }
    let (mut busy, mut idle) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let later = now + Duration::from_secs(run as u64);
        hierarchy.update_framework(&framework_id(0), spec());
        for times in [&mut busy, &mut idle] {
            let (given, took) = timed(|| hierarchy.allocate_all(later));
            assert!(given.is_empty(), "everything is refused");
            times.push(took);
        }
    }
    Ok((median(busy), median(idle)))
}

/// All frameworks but one suppressed offers, and that one refused every slave.
fn suppressed(slaves: usize, frameworks: usize) -> Outcome<Duration> {
    let total = resources()?;
    let mut hierarchy = with_frameworks(frameworks);
    add_slaves(&mut hierarchy, slaves, &total);
    for framework in 1..frameworks {
        hierarchy.suppress(&framework_id(framework), &BTreeSet::new());
    }
    let refused = total.allocated_to(ROLE);
    let now = Time::EPOCH + HOUR;
    let first = framework_id(0);
    for slave in 0..slaves {
        hierarchy.recover_resources(&first, &slave_id(slave), &refused, Some(HOUR), now);
    }
    let times = (0..RUNS).map(|_| {
        hierarchy.update_framework(&first, spec());
        timed(|| hierarchy.allocate_all(now)).1
    });
    Ok(median(times.collect()))
}

fn bare_look_ups(slaves: usize, frameworks: usize) -> Duration {
    let slaves: Vec<SlaveId> = (0..slaves).map(slave_id).collect();
    let frameworks: Vec<FrameworkId> = (0..frameworks).map(framework_id).collect();
    let all = frameworks.iter().flat_map(|f| slaves.iter().map(move |s| (f.clone(), s.clone())));
    let refused: BTreeMap<(FrameworkId, SlaveId), [i64; 4]> =
        all.map(|key| (key, [24, 65_536, 1_048_576, 1_001])).collect();
    let offer = std::hint::black_box([24, 65_536, 1_048_576, 1_001]);
    let times = (0..RUNS).map(|_| {
        let (hidden, took) = timed(|| {
            let keys = slaves.iter().flat_map(|s| frameworks.iter().map(move |f| (f, s)));
            keys.filter(|(f, s)| {
                let found = refused.get(&((*f).clone(), (*s).clone()));
                found.is_some_and(|amounts| amounts.iter().zip(&offer).all(|(a, b)| a >= b))
            })
            .count()
        });
        assert_eq!(hidden, refused.len());
        took
    });
    median(times.collect())
}

/// One cycle over slaves that are all free: each is offered to one framework.
fn offering(slaves: usize, frameworks: usize) -> Outcome<Duration> {
    let total = resources()?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut hierarchy = with_frameworks(frameworks);
        add_slaves(&mut hierarchy, slaves, &total);
        let (given, took) = timed(|| hierarchy.allocate_all(Time::EPOCH));
        let offers: usize = given.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
        assert_eq!(offers, slaves);
        times.push(took);
    }
    Ok(median(times))
}

/// Slaves come, then all of them get bigger.
fn adding(slaves: usize, frameworks: usize) -> Outcome<(Duration, Duration)> {
    let (total, bigger) = (resources()?, resources()?.plus(&"cpus:1".parse()?));
    let mut hierarchy = with_frameworks(frameworks);
    let ((), added) = timed(|| add_slaves(&mut hierarchy, slaves, &total));
    let ((), updated) = timed(|| {
        for number in 0..slaves {
            hierarchy.update_slave(&slave_id(number), bigger.clone());
        }
    });
    Ok((added, updated))
}

fn main() -> Outcome<()> {
    for (slaves, frameworks) in [(1_000, 1), (1_000, 50)] {
        let what = format!("cycle, {slaves} slaves x {frameworks}, all filtered");
        let ((busy, idle), bare) =
            (filtered(slaves, frameworks)?, bare_look_ups(slaves, frameworks));
        report(&what, millis(busy), "ms");
        report(&format!("{what}, idle"), millis(idle), "ms");
        report(&format!("bare look-ups, {slaves} x {frameworks}"), millis(bare), "ms");
        ratio(&what, millis(busy), "bare look-ups", millis(bare));
    }
    for frameworks in [1, 50, 100, 1_000] {
        for slaves in [1_000, 5_000, 10_000] {
            let (busy, idle) = filtered(slaves, frameworks)?;
            let what = format!("growth: {slaves} slaves x {frameworks}, all filtered");
            report(&what, millis(busy), "ms");
            report(&format!("{what}, idle"), millis(idle), "ms");
        }
    }
    let one = suppressed(10_000, 1)?;
    let many = suppressed(10_000, 1_000)?;
    report("10,000 slaves, 1 framework", millis(one), "ms");
    report("10,000 slaves, 999 of 1,000 frameworks suppressed", millis(many), "ms");
    ratio("999 of 1,000 suppressed", millis(many), "1 framework", millis(one));
    let bare = bare_look_ups(1_000, 50);
    for frameworks in [1, 50, 1_000] {
        let what = format!("cycle making 1,000 offers to {frameworks}");
        let ours = offering(1_000, frameworks)?;
        report(&what, millis(ours), "ms");
        ratio(&what, millis(ours), "50,000 bare look-ups", millis(bare));
    }
    for frameworks in [50, 1_000] {
        let (added, updated) = adding(10_000, frameworks)?;
        report(&format!("add 10,000 slaves with {frameworks} frameworks"), millis(added), "ms");
        report(
            &format!("update 10,000 slaves with {frameworks} frameworks"),
            millis(updated),
            "ms",
        );
    }
    report("cycle making 10,000 offers to 50", millis(offering(10_000, 50)?), "ms");
    Ok(())
}
