//! How long a cluster is without a leader, and a framework without offers, when the leading master is
//! killed: three masters over one ZooKeeper with sessions of two seconds. Prints figures; the bounds
//! hold for release builds on an idle host, and have slack here.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use cluster_tests::ha::{Ha, Plan};
use libprocess::real;

const SESSION: Duration = Duration::from_secs(2);
/// Builds without optimisation on a busy host take longer.
const SLACK: Duration = Duration::from_secs(10);
const ROUNDS: usize = 5;

/// Nanoseconds since the epoch, of this process's clock.
fn now() -> Duration {
    let node = real::run(async {
        let ip = std::net::Ipv4Addr::LOCALHOST;
        real::start(real::Config { ip, ..real::Config::default() }).await.unwrap().now()
    });
    Duration::from_nanos(node.as_nanos())
}

#[test]
fn cluster_is_led_again_within_a_session_and_little_more() {
    let mut ha = Ha::start(Plan { slaves: 2, ..Plan::default() });
    let keeper = ha.keeper(10);
    keeper.wait_until_full();
    let (mut led, mut offered) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let leader = ha.wait_for_leader();
        ha.wait_for_slaves(2);
        let before = keeper.seen();
        let killed = now();
        ha.masters[leader] = None;
        ha.wait_for_leader_but(leader);
        led.push(now() - killed);
        let seen = keeper.wait_for("an offer of the new leader", |seen| {
            seen.masters().len() > before.masters().len() && seen.count("first_offer_ms") > 0
        });
        // By the framework's own clock, which is this host's.
        let first = Duration::from_millis(seen.count("first_offer_ms"));
        offered.push(first.saturating_sub(killed));
        ha.start_master(leader);
        ha.wait_for_replica(leader);
    }
    println!("led again after {led:?}");
    println!("first offer to the framework after {offered:?}");
    assert!(led.iter().all(|took| *took <= SESSION + Duration::from_secs(1) + SLACK));
    assert!(offered.iter().all(|took| *took <= SESSION + Duration::from_secs(3) + SLACK));
    keeper.settle();
}
