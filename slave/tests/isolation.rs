//! Containers with isolators on the real kernel: each tries what it must not be able to. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod confined;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use confined::Host;
use isolators::Options;
use libprocess::real::run;
use protos::mesos::{self, task_status::Reason};
use slave::containerizer::ContainerConfig;

const NOBODY: Option<&str> = Some("nobody");

fn asks(config: &mut ContainerConfig, info: mesos::ContainerInfo) {
    config.executor_info.container = Some(Box::new(info));
}

#[test]
fn task_beyond_its_memory_ends_with_the_reason_of_its_limit() {
    run(async {
        let host = Host::start("cgroups/cpu,cgroups/mem", Options::default()).await;
        let (ended, _) = host.run("exec tail /dev/zero", NOBODY, |_| {}).await;
        assert_eq!(ended.reason, Some(Reason::ContainerLimitationMemory));
        assert_eq!(ended.state, Some(mesos::TaskState::TaskFailed));
        let head = "Memory limit exceeded: Requested: 64MB Maximum Used: ";
        assert!(ended.message.starts_with(head), "{}", ended.message);
        assert_eq!(ended.limited_resources[0].name, "mem");
        let (ended, said) = host.run("echo fine", NOBODY, |_| {}).await;
        assert_eq!((ended.reason, said.as_str()), (None, "fine\n"));
    });
}

#[test]
fn task_beyond_its_disk_is_ended() {
    run(async {
        let isolating = Options {
            enforce_container_disk_quota: true,
            container_disk_watch_interval: Duration::from_millis(200),
            ..Options::default()
        };
        let host = Host::start("disk/du", isolating).await;
        let script = "head -c 100000000 /dev/zero > big; exec sleep 1000";
        let (ended, _) = host.run(script, NOBODY, |_| {}).await;
        assert_eq!(ended.reason, Some(Reason::ContainerLimitationDisk));
        assert!(ended.message.contains("exceeds quota (64MB)"), "{}", ended.message);
    });
}

#[test]
fn processes_of_other_containers_are_neither_seen_nor_signalled() {
    run(async {
        let host = Host::start("filesystem/linux,namespaces/pid", Options::default()).await;
        let other = host.id();
        let victim = host.config(&other, "exec sleep 1000", NOBODY);
        host.containerizer.launch(&other, victim).await.unwrap();
        let pid = host.containerizer.status(&other).await.unwrap().executor_pid.unwrap();
        let script = format!(
            "ls /proc | grep -c '^[0-9]'; kill -0 {pid} 2>/dev/null && echo signalled; \
             test -e /proc/{pid}/stat && echo seen; kill -9 -1 2>/dev/null; true"
        );
        let (_, said) = host.run(&script, NOBODY, |_| {}).await;
        // The shell, ls and grep; nothing else is there.
        let seen: u32 = said.lines().next().unwrap().parse().unwrap();
        assert!(seen <= 4, "{said}");
        assert!(!said.contains("signalled") && !said.contains("seen"), "{said}");
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        host.containerizer.destroy(&other).await.unwrap();
    });
}

#[test]
fn rights_that_were_not_given_are_not_there() {
    run(async {
        let profiles = tempfile::tempdir().unwrap();
        let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}"#;
        fs::write(profiles.path().join("p.json"), profile).unwrap();
        let none = mesos::CapabilityInfo::default();
        let isolating = Options {
            effective_capabilities: Some(none.clone()),
            bounding_capabilities: Some(none),
            seccomp_config_dir: Some(profiles.path().to_owned()),
            seccomp_profile_name: Some("p.json".to_owned()),
            ..Options::default()
        };
        let isolation = "linux/capabilities,linux/nnp,linux/seccomp,posix/rlimits";
        let host = Host::start(isolation, isolating).await;
        let limit = mesos::r_limit_info::RLimit {
            r#type: Some(mesos::r_limit_info::r_limit::Type::RlmtNofile as i32),
            soft: Some(55),
            hard: Some(66),
        };
        let script = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ulimit -n; \
                      mkdir x 2>/dev/null && echo made; chown nobody /etc/hosts 2>/dev/null && \
                      echo chowned; true";
        for user in [None, Some("nobody".to_owned())] {
            let (_, said) = host
                .run(script, NOBODY, |config| {
                    config.user = user;
                    let rlimit_info = Some(mesos::RLimitInfo { rlimits: vec![limit] });
                    asks(config, mesos::ContainerInfo { rlimit_info, ..Default::default() });
                })
                .await;
            let lines: Vec<&str> = said.lines().collect();
            let nothing = "0000000000000000";
            assert_eq!(lines[0], format!("CapEff:\t{nothing}"), "{said}");
            assert_eq!(lines[1], format!("CapBnd:\t{nothing}"), "{said}");
            assert_eq!(lines[2..], ["NoNewPrivs:\t1", "Seccomp:\t2", "55"], "{said}");
        }
    });
}

#[test]
fn volumes_secrets_and_shared_memory_are_the_containers_own() {
    run(async {
        let isolation = "filesystem/linux,namespaces/ipc,volume/secret";
        let host = Host::start(isolation, Options::default()).await;
        let shown = host.directory.join("shown");
        fs::create_dir(&shown).unwrap();
        fs::write(shown.join("file"), "shown\n").unwrap();
        fs::set_permissions(&shown, fs::Permissions::from_mode(0o777)).unwrap();
        let secret = mesos::Secret {
            r#type: Some(mesos::secret::Type::Value as i32),
            value: Some(mesos::secret::Value { data: "s3cret\n".into() }),
            ..Default::default()
        };
        let volumes = vec![
            mesos::Volume {
                container_path: "seen".to_owned(),
                host_path: Some(shown.display().to_string()),
                mode: mesos::volume::Mode::Ro as i32,
                ..Default::default()
            },
            mesos::Volume {
                container_path: "key".to_owned(),
                mode: mesos::volume::Mode::Ro as i32,
                source: Some(mesos::volume::Source {
                    r#type: Some(mesos::volume::source::Type::Secret as i32),
                    secret: Some(secret),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ];
        let linux_info = Some(mesos::LinuxInfo {
            ipc_mode: Some(mesos::linux_info::IpcMode::Private as i32),
            shm_size: Some(3),
            ..Default::default()
        });
        let script = "cat seen/file key; touch seen/other 2>/dev/null && echo written; \
                      df -k --output=size /dev/shm | tail -1; ls -A /dev/shm | wc -l";
        let (_, said) = host
            .run(script, NOBODY, |config| {
                let info = mesos::ContainerInfo { volumes, linux_info, ..Default::default() };
                asks(config, info);
            })
            .await;
        let lines: Vec<&str> = said.lines().map(str::trim).collect();
        assert_eq!(lines, ["shown", "s3cret", "3072", "0"]);
        let left = fs::read_dir(host.directory.join("run/secrets")).unwrap().count();
        assert_eq!(left, 0);
    });
}

#[test]
fn container_joins_a_network_and_leaves_it() {
    run(async {
        let configs = tempfile::tempdir().unwrap();
        let bridge = format!("i-{}", std::process::id());
        let config = serde_json::json!({
            "cniVersion": "0.3.1", "name": "test", "type": "bridge", "bridge": bridge,
            "isGateway": true, "ipam": {
                "type": "host-local", "dataDir": configs.path().join("ipam"),
                "subnet": "10.213.8.0/24" } });
        fs::write(configs.path().join("test.conf"), config.to_string()).unwrap();
        let isolating = Options {
            network_cni_plugins_dir: Some("/usr/lib/cni".to_owned()),
            network_cni_config_dir: Some(configs.path().to_owned()),
            ..Options::default()
        };
        let host = Host::start("filesystem/linux,network/cni", isolating).await;
        let network = mesos::NetworkInfo { name: Some("test".to_owned()), ..Default::default() };
        let info = mesos::ContainerInfo {
            network_infos: vec![network],
            hostname: Some("inside".to_owned()),
            ..Default::default()
        };
        let script = "cat /proc/sys/kernel/hostname; ip -4 -o addr show eth0 | grep -o -m 1 'inet 10.213.8'; \
                      grep -o ' inside' /etc/hosts; ip -o link | wc -l";
        let (_, said) = host.run(script, NOBODY, |config| asks(config, info)).await;
        let removed = std::process::Command::new("ip").args(["link", "del", &bridge]).output();
        assert!(removed.unwrap().status.success());
        assert_eq!(said.lines().collect::<Vec<_>>(), ["inside", "inet 10.213.8", " inside", "2"]);
        let leases = fs::read_dir(configs.path().join("ipam/test")).unwrap().flatten();
        let leases = leases.filter(|it| it.file_name().to_string_lossy().starts_with("10."));
        assert_eq!(leases.count(), 0);
    });
}
