//! What tasks ask of their slave beyond resources: networks, secrets, volumes. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cluster_tests::cluster::{Cluster, binary, free_port, text, wait_for};
use serde_json::{Value, json};

fn task(id: &str, line: &str, environment: &Value, container: &Value) -> Value {
    let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
    json!({
        "task_id": {"value": id}, "name": id,
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
        "command": {"shell": true, "value": line, "environment": {"variables": environment}},
        "container": container,
    })
}

/// Runs a task to its end: whether it finished, and what was said of it.
fn run(cluster: &Cluster, task: &Value) -> (bool, String) {
    let output = cluster.execute(&[&format!("--task={task}")]);
    let (out, err) = text(&output);
    (output.status.success(), format!("{out}{err}"))
}

fn secret(name: &str) -> Value {
    // "s3cret" in the base of JSON's bytes.
    let value = json!({"type": "VALUE", "value": {"data": "czNjcmV0"}});
    json!([{"name": name, "type": "SECRET", "secret": value}])
}

const PLAIN: &str = "MESOS";

#[test]
fn secret_of_a_command_task_reaches_the_task_and_nobody_else() {
    let cluster = Cluster::start(&[], 1, &["--isolation=posix/cpu,posix/mem"]);
    // The line itself must not have it.
    let look = "test ${#KEY} = 6 && test -z \"$MESOS_TASK_LAUNCH_INFO\" && \
                ! echo \"$KEY\" | grep -qaf - /proc/*/cmdline";
    let (finished, said) =
        run(&cluster, &task("with", look, &secret("KEY"), &json!({"type": PLAIN})));
    assert!(finished, "{said}");
    let told = cluster.slaves[0].log() + &cluster.master.log() + &said;
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn what_no_isolator_serves_is_refused_by_its_name() {
    let cluster = Cluster::start(&[], 1, &["--isolation=posix/cpu,posix/mem"]);
    let plain = json!({"type": PLAIN});
    let volume = json!([{"container_path": "data", "host_path": "/data", "mode": "RO"}]);
    let asks = json!({"type": PLAIN, "volumes": volume});
    let (finished, said) = run(&cluster, &task("volume", "true", &json!([]), &asks));
    assert!(!finished && said.contains("volume/host_path"), "{said}");
    let mut limited = task("limited", "true", &json!([]), &plain);
    limited["limits"] = json!({"mem": {"value": 64.0}});
    let (finished, said) = run(&cluster, &limited);
    assert!(!finished && said.contains("cgroups/mem"), "{said}");
}

#[test]
fn task_that_asks_for_nothing_gets_what_the_operator_says() {
    let volume = json!([{"container_path": "data", "host_path": "/data", "mode": "RO"}]);
    let usual = json!({"type": PLAIN, "volumes": volume});
    let isolation = "--isolation=posix/cpu,posix/mem";
    let cluster =
        Cluster::start(&[], 1, &[isolation, &format!("--default_container_info={usual}")]);
    // Nobody serves what it gets: it is asked for all the same.
    let mut plain = task("plain", "true", &json!([]), &Value::Null);
    plain.as_object_mut().unwrap().shift_remove("container");
    let (finished, said) = run(&cluster, &plain);
    assert!(!finished && said.contains("volume/host_path"), "{said}");
    let own = json!({"type": PLAIN});
    let (finished, said) = run(&cluster, &task("own", "true", &json!([]), &own));
    assert!(finished, "{said}");
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A bridge of the host's, and a slave that listens there, as containers on it cannot reach the loopback.
struct Bridge {
    name: String,
    slave: Child,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.slave.kill();
        let _ = self.slave.wait();
        ip(&["link", "del", &self.name]);
    }
}

fn bridged(cluster: &Cluster, directory: &Path) -> Bridge {
    let name = format!("a-{}", std::process::id());
    ip(&["link", "add", &name, "type", "bridge"]);
    ip(&["addr", "add", "10.213.9.1/24", "dev", &name]);
    ip(&["link", "set", &name, "up"]);
    let config = json!({
        "cniVersion": "0.3.1", "name": "net", "type": "bridge", "bridge": name,
        "ipam": {"type": "host-local", "dataDir": directory.join("ipam"), "subnet": "10.213.9.0/24",
            "rangeStart": "10.213.9.10"}});
    let configs = directory.join("configs");
    fs::create_dir(&configs).unwrap();
    fs::write(configs.join("net.conf"), config.to_string()).unwrap();
    let log = fs::File::create(directory.join("log")).unwrap();
    let slave = Command::new(binary("mesos-slave"))
        .args(["--ip=10.213.9.1", "--launcher=linux", "--network_cni_plugins_dir=/usr/lib/cni"])
        .arg(format!("--master={}", cluster.master.address))
        .arg(format!("--port={}", free_port()))
        .arg("--isolation=filesystem/linux,network/cni,cgroups/cpu")
        .arg(format!("--network_cni_config_dir={}", configs.display()))
        .arg(format!("--work_dir={}", directory.join("work").display()))
        .arg(format!("--runtime_dir={}", directory.join("run").display()))
        .arg(format!("--cgroups_root=asked-{}", std::process::id()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Bridge { name, slave }
}

#[test]
fn task_on_a_network_of_its_own_runs_and_is_told_with_its_address() {
    let cluster = Cluster::start(&[], 0, &[]);
    let directory = tempfile::tempdir().unwrap();
    let bridge = bridged(&cluster, directory.path());
    wait_for("the slave to register", || {
        cluster.master.json("/state")["slaves"].get(0).is_some().then_some(())
    });
    let asks = json!({"type": PLAIN, "network_infos": [{"name": "net"}]});
    let look = "ip -4 -o addr show eth0 | grep -q 'inet 10.213.9.1[0-9]'";
    let (finished, said) = run(&cluster, &task("net", look, &json!([]), &asks));
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(finished, "{said}\n{log}");
    let state = cluster.master.json("/state");
    let framework = &state["completed_frameworks"][0];
    let statuses = framework["completed_tasks"][0]["statuses"].as_array().unwrap().clone();
    assert!(statuses.len() >= 2, "{statuses:?}");
    for status in statuses {
        let container = &status["container_status"];
        let address = &container["network_infos"][0]["ip_addresses"][0]["ip_address"];
        assert!(address.as_str().is_some_and(|it| it.starts_with("10.213.9.1")), "{status}");
        assert!(container["executor_pid"].is_u64(), "{status}");
    }
    drop(bridge);
}
