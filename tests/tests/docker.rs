//! Tasks as containers of a real docker daemon. Needs root and docker.io.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::net::TcpStream;
use std::process::Output;
use std::sync::{Mutex, PoisonError};

use cluster_tests::cluster::{Cluster, Daemon, free_port, text, wait_for};
use cluster_tests::dockerd::Dockerd;
use cluster_tests::images::{Registry, image};
use serde_json::{Value, json};

/// One daemon at a time: each takes a while to start.
static TURN: Mutex<()> = Mutex::new(());

struct Setting {
    // Ends before the daemon does.
    cluster: Cluster,
    docker: Dockerd,
    flags: Vec<String>,
    _turn: std::sync::MutexGuard<'static, ()>,
}

impl Setting {
    fn start(net: u8) -> Self {
        Self::start_with(net, &[])
    }

    fn start_with(net: u8, more: &[String]) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let docker = Dockerd::start(net);
        let mut flags = vec![
            "--containerizers=docker,mesos".to_owned(),
            format!("--docker_socket={}", docker.socket().display()),
            "--docker_remove_delay=1secs".to_owned(),
            "--resources=cpus:4;mem:2048;disk:1024;ports:[31000-31999]".to_owned(),
        ];
        flags.extend_from_slice(more);
        let refs: Vec<&str> = flags.iter().map(String::as_str).collect();
        let cluster = Cluster::start(&[], 1, &refs);
        Self { cluster, docker, flags, _turn: turn }
    }

    fn restart_slave(&mut self) -> &Daemon {
        self.cluster.slaves[0].kill();
        self.cluster.slaves.clear();
        let refs: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let slave = self.cluster.slave(0, free_port(), &refs);
        self.cluster.slaves.push(slave);
        &self.cluster.slaves[0]
    }

    fn execute(&self, task: &Value, more: &[&str]) -> Output {
        let told = format!("--task={task}");
        let mut flags = vec![told.as_str()];
        flags.extend(more);
        self.cluster.execute(&flags)
    }

    /// The sandbox of the only executor, and what a file of it says.
    fn read(&self, file: &str) -> String {
        let state = self.cluster.slaves[0].json("/state");
        let find = |key: &str, inner: &str| state[key][0][inner][0]["directory"].clone();
        let places = [
            find("frameworks", "executors"),
            find("frameworks", "completed_executors"),
            find("completed_frameworks", "completed_executors"),
        ];
        let directory = places.iter().find_map(|it| it.as_str()).unwrap_or_default().to_owned();
        std::fs::read_to_string(std::path::Path::new(&directory).join(file)).unwrap_or_default()
    }
}

fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

/// A task that is a container of docker's.
fn task(id: &str, script: &str, docker: &Value) -> Value {
    let mut info = json!({"image": "busybox:test"});
    for (key, value) in docker.as_object().unwrap() {
        info[key] = value.clone();
    }
    json!({
        "task_id": {"value": id}, "name": id,
        "resources": [scalar("cpus", 0.5), scalar("mem", 64.0)],
        "command": {"shell": true, "value": script},
        "container": {"type": "DOCKER", "docker": info},
    })
}

#[test]
fn docker_task_runs_in_its_image_and_its_output_is_in_the_sandbox() {
    let setting = Setting::start(201);
    let script = "echo $MESOS_SANDBOX $GREETING; id -u >&2; pwd; ls / | head -1; echo kept > \
                  $MESOS_SANDBOX/file; env | grep -c MESOS_CONTAINER_NAME=mesos-";
    let mut wanted = task(
        "t",
        script,
        &json!({"parameters": [
        {"key": "label", "value": "who=me"}, {"key": "workdir", "value": "/tmp"}]}),
    );
    wanted["command"]["environment"] =
        json!({"variables": [{"name": "GREETING", "value": "hello"}]});
    let output = setting.execute(&wanted, &[]);
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(setting.read("stdout"), "/mnt/mesos/sandbox hello\n/tmp\nbin\n1\n");
    assert!(setting.read("stderr").contains("0\n"));
    assert_eq!(setting.read("file"), "kept\n");
    // Ended containers are removed in time.
    wait_for("the container to be removed", || {
        setting.docker.containers().is_empty().then_some(())
    });
}

#[test]
fn docker_task_that_fails_or_has_no_image_is_told_why() {
    let setting = Setting::start(202);
    let output = setting.execute(&task("bad", "exit 7", &json!({})), &[]);
    let (out, err) = text(&output);
    assert!(!output.status.success() && out.contains("TASK_FAILED"), "{out}");
    assert!(err.contains("Container exited with status 7"), "{err}");
    let missing = json!({"image": "127.0.0.1:1/none:1"});
    let output = setting.execute(&task("none", "true", &missing), &[]);
    let (_, err) = text(&output);
    assert!(err.contains("cannot pull image '127.0.0.1:1/none:1'"), "{err}");
    let strange = json!({"parameters": [{"key": "levitate", "value": "x"}]});
    let output = setting.execute(&task("odd", "true", &strange), &[]);
    assert!(text(&output).1.contains("docker parameter 'levitate'"), "{}", text(&output).1);
}

#[test]
fn docker_task_has_its_image_pulled_with_the_slaves_credentials_and_its_uris_fetched() {
    let keep = tempfile::tempdir().unwrap();
    let registry = Registry::start(&image(keep.path()), None);
    let auths = json!({"auths": {registry.address.to_string(): {"auth": "bWU6c2VjcmV0"}}});
    let setting = Setting::start_with(206, &[format!("--docker_config={auths}")]);
    let fetched = keep.path().join("fetched");
    std::fs::write(&fetched, "fetched\n").unwrap();
    let name = format!("{}/test/image:1", registry.address);
    let script = "cat /etc/added $MESOS_SANDBOX/fetched; test -e /etc/gone && echo there; true";
    let mut wanted = task("pulled", script, &json!({"image": name}));
    wanted["command"]["uris"] = json!([{"value": format!("file://{}", fetched.display())}]);
    let output = setting.execute(&wanted, &[]);
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(setting.read("stdout"), "from the second layer\nfetched\n");
    // What the image says is run when the task says nothing.
    let mut own = task("own", "", &json!({"image": name}));
    own["command"] = json!({"shell": false});
    let output = setting.execute(&own, &[]);
    assert!(output.status.success(), "{}", text(&output).1);
}

#[test]
fn docker_runs_an_executor_of_the_frameworks_own_with_its_volumes() {
    let keep = tempfile::tempdir().unwrap();
    std::fs::write(keep.path().join("file"), "from the host\n").unwrap();
    let setting = Setting::start(207);
    let script =
        "cat /data/file; echo $MESOS_EXECUTOR_ID; touch /data/x 2>/dev/null && echo written";
    let mut wanted = task("t", "", &json!({}));
    let object = wanted.as_object_mut().unwrap();
    object.shift_remove("command");
    let mut container = object.shift_remove("container").unwrap();
    container["volumes"] = json!([{"container_path": "/data", "mode": "RO",
        "host_path": keep.path().display().to_string()}]);
    wanted["executor"] = json!({"executor_id": {"value": "own"}, "container": container,
        "command": {"shell": true, "value": script}});
    // It never registers: its end is the task's.
    let output = setting.execute(&wanted, &[]);
    assert!(text(&output).0.contains("TASK_FAILED"), "{}", text(&output).0);
    assert_eq!(setting.read("stdout"), "from the host\nown\n");
}

#[test]
fn docker_task_on_a_bridge_is_reached_at_its_host_port_and_killed_with_grace() {
    let setting = Setting::start(203);
    let script =
        "trap 'echo asked; exit 0' TERM; httpd -p 80 -h /tmp; while true; do sleep 0.1; done";
    let mut wanted = task(
        "web",
        script,
        &json!({
        "network": "BRIDGE", "port_mappings": [{"host_port": 31007, "container_port": 80}]}),
    );
    wanted["resources"].as_array_mut().unwrap().push(
        json!({"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31007, "end": 31007}]}}),
    );
    wanted["health_check"] = json!({"type": "TCP", "delay_seconds": 0, "interval_seconds": 0.2,
        "grace_period_seconds": 20, "tcp": {"port": 80}});
    let told = format!("--task={wanted}");
    let execute = setting.cluster.spawn_execute(&[&told, "--kill_after=4secs"]);
    setting.cluster.wait_for_task("web", "TASK_RUNNING");
    wait_for("the port to be open", || TcpStream::connect(("127.0.0.1", 31007)).ok());
    wait_for("the task to be well, at its own address", || {
        let tasks = setting.cluster.master.json("/tasks");
        let status = tasks["tasks"][0]["statuses"].as_array()?.last()?.clone();
        let address = &status["container_status"]["network_infos"][0]["ip_addresses"][0];
        let own = address["ip_address"].as_str()?.starts_with("10.203.1.");
        (status["healthy"] == true && own).then_some(())
    });
    let slave = &setting.cluster.slaves[0];
    wait_for("its statistics", || {
        let statistics = slave.json("/monitor/statistics");
        let memory = statistics[0]["statistics"]["mem_total_bytes"].as_u64()?;
        (memory > 0).then_some(())
    });
    let output = execute.wait_with_output().unwrap();
    assert!(text(&output).0.contains("TASK_KILLED"), "{}", text(&output).0);
    assert!(setting.read("stdout").contains("asked"), "{}", setting.read("stdout"));
}

#[test]
fn docker_task_gets_what_it_asked_for_and_no_more() {
    let setting = Setting::start(204);
    let told = format!("--task={}", task("held", "sleep 1000", &json!({})));
    let mut execute = setting.cluster.spawn_execute(&[&told]);
    setting.cluster.wait_for_task("held", "TASK_RUNNING");
    let name = setting.docker.containers().pop().unwrap();
    let inspected = setting.docker.inspect(&name).unwrap();
    let host = &inspected["HostConfig"];
    // The task's own half a CPU, and the tenth that its executor has beside.
    assert!([512, 614].contains(&host["CpuShares"].as_i64().unwrap()), "{host}");
    assert_eq!(host["NetworkMode"], "host");
    assert!(host["Memory"].as_i64().unwrap() >= 64 << 20);
    execute.kill().unwrap();
    execute.wait().unwrap();
    // Its framework is gone: so is the container.
    wait_for("the container to go", || setting.docker.containers().is_empty().then_some(()));
}

#[test]
fn docker_task_outlives_its_slave_and_orphans_do_not() {
    let mut setting = Setting::start(205);
    let told = format!("--task={}", task("kept", "sleep 8; echo over", &json!({})));
    let execute = setting.cluster.spawn_execute(&[&told, "--checkpoint"]);
    setting.cluster.wait_for_task("kept", "TASK_RUNNING");
    let before = setting.docker.containers();
    let pid = |setting: &Setting| {
        setting.docker.inspect(&before[0]).map(|it| it["State"]["Pid"].clone()).unwrap_or_default()
    };
    let running = pid(&setting);
    setting.restart_slave();
    assert_eq!(pid(&setting), running);
    let output = execute.wait_with_output().unwrap();
    let (out, err) = text(&output);
    assert!(out.contains("TASK_FINISHED"), "{out}\n{err}");
    assert!(setting.read("stdout").contains("over"));
    // Without checkpoints nothing is known of it afterwards.
    let told = format!("--task={}", task("orphan", "sleep 1000", &json!({})));
    let mut execute = setting.cluster.spawn_execute(&[&told]);
    setting.cluster.wait_for_task("orphan", "TASK_RUNNING");
    setting.restart_slave();
    wait_for("the orphan to go", || setting.docker.containers().is_empty().then_some(()));
    let _ = execute.kill();
    let _ = execute.wait();
}
