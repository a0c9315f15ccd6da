//! What befalls a cluster with several masters.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use libprocess::sim::{Cut, World, loss, partition};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::HaCluster;

/// Whom faults befall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Masters, their links with each other and with directories.
    Masters,
    /// Slaves and the whole network, too.
    Slaves,
    /// Frameworks and directories, too.
    Everything,
}

/// Faults for a while, one after the other and some at a time; then all end.
pub fn shake(cluster: &mut HaCluster, world: &mut World, kind: Kind, faults: usize) {
    for _ in 0..faults {
        let pause = Duration::from_millis(world.rng().random_range(500..15_000));
        cluster.pass(world, pause);
        cluster.look(world);
        cluster.chase(world);
        let most = match kind {
            Kind::Masters => 6,
            Kind::Slaves => 9,
            Kind::Everything => 12,
        };
        match world.rng().random_range(0..most) {
            0 | 1 => kill_master(cluster, world),
            2 => freeze_master(cluster, world),
            3 => cut_master(cluster, world),
            4 => cut_leader_from_directory(cluster, world),
            5 => restore(cluster, world),
            6 => kill_slave(cluster, world),
            7 => cut_slave(cluster, world),
            8 => _ = world.add_rule(loss(0.05)),
            9 => fail_framework_over(cluster, world),
            10 => restart_directory(cluster, world),
            _ => restore(cluster, world),
        }
    }
    restore(cluster, world);
}

fn pick<T: Copy>(world: &mut World, from: &[T]) -> Option<T> {
    from.choose(world.rng()).copied()
}

/// The leader, mostly; else any master.
fn victim(cluster: &mut HaCluster, world: &mut World) -> Option<SocketAddrV4> {
    let leader = cluster.leader(world).map(|(leader, _)| leader);
    match leader.filter(|_| world.rng().random_bool(0.7)) {
        Some(leader) => Some(leader),
        None => pick(world, &cluster.masters),
    }
}

/// A master ends amid its writes; it is back at once, or when faults end.
fn kill_master(cluster: &mut HaCluster, world: &mut World) {
    let Some(master) = victim(cluster, world) else { return };
    if cluster.down.is_empty() && world.rng().random_bool(0.3) {
        cluster.down.push(master);
    }
    cluster.frozen.retain(|frozen| *frozen != master);
    world.crash_torn(master);
}

/// A master is stopped, and goes on after longer than its session.
fn freeze_master(cluster: &mut HaCluster, world: &mut World) {
    let Some(master) = victim(cluster, world) else { return };
    if world.living(master).is_none() || !cluster.frozen.is_empty() {
        return;
    }
    world.freeze(master);
    cluster.frozen.push(master);
    let pause = Duration::from_millis(world.rng().random_range(1000..20_000));
    cluster.pass(world, pause);
    world.thaw(master);
    cluster.frozen.clear();
}

fn cut(world: &mut World, a: Ipv4Addr, b: Ipv4Addr) {
    let how = if world.rng().random_bool(0.6) { Cut::Both } else { Cut::OneWay };
    world.add_rule(partition([a], [b], how));
}

fn cut_master(cluster: &mut HaCluster, world: &mut World) {
    let (Some(one), Some(other)) = (victim(cluster, world), pick(world, &cluster.masters)) else {
        return;
    };
    if one != other {
        cut(world, *one.ip(), *other.ip());
    }
}

fn cut_leader_from_directory(cluster: &mut HaCluster, world: &mut World) {
    let (Some(master), Some(directory)) =
        (victim(cluster, world), pick(world, &cluster.directories))
    else {
        return;
    };
    cut(world, *master.ip(), *directory.ip());
}

fn kill_slave(cluster: &mut HaCluster, world: &mut World) {
    let Some(slave) = pick(world, &cluster.slaves) else { return };
    world.crash_torn(slave);
    let pause = Duration::from_millis(world.rng().random_range(0..10_000));
    cluster.pass(world, pause);
    world.restart(slave);
}

fn cut_slave(cluster: &mut HaCluster, world: &mut World) {
    let (Some(slave), Some(master)) = (pick(world, &cluster.slaves), pick(world, &cluster.masters))
    else {
        return;
    };
    cut(world, *slave.ip(), *master.ip());
}

fn fail_framework_over(cluster: &mut HaCluster, world: &mut World) {
    let addresses: Vec<_> = cluster.frameworks.iter().map(|framework| framework.address).collect();
    if let Some(address) = pick(world, &addresses) {
        world.crash(address);
        world.restart(address);
    }
}

fn restart_directory(cluster: &mut HaCluster, world: &mut World) {
    let Some(directory) = pick(world, &cluster.directories) else { return };
    world.crash(directory);
    let pause = Duration::from_millis(world.rng().random_range(0..8000));
    cluster.pass(world, pause);
    world.restart(directory);
}

/// All faults end.
fn restore(cluster: &mut HaCluster, world: &mut World) {
    world.clear_rules();
    cluster.down.clear();
    // What was said over links that were cut is not said again by itself.
    for slave in &cluster.slaves {
        for master in &cluster.masters {
            world.reset_connections(slave, master);
        }
    }
    cluster.pass(world, Duration::ZERO);
}
