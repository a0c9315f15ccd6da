//! `mesos-log` without masters: replicas of their own, found in a real ZooKeeper, and appends to them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use cluster_tests::cluster::{binary, text, wait_for};
use cluster_tests::ha::{Daemon, Ha, Plan};

#[test]
fn replicas_without_masters_start_by_themselves_and_are_measured() {
    let mut ha = Ha::prepare(Plan { masters: 0, ..Plan::default() });
    ha.zookeeper.start(None);
    let common = |number: usize| {
        [
            format!("--servers={}", ha.zookeeper.addresses()),
            "--znode=/bench/replicas".to_owned(),
            "--quorum=2".to_owned(),
            format!("--path={}", ha.dir().join(format!("replica-{number}")).display()),
        ]
    };
    let replicas: Vec<Daemon> = (0..2)
        .map(|number| {
            let mut command = Command::new(binary("mesos-log"));
            command.arg("replica").args(common(number));
            let log = ha.dir().join(format!("replica-{number}.log"));
            Daemon::start(command, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), &log)
        })
        .collect();
    wait_for("replicas that say where they are", || {
        replicas.iter().all(|replica| replica.output().contains("log-replica(1)@")).then_some(())
    });
    let (input, output) = (ha.dir().join("sizes"), ha.dir().join("times"));
    std::fs::write(&input, "4KB\n100\n".repeat(25)).unwrap();
    let mut benchmark = Command::new(binary("mesos-log"));
    benchmark.arg("benchmark").args(common(2));
    benchmark.arg(format!("--input={}", input.display()));
    let done = benchmark.arg(format!("--output={}", output.display())).output().unwrap();
    let (out, err) = text(&done);
    assert!(done.status.success(), "{out}{err}");
    assert!(out.starts_with("50 appends, ") && out.contains("p99"), "{out}");
    let times = std::fs::read_to_string(&output).unwrap();
    assert_eq!(times.lines().count(), 50);
    assert!(times.lines().next().unwrap().starts_with("1 4096 "), "{times}");

    // What was acknowledged is with a majority, and so with the benchmark's own replica; of the last
    // ones it may not have noted yet that they are settled.
    drop(replicas);
    let read = |number: usize| {
        let path = format!("--path={}", ha.dir().join(format!("replica-{number}")).display());
        text(&ha.tool("mesos-log", &["read", &path]))
    };
    let (out, err) = read(2);
    let kept = ["append of", "unsettled"];
    let count = out.lines().filter(|line| kept.iter().any(|kept| line.contains(kept))).count();
    assert_eq!(count, 50, "{out}{err}");
    assert!(out.contains("1: append of 4096 bytes"), "{out}");
    let ranged = ["read", &format!("--path={}", ha.dir().join("replica-2").display()), "--from=2"];
    let (out, _) = text(&ha.tool("mesos-log", &[ranged[0], ranged[1], ranged[2], "--to=3"]));
    assert_eq!(out.lines().count(), 2, "{out}");
    let refused = ha.tool("mesos-log", &[ranged[0], ranged[1], "--to=1000"]);
    assert!(text(&refused).1.contains("holds positions"), "{refused:?}");
}
