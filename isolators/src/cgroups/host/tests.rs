use libprocess::real::{Config, run, start};
use protos::resources::Resources;

use super::*;
use crate::cgroups::cpu::Cpu;
use crate::cgroups::fake::Fake;
use crate::cgroups::mem::Mem;
use crate::cgroups::plain::Pids;
use crate::front;
use crate::options::Options;
use crate::setup::Limits;
use crate::{Isolator, merge_statistics};

const FILES: [(&str, &str); 9] = [
    ("cgroup.procs", ""),
    ("cpu.weight", ""),
    ("cpu.max", ""),
    ("cpu.stat", "user_usec 2000000\nsystem_usec 1000000\n"),
    ("memory.low", ""),
    ("memory.max", "max"),
    ("memory.events", "oom 0\n"),
    ("memory.current", "4096"),
    ("memory.stat", "anon 1024\nfile 2048\n"),
];

/// A version 2 tree in which directories have their control files already.
fn tree() -> Fake {
    let fake = Fake::unified(&FILES);
    for at in ["", "mesos"] {
        std::fs::write(fake.path().join(at).join("cgroup.subtree_control"), "").unwrap();
    }
    std::fs::create_dir(fake.path().join("mesos/c/leaf")).unwrap();
    std::fs::write(fake.path().join("mesos/c/leaf/cgroup.procs"), "").unwrap();
    std::fs::write(fake.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
    fake
}

async fn isolators(fake: &Fake) -> Vec<Arc<dyn Isolator>> {
    let ip = std::net::Ipv4Addr::LOCALHOST;
    let node = start(Config { ip, ..Config::default() }).await.unwrap();
    let found = || fake.hierarchies().clone();
    let options = Options::default();
    let cpu = CgroupIsolator::new(Cpu::new(&options), found(), Duration::ZERO).unwrap();
    let mem = CgroupIsolator::new(Mem::new(&options), found(), Duration::ZERO).unwrap();
    vec![front::start(&node, cpu), front::start(&node, mem)]
}

#[test]
fn isolators_v2_share_one_cgroup_with_a_leaf() {
    run(async {
        let (fake, id) = (tree(), ContainerId::new("c"));
        let isolators = isolators(&fake).await;
        let resources: Resources = "cpus:0.5;mem:64".parse().unwrap();
        let limits = Limits { cpus: Some(1.0), mem: Some(128.0) };
        let allocation = Allocation { resources, limits };
        let setup = Arc::new(ContainerSetup::from(allocation.clone()));
        for isolator in &isolators {
            isolator.prepare(&id, setup.clone()).await.unwrap();
            assert!(isolator.prepare(&id, setup.clone()).await.is_err());
            isolator.isolate(&id, 42).await.unwrap();
        }
        assert_eq!(fake.text("", "cpu.weight"), "50");
        assert_eq!(fake.text("", "cpu.max"), "100000 100000");
        assert_eq!(fake.text("", "memory.low"), (64 << 20).to_string());
        assert_eq!(fake.text("", "memory.max"), (128 << 20).to_string());
        assert_eq!(fake.text("", "leaf/cgroup.procs"), "42");
        let mut used = ResourceStatistics::default();
        for isolator in &isolators {
            merge_statistics(&mut used, &isolator.usage(&id).await.unwrap());
        }
        assert_eq!((used.cpus_user_time_secs(), used.mem_total_bytes()), (2.0, 4096));
        // Only memory has a limit to wait for.
        assert_eq!(isolators[0].watch(&id).await, None);
        let limited = isolators[1].watch(&id);
        std::fs::write(fake.path().join("mesos/c/memory.events"), "oom 1\n").unwrap();
        let limit = Duration::from_secs(30);
        let limitation = tokio::time::timeout(limit, limited).await.unwrap().unwrap();
        assert!(limitation.message().starts_with("Memory limit exceeded: Requested: 128MB"));
    });
}

#[test]
fn isolators_without_their_controllers_are_refused() {
    let fake = tree();
    let pids = CgroupIsolator::new(Pids, fake.hierarchies().clone(), Duration::ZERO);
    assert!(matches!(pids.err(), Some(CgroupError::NotMounted(name)) if name == "pids"));
}

#[test]
fn container_of_a_slave_without_this_isolator_is_left_alone() {
    run(async {
        let fake = tree();
        let isolators = isolators(&fake).await;
        let id = ContainerId::new("other");
        let known = Recovered { id: id.clone(), pid: 1, setup: ContainerSetup::default() };
        let errors = isolators[0].recover(vec![known]).await;
        assert!(errors.is_empty(), "{errors:?}");
        isolators[0].update(&id, Allocation::default()).await.unwrap();
        let used = isolators[0].usage(&id).await.unwrap();
        assert_eq!(used.cpus_user_time_secs, None);
        isolators[0].cleanup(&id).await.unwrap();
        isolators[0].cleanup(&id).await.unwrap();
    });
}

#[test]
fn nested_container_shares_its_parents_cgroup_unless_it_says_otherwise() {
    let nested = ContainerId::new("c.n");
    let parent = Some(ContainerId::new("c"));
    assert_eq!(shared_with(&nested, &ContainerSetup::default()), parent);
    assert_eq!(shared_with(&ContainerId::new("c"), &ContainerSetup::default()), None);
    let linux = protos::mesos::LinuxInfo { share_cgroups: Some(false), ..Default::default() };
    let info = protos::mesos::ContainerInfo { linux_info: Some(linux), ..Default::default() };
    let own = ContainerSetup { container_info: Some(info), ..ContainerSetup::default() };
    assert_eq!(shared_with(&nested, &own), None);
    let debug = ContainerSetup { is_debug: true, ..own };
    assert_eq!(shared_with(&nested, &debug), parent);
}
