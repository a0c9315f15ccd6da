//! What version 2 cgroups do without controllers, on any host that has the hierarchy mounted
//! somewhere. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{Shell, eventually, until};
use isolators::cgroups::devices::{Devices, defaults};
use isolators::cgroups::{CgroupIsolator, Controller, Hierarchies, Version, bpf, killer};
use isolators::{ContainerSetup, Isolator, Options, front};
use libprocess::Node;
use libprocess::real::{Config, run, start};
use protos::ids::ContainerId;

fn unified(root: &str) -> Hierarchies {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let point = mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields[2] == "cgroup2").then(|| PathBuf::from(fields[1]))
    });
    Hierarchies::unified(point.expect("cgroup2 is mounted somewhere"), root)
}

struct Root(String, Arc<Hierarchies>);

impl Root {
    fn new() -> Self {
        let name = format!("isolators-test-{}", libprocess::Uuid::new_v4());
        let found = Arc::new(unified(&name));
        assert_eq!(found.version(), Version::V2);
        Self(name, found)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Ok(point) = self.1.mount_point("") {
            let _ = std::fs::remove_dir(point.join(&self.0));
        }
    }
}

async fn node() -> Node {
    let ip = std::net::Ipv4Addr::LOCALHOST;
    start(Config { ip, ..Config::default() }).await.unwrap()
}

#[test]
fn devices_v2_are_denied_by_a_program_of_the_kernel() {
    run(async {
        let root = Root::new();
        let controller = Devices::new(&Options::default()).unwrap();
        let isolator =
            CgroupIsolator::new(controller, root.1.clone(), Duration::from_secs(30)).unwrap();
        let isolator: Arc<dyn Isolator> = front::start(&node().await, isolator);
        let id = ContainerId::new("c");
        isolator.prepare(&id, Arc::new(ContainerSetup::default())).await.unwrap();
        let task =
            Shell::held("echo > /dev/null && ! head -c 1 < /dev/mem && ! head -c 1 < /dev/vda");
        isolator.isolate(&id, task.pid()).await.unwrap();
        let members = root.1.group(&id).processes("");
        assert_eq!(members, [task.pid()]);
        task.go();
        assert!(task.succeeds().await);
        isolator.cleanup(&id).await.unwrap();
        assert!(!root.1.group(&id).exists(""));
    });
}

#[test]
fn devices_v2_program_is_accepted_for_any_rules() {
    let root = Root::new();
    let group = root.1.group(&ContainerId::new("c"));
    group.create("devices").unwrap();
    let directory = group.directory("").unwrap();
    for rules in [Vec::new(), defaults(), defaults().repeat(20)] {
        bpf::attach(&bpf::program(&rules), &directory).unwrap();
    }
    assert!(group.remove("").unwrap());
}

#[test]
fn killer_v2_ends_a_whole_tree_at_once() {
    run(async {
        let root = Root::new();
        let group = root.1.group(&ContainerId::new("c.n"));
        assert!(group.path().ends_with("c/mesos/n"));
        group.create("").unwrap();
        let task = Shell::held("trap '' TERM; setsid sh -c 'sleep 1000 & sleep 1000' & wait");
        group.assign("", task.pid()).unwrap();
        task.go();
        eventually("it has daemonised", async || group.processes("").len() >= 4).await;
        killer::freeze(&group).unwrap();
        eventually("it is frozen", async || killer::is_frozen(&group).unwrap()).await;
        killer::thaw(&group).unwrap();
        let limit = Duration::from_secs(30);
        let parent = root.1.group(&ContainerId::new("c"));
        let destroyed = killer::destroy(node().await, parent.clone(), String::new(), limit);
        until("it is destroyed", destroyed).await.unwrap();
        assert!(!parent.exists(""));
    });
}

#[test]
fn net_cls_v2_does_not_exist() {
    let root = Root::new();
    use isolators::cgroups::net_cls::NetCls;
    assert_eq!(NetCls::controllers(root.1.version()), None);
    let net_cls = NetCls::new(&Options::default()).unwrap();
    assert!(CgroupIsolator::new(net_cls, root.1.clone(), Duration::ZERO).is_err());
}

/// Enables what a test needs, and disables it again.
struct Enabled(PathBuf, &'static str);

impl Drop for Enabled {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.subtree_control"), format!("-{}", self.1));
    }
}

#[test]
fn controller_v2_is_enabled_on_the_way_where_the_host_leaves_one() {
    run(async {
        let point = unified("").mount_point("").unwrap().to_owned();
        let offered = std::fs::read_to_string(point.join("cgroup.controllers")).unwrap();
        // Where all controllers are in version 1 hierarchies, what needs none is left.
        let found = ["hugetlb", "pids"].into_iter().find(|it| offered.contains(it));
        let controller = found.unwrap_or_default();
        let _enabled = Enabled(point, controller);
        let root = Root::new();
        let group = root.1.group(&ContainerId::new("c"));
        group.create(controller).unwrap();
        let controllers = group.read("", "cgroup.controllers").unwrap();
        assert!(controllers.contains(controller), "{controllers}");
        let task = Shell::held("sleep 1000");
        group.assign(controller, task.pid()).unwrap();
        let limit = Duration::from_secs(30);
        let name = controller.to_owned();
        until("it is destroyed", killer::destroy(node().await, group.clone(), name, limit))
            .await
            .unwrap();
        assert!(!group.exists(""));
    });
}
