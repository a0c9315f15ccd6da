//! `network/cni` with the plugins that Debian has, on a bridge. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::path::Path;

use common::{Host, Shell};
use isolators::{ContainerSetup, Options, launch};
use libprocess::real::run;
use protos::mesos::{ContainerInfo, NetworkInfo};

const PLUGINS: &str = "/usr/lib/cni";

fn options(directory: &Path, bridge: &str) -> Options {
    let configs = directory.join("configs");
    std::fs::create_dir_all(&configs).unwrap();
    let config = serde_json::json!({
        "cniVersion": "0.3.1", "name": "test", "type": "bridge", "bridge": bridge,
        "isGateway": true, "ipam": {
            "type": "host-local", "dataDir": directory.join("ipam"),
            "subnet": "10.213.7.0/24" },
        "dns": { "nameservers": ["10.213.7.1"] }
    });
    std::fs::write(configs.join("test.conf"), config.to_string()).unwrap();
    Options {
        network_cni_plugins_dir: Some(PLUGINS.to_owned()),
        network_cni_config_dir: Some(configs),
        runtime_dir: directory.join("run"),
        linux_launcher: true,
        ..Options::new("network/cni")
    }
}

fn asks(name: &str) -> ContainerSetup {
    let network = NetworkInfo { name: Some(name.to_owned()), ..NetworkInfo::default() };
    let info = ContainerInfo {
        network_infos: vec![network],
        hostname: Some("inside".to_owned()),
        ..ContainerInfo::default()
    };
    ContainerSetup { container_info: Some(info), ..ContainerSetup::default() }
}

/// The bridge that the plugin leaves behind.
struct Bridge(String);

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["link", "del", &self.0]).output();
    }
}

#[test]
fn cni_container_has_an_address_of_its_own_until_it_ends() {
    assert!(Path::new(PLUGINS).join("bridge").exists(), "install containernetworking-plugins");
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let bridge = Bridge(format!("t-{}", std::process::id()));
        let host = Host::start(options(directory.path(), &bridge.0)).await;
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // A network of its own, and processes that see it and the host through it.
        let task = Shell::unshared(
            &["--net", "--uts"],
            &format!(
                "ip -4 -o addr show eth0 | grep -q 10.213.7 && ip -o addr show lo | grep -q 127.0 \
                 && test \"$(cat /proc/sys/kernel/hostname)\" = inside \
                 && exec bash -c 'exec 3<>/dev/tcp/10.213.7.1/{port}'"
            ),
        );
        let (id, info) = host.prepare(&asks("test")).await;
        assert!(info.clone_namespaces.contains(&launch::CLONE_NEWNET));
        let resolv = info.mounts.iter().find(|mount| mount.target == "/etc/resolv.conf").unwrap();
        host.isolate(&id, &task).await;
        let text = std::fs::read_to_string(resolv.source()).unwrap();
        assert_eq!(text, "nameserver 10.213.7.1\n");
        let status = host.status(&id).await;
        let address = status.network_infos[0].ip_addresses[0].ip_address().to_owned();
        assert!(address.starts_with("10.213.7."), "{address}");
        assert_eq!(status.network_infos[0].name(), "test");
        let lease = directory.path().join("ipam/test").join(&address);
        assert!(lease.exists());
        assert!(host.used(&id).await.net_rx_packets.is_some());
        // A later slave knows it too.
        let later = host.restarted().await;
        later.recover(&id, task.pid(), &asks("test")).await;
        assert_eq!(later.status(&id).await, status);
        task.go();
        assert!(task.succeeds().await);
        later.clean(&id).await;
        assert!(!lease.exists());
        assert!(!directory.path().join("run/isolators/network/cni").join(id.as_str()).exists());
    });
}

#[test]
fn cni_networks_of_orphans_are_given_back() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let bridge = Bridge(format!("o-{}", std::process::id()));
        let host = Host::start(options(directory.path(), &bridge.0)).await;
        let task = Shell::unshared(&["--net", "--uts"], "sleep 1000");
        let (id, _) = host.prepare(&asks("test")).await;
        host.isolate(&id, &task).await;
        let address = host.status(&id).await.network_infos[0].ip_addresses[0].clone();
        let lease = directory.path().join("ipam/test").join(address.ip_address());
        assert!(lease.exists());
        drop(task);
        let later = host.restarted().await;
        later.recover_nothing().await;
        common::eventually("the address is free", async || !lease.exists()).await;
    });
}

#[test]
fn cni_container_on_the_hosts_network_or_an_unknown_one_is_refused() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::start(options(directory.path(), "unused")).await;
        assert!(host.refuses(&asks("nowhere")).await.contains("'nowhere'"));
        // A launcher that does not make namespaces would have the host's network changed.
        let (id, _) = host.prepare(&asks("test")).await;
        let task = Shell::held("true");
        let error = host.isolate_fails(&id, &task).await;
        assert!(error.contains("host's network"), "{error}");
        host.clean(&id).await;
    });
}
