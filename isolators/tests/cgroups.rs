//! The `cgroups/*` isolators on the kernel's version 1 hierarchies. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::{Host, Shell, eventually, until};
use isolators::{Allocation, ContainerSetup, Limits, Options};
use libprocess::real::run;
use protos::mesos::task_status::Reason;
use protos::resources::Resources;

fn resources(text: &str) -> ContainerSetup {
    ContainerSetup::from(text.parse::<Resources>().unwrap())
}

#[test]
fn cpu_quota_gives_a_spinning_task_no_more_than_half_a_core() {
    run(async {
        let options = Options { cgroups_enable_cfs: true, ..Options::new("cgroups/cpu") };
        let host = Host::start(options).await;
        let task = Shell::held("while :; do :; done");
        let id = host.container(&resources("cpus:0.5"), &task).await;
        task.go();
        let used = host.used(&id).await;
        eventually("periods are counted", async || {
            host.used(&id).await.cpus_nr_periods() > used.cpus_nr_periods() + 30
        })
        .await;
        let (from, to) = (used, host.used(&id).await);
        let periods = f64::from(to.cpus_nr_periods() - from.cpus_nr_periods());
        let busy = |it: &protos::mesos::ResourceStatistics| {
            it.cpus_user_time_secs() + it.cpus_system_time_secs()
        };
        // A period is a tenth of a second; the last one may not be over.
        let share = (busy(&to) - busy(&from)) / (periods / 10.0);
        assert!(share < 0.6, "{share} of a core in {periods} periods");
        // How much less than that it gets is up to what else the host runs.
        assert_eq!(host.file("cpu", &id, "cpu.cfs_quota_us"), "50000");
        host.clean(&id).await;
    });
}

#[test]
fn cpu_shares_hold_under_contention() {
    run(async {
        let host = Host::start(Options::new("cgroups/cpu")).await;
        // Both on one CPU, so that they contend.
        let spin = "while :; do :; done";
        let (small, large) = (Shell::held_on_first_cpu(spin), Shell::held_on_first_cpu(spin));
        let a = host.container(&resources("cpus:0.5"), &small).await;
        let b = host.container(&resources("cpus:1.5"), &large).await;
        small.go();
        large.go();
        let busy = async |id: &_| host.used(id).await.cpus_user_time_secs();
        eventually("both run", async || busy(&a).await > 0.1 && busy(&b).await > 0.1).await;
        let (from_a, from_b) = (busy(&a).await, busy(&b).await);
        eventually("they contend for a while", async || busy(&b).await > from_b + 1.5).await;
        let (spent_a, spent_b) = (busy(&a).await - from_a, busy(&b).await - from_b);
        let share = spent_a / (spent_a + spent_b);
        assert!((share - 0.25).abs() < 0.1, "{share} instead of 0.25");
        host.clean(&a).await;
        host.clean(&b).await;
    });
}

#[test]
fn mem_task_beyond_its_memory_is_limited_and_its_neighbour_does_not_notice() {
    run(async {
        let host = Host::start(Options::new("cgroups/mem")).await;
        // Holds what it reads: the whole input is one line.
        let hog = Shell::held("tail /dev/zero");
        let neighbour = Shell::held("sleep 1000");
        let a = host.container(&resources("mem:32"), &hog).await;
        let b = host.container(&resources("mem:32"), &neighbour).await;
        neighbour.go();
        let limited = host.watch(&a);
        hog.go();
        let limitation = until("the limit is hit", limited).await.expect("a limitation");
        assert_eq!(limitation.reason(), Reason::ContainerLimitationMemory);
        let message = limitation.message();
        let head = "Memory limit exceeded: Requested: 32MB Maximum Used: ";
        assert!(message.starts_with(head), "{message}");
        assert!(message.contains("\ntotal_rss "), "{message}");
        assert_eq!(limitation.resources[0].name, "mem");
        let used = host.used(&b).await;
        assert!(used.mem_total_bytes() < 32 << 20);
        assert_eq!(used.mem_anon_bytes, used.mem_rss_bytes);
        assert!(used.mem_low_pressure_counter.is_some());
        assert!(neighbour.lives());
        host.clean(&a).await;
        assert!(futures::future::FutureExt::now_or_never(host.watch(&b)).is_none());
        host.clean(&b).await;
    });
}

#[test]
fn mem_update_raises_the_limit_of_a_running_container() {
    run(async {
        let host = Host::start(Options::new("cgroups/mem")).await;
        let task = Shell::held("sleep 1000");
        let id = host.container(&resources("mem:32"), &task).await;
        task.go();
        let limit = || host.file("memory", &id, "memory.limit_in_bytes");
        assert_eq!(limit(), (32 << 20).to_string());
        let raised: Resources = "mem:64".parse().unwrap();
        host.update(&id, raised.into()).await;
        assert_eq!(limit(), (64 << 20).to_string());
        let lowered: Resources = "mem:48".parse().unwrap();
        host.update(&id, lowered.clone().into()).await;
        assert_eq!(limit(), (64 << 20).to_string());
        let soft = host.file("memory", &id, "memory.soft_limit_in_bytes");
        assert_eq!(soft, (48 << 20).to_string());
        let limits = Limits { cpus: None, mem: Some(f64::INFINITY) };
        host.update(&id, Allocation { resources: lowered, limits }).await;
        assert!(limit().parse::<u64>().unwrap() > 1 << 60);
        host.clean(&id).await;
    });
}

#[test]
fn pids_fork_bomb_is_contained_and_cleaned_up() {
    run(async {
        let host = Host::start(Options::new("cgroups/pids")).await;
        let bomb = Shell::held("b() { sleep 1000 & b & b & wait; }; b");
        let id = host.container(&resources("cpus:1"), &bomb).await;
        // The isolator sets no limit: that is the operator's.
        host.set("pids", &id, "pids.max", "40");
        bomb.go();
        eventually("the bomb hits the limit", async || {
            let events = host.file("pids", &id, "pids.events");
            !events.ends_with(" 0")
        })
        .await;
        assert!(host.file("pids", &id, "pids.current").parse::<u32>().unwrap() <= 40);
        host.clean(&id).await;
    });
}

#[test]
fn freezer_kills_what_daemonises_and_ignores_signals() {
    run(async {
        use isolators::cgroups::{Hierarchies, killer};
        let host = Host::start(Options::new("posix/cpu")).await;
        let root = host.root().to_owned();
        let found = Hierarchies::of_host(std::path::Path::new("/sys/fs/cgroup"), &root).unwrap();
        let group = std::sync::Arc::new(found).group(&"f".into());
        group.create("freezer").unwrap();
        let task = Shell::held("trap '' TERM HUP INT; setsid sh -c 'sleep 1000 & sleep 1000' &");
        group.assign("freezer", task.pid()).unwrap();
        task.go();
        eventually("it has daemonised", async || group.processes("freezer").len() >= 3).await;
        let killed = killer::destroy(
            host.node().clone(),
            group.clone(),
            "freezer".to_owned(),
            Duration::from_secs(30),
        );
        killed.await.unwrap();
        assert!(!group.exists("freezer"));
    });
}

#[test]
fn devices_are_denied_unless_they_are_in_the_list() {
    run(async {
        let host = Host::start(Options::new("cgroups/devices")).await;
        let sandbox = tempfile::tempdir().unwrap();
        // The kernel's log, which every host has.
        let node = sandbox.path().join("node");
        let number = nix::sys::stat::makedev(1, 11);
        let (kind, mode) = (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::S_IRUSR);
        nix::sys::stat::mknod(&node, kind, mode, number).unwrap();
        std::fs::File::open(&node).unwrap();
        let script = format!("echo > /dev/null && ! true < {}", node.display());
        let task = Shell::held(&script);
        let id = host.container(&resources("cpus:1"), &task).await;
        task.go();
        assert!(task.succeeds().await);
        host.clean(&id).await;
    });
}

#[test]
fn all_offered_controllers_work_together() {
    run(async {
        let options =
            Options { cgroups_cpu_enable_pids_and_tids_count: true, ..Options::new("cgroups/all") };
        let host = Host::start(options).await;
        let task = Shell::held("sleep 1000");
        let id = host.container(&resources("cpus:1;mem:64"), &task).await;
        task.go();
        let used = host.used(&id).await;
        assert!(used.processes() >= 1 && used.threads() >= 1);
        assert!(used.mem_total_bytes.is_some() && used.cpus_user_time_secs.is_some());
        assert!(used.blkio_statistics.is_some());
        assert!(!host.file("cpuset", &id, "cpuset.cpus").is_empty());
        host.clean(&id).await;
    });
}

#[test]
fn cgroups_of_orphans_are_destroyed_and_known_ones_are_kept() {
    run(async {
        let host = Host::start(Options::new("cgroups/cpu,cgroups/mem")).await;
        let (known, orphan) = (Shell::held("sleep 1000"), Shell::held("sleep 1000"));
        let a = host.container(&resources("cpus:1;mem:64"), &known).await;
        let b = host.container(&resources("cpus:1;mem:64"), &orphan).await;
        // Another slave of this host has a container too.
        let foreign = Shell::held("export MESOS_DIRECTORY=/elsewhere; exec sleep 1000");
        let c = host.container(&resources("cpus:1;mem:64"), &foreign).await;
        foreign.go();
        let environment = format!("/proc/{}/environ", foreign.pid());
        eventually("it has its directory", async || {
            std::fs::read_to_string(&environment).unwrap().contains("MESOS_DIRECTORY")
        })
        .await;
        host.set("memory", &a, "memory.limit_in_bytes", &(96 << 20).to_string());
        let later = host.restarted().await;
        later.recover(&a, known.pid(), &resources("cpus:1;mem:64")).await;
        eventually("the orphan is gone", async || !orphan.lives()).await;
        eventually("its cgroup is gone", async || !later.has("memory", &b)).await;
        assert!(known.lives() && foreign.lives() && later.has("memory", &c));
        host.clean(&c).await;
        // A limit that was granted is never lowered, also not by a later slave.
        later.update(&a, "cpus:1;mem:48".parse::<Resources>().unwrap().into()).await;
        let limit = later.file("memory", &a, "memory.limit_in_bytes");
        assert_eq!(limit, (96 << 20).to_string());
        assert!(later.used(&a).await.cpus_user_time_secs.is_some());
        later.clean(&a).await;
    });
}
