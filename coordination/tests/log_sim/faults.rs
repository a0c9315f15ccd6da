//! What happens to hosts and the network between them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use libprocess::sim::{Cut, RuleId, Verdict, loss, partition};
use libprocess::{Envelope, Time};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::cluster::{Cluster, address};

#[derive(Default)]
struct Faults {
    rules: Vec<RuleId>,
    down: BTreeSet<u8>,
    frozen: BTreeSet<u8>,
}

/// Lets faults happen for a while; at its end some still last.
pub(crate) fn shake(cluster: &mut Cluster, duration: Duration) {
    let (end, mut faults) = (cluster.world.now() + duration, Faults::default());
    while cluster.world.now() < end {
        let pause = cluster.world.rng().random_range(50..2500);
        cluster.world.run_for(Duration::from_millis(pause));
        let host = cluster.world.rng().random_range(1..=cluster.size);
        match cluster.world.rng().random_range(0..14) {
            0..=2 => cut(cluster, &mut faults),
            3..=5 => heal(cluster, &mut faults),
            6 => mischief(cluster, &mut faults),
            7..=9 => crash(cluster, &mut faults, host),
            10..=11 => revive(cluster, &mut faults),
            12 => freeze(cluster, &mut faults, host),
            _ => wipe(cluster, &mut faults, host),
        }
    }
}

/// Ends all faults and brings all hosts back.
pub(crate) fn stop(cluster: &mut Cluster) {
    cluster.world.clear_rules();
    cluster.rewatch();
    for host in 1..=cluster.size {
        cluster.world.thaw(address(host));
        if cluster.world.living(address(host)).is_none() {
            cluster.world.restart(address(host));
        }
    }
}

fn ip(host: u8) -> Ipv4Addr {
    *address(host).ip()
}

fn cut(cluster: &mut Cluster, faults: &mut Faults) {
    let size = cluster.size;
    let rng = cluster.world.rng();
    let side: BTreeSet<u8> = (1..=size).filter(|_| rng.random_bool(0.5)).collect();
    let cut = if rng.random_bool(0.5) { Cut::Both } else { Cut::OneWay };
    let others = (1..=size).filter(|host| !side.contains(host)).map(ip);
    let rule = partition(side.iter().copied().map(ip), others, cut);
    faults.rules.push(cluster.world.add_rule(rule));
}

fn heal(cluster: &mut Cluster, faults: &mut Faults) {
    if faults.rules.is_empty() {
        return;
    }
    let which = cluster.world.rng().random_range(0..faults.rules.len());
    cluster.world.remove_rule(faults.rules.swap_remove(which));
    let size = cluster.size;
    let pair =
        (cluster.world.rng().random_range(1..=size), cluster.world.rng().random_range(1..=size));
    cluster.world.reset_connections(address(pair.0), address(pair.1));
}

/// Loss, messages that take long or arrive twice.
fn mischief(cluster: &mut Cluster, faults: &mut Faults) {
    let id = match cluster.world.rng().random_range(0..3) {
        0 => {
            let probability = cluster.world.rng().random_range(0.02..0.4);
            cluster.world.add_rule(loss(probability))
        }
        1 => cluster.world.add_rule(|_: &Envelope, rng: &mut ChaCha8Rng, _: Time| {
            match rng.random_bool(0.1) {
                true => Verdict::Delay(Duration::from_millis(rng.random_range(0..4000))),
                false => Verdict::Pass,
            }
        }),
        _ => cluster.world.add_rule(|_: &Envelope, rng: &mut ChaCha8Rng, _: Time| {
            if rng.random_bool(0.1) { Verdict::Duplicate } else { Verdict::Pass }
        }),
    };
    faults.rules.push(id);
}

fn crash(cluster: &mut Cluster, faults: &mut Faults, host: u8) {
    if cluster.world.rng().random_bool(0.7) {
        cluster.world.crash_torn(address(host));
    } else {
        cluster.world.crash(address(host));
    }
    faults.frozen.remove(&host);
    // Mostly it is back at once: what it forgot may then be missed while others still act on it.
    if cluster.world.rng().random_bool(0.6) {
        cluster.world.restart(address(host));
        faults.down.remove(&host);
    } else {
        faults.down.insert(host);
    }
}

fn revive(cluster: &mut Cluster, faults: &mut Faults) {
    for host in std::mem::take(&mut faults.down) {
        cluster.world.restart(address(host));
    }
    for host in std::mem::take(&mut faults.frozen) {
        cluster.world.thaw(address(host));
    }
}

fn freeze(cluster: &mut Cluster, faults: &mut Faults, host: u8) {
    if cluster.world.living(address(host)).is_some() {
        cluster.world.freeze(address(host));
        faults.frozen.insert(host);
    }
}

/// A host loses its disk, if so many others vote that a quorum knows all.
fn wipe(cluster: &mut Cluster, faults: &mut Faults, host: u8) {
    let quorum = usize::from(cluster.size) / 2 + 1;
    let others: Vec<u8> = (1..=cluster.size).filter(|other| *other != host).collect();
    let voting = others.into_iter().filter(|other| cluster.votes(*other)).count();
    if voting < quorum {
        return;
    }
    cluster.world.crash(address(host));
    if let Some(host) = cluster.hosts.lock().unwrap().get_mut(&address(host)) {
        host.wipes += 1;
    }
    cluster.world.restart(address(host));
    faults.down.remove(&host);
    faults.frozen.remove(&host);
}
