//! Controllers that hosts seldom mount: they are mounted in a directory of the test. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::{Host, Shell, eventually};
use isolators::{ContainerSetup, Options};
use libprocess::real::run;

/// A directory in which controllers are mounted until the test is over.
struct Controllers(tempfile::TempDir);

impl Drop for Controllers {
    fn drop(&mut self) {
        for point in isolators::filesystem::mounts::below(self.0.path()).unwrap() {
            let _ = isolators::filesystem::mounts::detach(&point);
        }
    }
}

#[test]
fn net_cls_number_is_given_told_and_kept_over_a_restart() {
    run(async {
        let controllers = Controllers(tempfile::tempdir().unwrap());
        let options = Options {
            cgroups_hierarchy: controllers.0.path().to_owned(),
            cgroups_net_cls_primary_handle: Some("0x12".to_owned()),
            ..Options::new("cgroups/net_cls")
        };
        let host = Host::start(options).await;
        let task = Shell::held("sleep 1000");
        let id = host.container(&ContainerSetup::default(), &task).await;
        let class = |status: protos::mesos::ContainerStatus| {
            status.cgroup_info.unwrap().net_cls.unwrap().classid()
        };
        assert_eq!(class(host.status(&id).await), 0x0012_0001);
        let later = host.restarted().await;
        later.recover(&id, task.pid(), &ContainerSetup::default()).await;
        assert_eq!(class(later.status(&id).await), 0x0012_0001);
        let (other, _) = later.prepare(&ContainerSetup::default()).await;
        assert_eq!(class(later.status(&other).await), 0x0012_0002);
        later.clean(&other).await;
        later.clean(&id).await;
        host.remove_root(controllers.0.path(), "net_cls");
    });
}

#[test]
fn perf_events_of_a_busy_container_are_counted() {
    run(async {
        let controllers = Controllers(tempfile::tempdir().unwrap());
        let options = Options {
            cgroups_hierarchy: controllers.0.path().to_owned(),
            perf_events: Some("cpu-clock,context-switches".to_owned()),
            perf_interval: Duration::from_millis(300),
            perf_duration: Duration::from_millis(200),
            ..Options::new("cgroups/perf_event")
        };
        let host = Host::start(options).await;
        let task = Shell::held("while :; do :; done");
        let id = host.container(&ContainerSetup::default(), &task).await;
        task.go();
        eventually("it is counted", async || {
            host.used(&id).await.perf.is_some_and(|perf| perf.cpu_clock() > 0.0)
        })
        .await;
        let perf = host.used(&id).await.perf.unwrap();
        assert_eq!(perf.duration, 0.2);
        assert!(perf.context_switches.is_some() && perf.cycles.is_none());
        host.clean(&id).await;
        host.remove_root(controllers.0.path(), "perf_event");
    });
}
