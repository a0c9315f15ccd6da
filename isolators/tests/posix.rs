//! The posix isolators on a real child process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::sync::Arc;

use isolators::{ContainerSetup, Options};
use libprocess::real::{Config, run, start};
use protos::ids::ContainerId;

/// A child that does not outlive its test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn posix_isolators_measure_a_busy_child() {
    run(async {
        let ip = std::net::Ipv4Addr::LOCALHOST;
        let node = start(Config { ip, ..Config::default() }).await.unwrap();
        let started = isolators::start(&node, &Options::new("process")).unwrap();
        let isolators: Vec<_> =
            started.into_iter().filter(|isolator| isolator.name().starts_with("posix/")).collect();
        let mut child = Killed(
            std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap(),
        );
        let id = ContainerId::new("c");
        for isolator in &isolators {
            let setup = Arc::new(ContainerSetup::default());
            isolator.prepare(&id, setup.clone()).await.unwrap();
            assert!(isolator.prepare(&id, setup).await.is_err());
            assert!(isolator.usage(&id).await.is_err());
            isolator.isolate(&id, child.0.id()).await.unwrap();
        }
        let busy = async {
            loop {
                let used = isolators[0].usage(&id).await.unwrap().cpus_user_time_secs();
                if used > 0.0 {
                    return used;
                }
            }
        };
        let limit = std::time::Duration::from_secs(30);
        assert!(tokio::time::timeout(limit, busy).await.expect("cpu time within 30 s") > 0.0);
        assert!(isolators[1].usage(&id).await.unwrap().mem_rss_bytes() > 0);
        for isolator in &isolators {
            isolator.cleanup(&id).await.unwrap();
            assert!(isolator.usage(&id).await.is_err());
        }
        child.0.kill().unwrap();
    });
}
