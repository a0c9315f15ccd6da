//! Clusters of real processes: what a user of the binaries sees.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::process::Command;

use cluster_tests::cluster::{Cluster, binary, free_port, text, wait_for};
use cluster_tests::get::{exchange, raw};
use serde_json::Value;

#[test]
fn task_quick_finishes_and_leaves_its_output() {
    let cluster = Cluster::start(&[], 1, &[]);
    let output = cluster.execute(&[
        "--name=my-first-task",
        "--command=echo hello world && sleep 0.1",
        "--resources=cpus:1;mem:128",
    ]);
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    let state = cluster.master.json("/state");
    let slave = state["slaves"][0]["id"].as_str().unwrap();
    let framework = state["completed_frameworks"][0]["id"].as_str().unwrap();
    for expected in [framework, slave, "TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"] {
        assert!(out.contains(expected), "{expected} is missing in\n{out}");
    }
    let task = &state["completed_frameworks"][0]["completed_tasks"][0];
    assert_eq!(task["state"], "TASK_FINISHED");
    assert_eq!(task["resources"]["cpus"], 1.0);
    let slave_daemon = &cluster.slaves[0];
    let seen = slave_daemon.json("/state");
    let executor = wait_for("the executor to be completed", || {
        let seen = slave_daemon.json("/state");
        let executor = seen["completed_frameworks"][0]["completed_executors"][0].clone();
        (!executor.is_null()).then_some(executor)
    });
    let directory = executor["directory"].as_str().unwrap();
    let path = format!("/files/read.json?path={directory}/stdout&offset=0");
    assert_eq!(slave_daemon.json(&path)["data"], "hello world\n", "{seen}");
    let listing = slave_daemon.json(&format!("/files/browse?path={directory}"));
    let names: Vec<&str> =
        listing.as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
    assert!(names.iter().any(|name| name.ends_with("/stdout")), "{names:?}");
    let escape = format!("/files/read?path={directory}/../../../../../../../meta&offset=0");
    assert_eq!(slave_daemon.get(&escape).status, 400);
}

#[test]
fn task_failing_makes_execute_fail_with_the_reason() {
    let cluster = Cluster::start(&[], 1, &[]);
    let output = cluster.execute(&["--name=bad", "--command=exit 7"]);
    let (out, err) = text(&output);
    assert!(!output.status.success());
    assert!(out.contains("TASK_FAILED"), "{out}");
    assert!(err.contains("status 7"), "{err}");
}

#[test]
fn task_argv_and_environment_reach_the_command() {
    let cluster = Cluster::start(&[], 1, &[]);
    let output = cluster.execute(&[
        "--name=env",
        "--command=test \"$COLOUR\" = red && test -n \"$MESOS_SANDBOX\" && test \"$PWD\" -ef \"$MESOS_SANDBOX\"",
        "--env={\"COLOUR\": \"red\"}",
    ]);
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
}

const FAST_PINGS: [&str; 2] = ["--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2"];

#[test]
fn slave_killed_loses_its_task_at_once_without_checkpointing() {
    let mut cluster = Cluster::start(&FAST_PINGS, 1, &[]);
    let execute = cluster.spawn_execute(&["--name=long", "--command=sleep 1000"]);
    cluster.wait_for_task("long", "TASK_RUNNING");
    cluster.slaves[0].kill();
    let output = execute.wait_with_output().unwrap();
    let (out, err) = text(&output);
    assert!(!output.status.success());
    assert!(out.contains("TASK_LOST"), "{out}\n{err}");
}

#[test]
fn slave_killed_loses_its_checkpointed_task_after_the_ping_timeout_and_comes_back() {
    let mut cluster = Cluster::start(&FAST_PINGS, 1, &[]);
    let execute = cluster.spawn_execute(&["--name=long", "--command=sleep 1000", "--checkpoint"]);
    cluster.wait_for_task("long", "TASK_RUNNING");
    let before = cluster.master.json("/slaves")["slaves"][0]["id"].clone();
    let port = cluster.slaves[0].address.port();
    cluster.slaves[0].kill();
    let output = execute.wait_with_output().unwrap();
    let (out, err) = text(&output);
    assert!(out.contains("TASK_LOST"), "{out}\n{err}");
    let restarted = cluster.slave(0, port, &[]);
    cluster.wait_for_slaves(1);
    assert_eq!(cluster.master.json("/slaves")["slaves"][0]["id"], before);
    drop(restarted);
}

#[test]
fn slave_killed_and_restarted_keeps_its_task_which_finishes() {
    let mut cluster = Cluster::start(&[], 1, &[]);
    let (pid, go) = (cluster.directory().join("pid"), cluster.directory().join("go"));
    let command = format!(
        "--command=echo $$ > {}; while ! test -e {}; do sleep 0.05; done",
        pid.display(),
        go.display()
    );
    let execute = cluster.spawn_execute(&["--name=long", &command, "--checkpoint"]);
    cluster.wait_for_task("long", "TASK_RUNNING");
    let before = cluster.master.json("/slaves")["slaves"][0]["id"].clone();
    let pid = wait_for("the task's process id", || {
        std::fs::read_to_string(&pid).ok()?.trim().parse::<u32>().ok()
    });
    cluster.slaves[0].kill();
    // Another port: executors go by who asks them, not by where the slave was.
    let restarted = cluster.slave(0, free_port(), &[]);
    wait_for("the slave to show its task", || {
        let answer = restarted.get("/state");
        let state: Value = serde_json::from_str(&answer.body).ok()?;
        let task = &state["frameworks"][0]["executors"][0]["tasks"][0];
        (task["state"] == "TASK_RUNNING" && state["master_hostname"].is_string()).then_some(())
    });
    cluster.wait_for_slaves(1);
    assert_eq!(cluster.master.json("/slaves")["slaves"][0]["id"], before);
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    std::fs::write(&go, "").unwrap();
    let (out, err) = text(&execute.wait_with_output().unwrap());
    assert!(out.contains("TASK_FINISHED"), "{out}\n{err}");
    wait_for("the executor's books to be closed", || {
        let state = restarted.json("/state");
        let done = &state["completed_frameworks"][0]["completed_executors"][0]["completed_tasks"];
        (done[0]["state"] == "TASK_FINISHED").then_some(())
    });
}

#[test]
fn task_that_ends_while_its_slave_is_away_is_told_finished() {
    let mut cluster = Cluster::start(&[], 1, &[]);
    let pid = cluster.directory().join("pid");
    let command = format!("--command=echo $$ > {}; sleep 0.5", pid.display());
    let execute = cluster.spawn_execute(&["--name=short", &command, "--checkpoint"]);
    cluster.wait_for_task("short", "TASK_RUNNING");
    let pid = wait_for("the task's process id", || {
        std::fs::read_to_string(&pid).ok()?.trim().parse::<u32>().ok()
    });
    cluster.slaves[0].kill();
    wait_for("the task's end", || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    let restarted = cluster.slave(0, free_port(), &[]);
    let (out, err) = text(&execute.wait_with_output().unwrap());
    assert!(out.contains("TASK_FINISHED"), "{out}\n{err}");
    drop(restarted);
}

#[test]
fn slave_told_to_clean_up_ends_what_it_finds() {
    let mut cluster = Cluster::start(&[], 1, &[]);
    let pid = cluster.directory().join("pid");
    let command = format!("--command=echo $$ > {}; exec sleep 1000", pid.display());
    let _execute = Running(cluster.spawn_execute(&["--name=long", &command, "--checkpoint"]));
    cluster.wait_for_task("long", "TASK_RUNNING");
    let pid = wait_for("the task's process id", || {
        std::fs::read_to_string(&pid).ok()?.trim().parse::<u32>().ok()
    });
    cluster.slaves[0].kill();
    let work_dir = format!("--work_dir={}", cluster.slave_dir(0).display());
    let (master, port) = (format!("--master={}", cluster.master.address), free_port());
    let output = Command::new(binary("mesos-slave"))
        .args(["--ip=127.0.0.1", "--recover=cleanup", &work_dir, &master])
        .arg(format!("--port={port}"))
        .output()
        .unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}{err}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(!cluster.slave_dir(0).join("meta/slaves/latest").exists());
}

#[test]
fn task_over_its_memory_fails_for_that_reason_and_its_neighbour_does_not_notice() {
    let root = format!("--cgroups_root=mesos-test-{}", std::process::id());
    let cluster =
        Cluster::start(&[], 1, &["--launcher=linux", "--isolation=cgroups/cpu,cgroups/mem", &root]);
    let neighbour = cluster.spawn_execute(&["--name=calm", "--command=sleep 3"]);
    cluster.wait_for_task("calm", "TASK_RUNNING");
    let output = cluster.execute(&[
        "--name=hog",
        "--command=head -c 300m /dev/zero | tail",
        "--resources=cpus:0.1;mem:32",
    ]);
    let (out, err) = text(&output);
    assert!(!output.status.success(), "{out}{err}");
    for expected in ["REASON_CONTAINER_LIMITATION_MEMORY", "Memory limit exceeded: Requested: 64MB"]
    {
        assert!(out.contains(expected), "{expected} is missing in\n{out}\n{err}");
    }
    let (out, err) = text(&neighbour.wait_with_output().unwrap());
    assert!(out.contains("TASK_FINISHED"), "{out}\n{err}");
}

#[test]
fn master_framing_follows_the_protocol() {
    let cluster = Cluster::start(&[], 0, &[]);
    let to = cluster.master.address;
    let message = |path: &str| {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nLibprocess-From: x@127.0.0.1:9\r\n\
             Connection: close\r\n\r\n"
        );
        exchange(to, request.as_bytes()).unwrap()
    };
    let accepted = message("/master/mesos.internal.PingSlaveMessage");
    assert_eq!((accepted.status, accepted.body.as_str()), (202, ""));
    assert_eq!(message("/nobody/mesos.internal.PingSlaveMessage").status, 404);
    assert_eq!(message("/master/no.such.Message").status, 202);
    assert_eq!(cluster.master.get("/..").status, 404);
    assert_eq!(cluster.master.get("/master/../x").status, 404);
    let noise: Vec<u8> =
        (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    assert_eq!(raw(to, &noise).unwrap(), b"");
    let garbage = b"POST /master/mesos.internal.RegisterSlaveMessage HTTP/1.1\r\n\
        Libprocess-From: x@127.0.0.1:9\r\nConnection: close\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff";
    assert_eq!(exchange(to, garbage).unwrap().status, 202);
    assert_eq!(cluster.master.json("/state")["activated_slaves"], 0);
}

#[test]
fn master_endpoints_answer_in_all_their_forms() {
    let cluster =
        Cluster::start(&[], 1, &["--attributes=rack:r1", "--resources=cpus:2;cpus(web):1"]);
    let paths = ["state", "state-summary", "slaves", "frameworks", "tasks", "flags"];
    for path in paths {
        for form in [
            format!("/{path}"),
            format!("/master/{path}"),
            format!("/{path}.json"),
            format!("/master/{path}.json"),
        ] {
            let document = cluster.master.json(&form);
            assert!(document.is_object(), "{form}");
            let answer = cluster.master.get(&format!("{form}?jsonp=f"));
            assert!(answer.body.starts_with("f({"), "{form}: {}", answer.body);
        }
    }
    assert!(cluster.master.json("/metrics/snapshot")["master/slaves_active"] == 1.0);
    assert_eq!(cluster.master.get("/health").status, 200);
    let redirect = cluster.master.get("/redirect");
    assert_eq!(redirect.status, 307);
    let port = cluster.master.address.port();
    assert!(redirect.head.contains(&format!(":{port}")), "{}", redirect.head);
    for path in ["/version", "/__processes__", "/help?format=json"] {
        assert_eq!(cluster.master.get(path).status, 200, "{path}");
    }
    let slave = &cluster.slaves[0];
    for path in ["/state", "/slave(1)/state", "/state.json", "/monitor/statistics", "/flags"] {
        assert_eq!(slave.get(path).status, 200, "{path}");
    }
}

#[test]
fn state_documents_have_the_keys_that_tools_know() {
    let cluster = Cluster::start(&[], 1, &["--attributes=rack:r1"]);
    let _running = Running(cluster.spawn_execute(&["--name=t", "--command=sleep 1000"]));
    cluster.wait_for_task("t", "TASK_RUNNING");
    let state = cluster.master.json("/state");
    let has = |value: &Value, keys: &str| {
        for key in keys.split_whitespace() {
            assert!(value.get(key).is_some(), "{key} is missing in {value}");
        }
    };
    has(
        &state,
        "version build_date build_time build_user start_time elected_time id pid hostname \
        capabilities activated_slaves deactivated_slaves unreachable_slaves leader leader_info \
        flags slaves recovered_slaves frameworks completed_frameworks orphan_tasks \
        unregistered_frameworks",
    );
    has(
        &state["slaves"][0],
        "id hostname port attributes pid registered_time resources \
        used_resources offered_resources reserved_resources unreserved_resources active \
        deactivated version capabilities",
    );
    has(
        &state["frameworks"][0],
        "id name pid used_resources offered_resources capabilities \
        hostname webui_url active connected recovered user failover_timeout checkpoint \
        registered_time unregistered_time resources role tasks unreachable_tasks \
        completed_tasks offers executors offer_constraints",
    );
    has(
        &state["frameworks"][0]["tasks"][0],
        "id name framework_id executor_id slave_id state \
        resources role statuses",
    );
    let slave = cluster.slaves[0].json("/state");
    has(
        &slave,
        "version start_time id pid hostname capabilities resources reserved_resources \
        unreserved_resources reserved_resources_full unreserved_resources_full \
        reserved_resources_allocated unreserved_resources_allocated resource_providers \
        attributes flags frameworks completed_frameworks",
    );
    has(
        &slave["frameworks"][0]["executors"][0],
        "id name source container directory resources \
        tasks queued_tasks completed_tasks",
    );
    let used = &state["slaves"][0]["used_resources"];
    assert!(used["cpus"].as_f64().unwrap() > 0.0, "{used}");
    let statistics = wait_for("statistics", || {
        let statistics = cluster.slaves[0].json("/monitor/statistics.json");
        (statistics[0]["statistics"]["mem_rss_bytes"].as_u64()? > 0).then_some(statistics)
    });
    has(
        &statistics[0]["statistics"],
        "timestamp cpus_user_time_secs cpus_system_time_secs cpus_limit",
    );
}

/// Kills a program that would go on.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn binaries_with_bad_flags_fail_in_one_line() {
    let work_dir = tempfile::tempdir().unwrap();
    let unused = format!("--work_dir={}", work_dir.path().join("unused").display());
    let port = format!("--port={}", free_port());
    let cases: [(&str, &[&str]); 9] = [
        ("mesos-master", &["--nonsense=1"]),
        ("mesos-master", &["--port=99999"]),
        ("mesos-master", &["--ip=elsewhere"]),
        ("mesos-slave", &["--master=127.0.0.1:1", "--resources=cpus:x", &unused, &port]),
        ("mesos-slave", &["--master=nonsense", &unused, &port]),
        (
            "mesos-slave",
            &["--master=127.0.0.1:1", "--isolation=disk/xfs", "--ip=127.0.0.1", &unused, &port],
        ),
        ("mesos-agent", &["--master=127.0.0.1:1"]),
        ("mesos-execute", &["--master=127.0.0.1:1", "--name=x", "--nonsense"]),
        (
            "mesos-execute",
            &["--master=127.0.0.1:1", "--name=x", "--command=true", "--resources=cpus"],
        ),
    ];
    for (program, args) in cases {
        let output = Command::new(binary(program)).args(args).output().unwrap();
        let (out, err) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{program} {args:?}: {out}{err}");
        assert_eq!(err.trim_end().lines().count(), 1, "{program} {args:?}: {err}");
    }
    assert!(!work_dir.path().join("unused").exists());
}

#[test]
fn execute_local_runs_a_task_on_an_embedded_cluster() {
    let output = Command::new(binary("mesos-execute"))
        .args(["--local", "--command=echo hello world"])
        .output()
        .unwrap();
    let (out, err) = text(&output);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("hello world"), "{out}");
    assert!(out.contains("TASK_FINISHED"), "{out}");
}
