//! Access control lists: each keeps somebody from what it is about, and from nothing else.

use protos::mesos::internal::CheckpointResourcesMessage;
use protos::mesos::{self, AcLs, TaskState};
use serde_json::{Value, json};
use slave::security::Security;

use super::stage::{Stage, task_info, volume};

/// A slave with a framework, a task that runs and one that waits, something reserved, and those lists.
fn guarded(lists: Value) -> Stage {
    let acls: AcLs = protos::json::from_json(&lists).unwrap();
    let mut stage = Stage::with(false, move |config| slave::Config {
        resources: "cpus:4;mem:1024;disk:1024".parse().unwrap(),
        security: Security { acls: Some(acls.clone()), ..Security::default() },
        flags: [("work_dir".to_owned(), "/w".to_owned()), ("log_dir".to_owned(), "/l".to_owned())]
            .into(),
        ..config
    });
    stage.order(CheckpointResourcesMessage { resources: vec![volume()] });
    stage.run_task("t", false);
    stage.register_executor();
    stage.report("t", TaskState::TaskRunning, 1);
    let waiting = mesos::TaskInfo {
        executor: None,
        command: Some(mesos::CommandInfo::default()),
        ..task_info("waiting")
    };
    stage.run(waiting, false);
    stage
}

/// What there is to be seen, by the list that is about it; true when it can be.
fn seen(stage: &mut Stage) -> [(&'static str, &'static str, bool); 7] {
    let state = stage.state();
    let some = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    let frameworks = state["frameworks"].as_array().unwrap().clone();
    let executors: Vec<&Value> =
        frameworks.iter().flat_map(|it| it["executors"].as_array().unwrap()).collect();
    let tasks = ["tasks", "queued_tasks"];
    let tasks = executors.iter().any(|it| tasks.iter().any(|list| some(&it[list])));
    let hidden = executors.is_empty();
    let response = stage.world.http(&stage.slave, "GET", "/slave(1)/containers");
    let containers = response.status == 200 && response.bytes().as_ref() != b"[]";
    let endpoints: Vec<u16> = ENDPOINTS.map(|path| stage.status("GET", path)).to_vec();
    assert!(endpoints.iter().all(|status| *status == endpoints[0]), "{endpoints:?}");
    let told = [state.get("flags").is_some(), state.get("log_dir").is_some()];
    let flags = [told[0], told[1], stage.status("GET", "/slave(1)/flags") == 200];
    assert!(flags.iter().all(|shown| *shown == flags[0]), "{flags:?}");
    [
        ("view_frameworks", "users", !frameworks.is_empty()),
        ("view_executors", "users", frameworks.is_empty() || !hidden),
        ("view_tasks", "users", hidden || tasks),
        ("view_roles", "roles", state["reserved_resources"]["web"]["disk"] == 64.0),
        ("view_flags", "flags", flags[0]),
        ("view_containers", "users", response.status != 200 || containers),
        ("get_endpoints", "paths", endpoints[0] == 200),
    ]
}

const ENDPOINTS: [&str; 9] = [
    "/slave(1)/containers",
    "/slave(1)/containers.json",
    "/slave(1)/monitor/statistics",
    "/slave(1)/monitor/statistics.json",
    "/files/debug",
    "/files/debug.json",
    "/logging/toggle",
    "/metrics/snapshot",
    "/metrics/prometheus",
];

#[test]
fn list_hides_what_it_is_about_and_nothing_else() {
    let open = seen(&mut guarded(json!({})));
    assert!(open.iter().all(|(_, _, seen)| *seen), "{open:?}");
    for (list, objects, _) in open {
        let rule = json!({"principals": {"type": "ANY"}, objects: {"type": "NONE"}});
        for (other, _, seen) in seen(&mut guarded(json!({list: [rule]}))) {
            assert_eq!(seen, list != other, "{list} is closed, {other} asked");
        }
    }
}

#[test]
fn tasks_of_listed_users_are_shown_wherever_they_are_completed() {
    let rule = |users: &str| {
        json!({"permissive": false,
            "view_frameworks": [{"principals": {"type": "ANY"}, "users": {"type": "ANY"}}],
            "view_executors": [{"principals": {"type": "ANY"}, "users": {"type": "ANY"}}],
            "view_tasks": [{"principals": {"type": "ANY"}, "users": {"values": [users]}}]})
    };
    for (users, shown) in [("www", 1), ("other", 0)] {
        let acls: AcLs = protos::json::from_json(&rule(users)).unwrap();
        let mut stage = Stage::with(false, move |config| slave::Config {
            security: Security { acls: Some(acls.clone()), ..Security::default() },
            ..config
        });
        stage.run_to_the_end("t");
        let state = stage.state();
        let executor = &state["completed_frameworks"][0]["completed_executors"][0];
        assert_eq!(executor["completed_tasks"].as_array().unwrap().len(), shown, "{users}");
    }
}

#[test]
fn endpoints_of_a_slave_with_lists_are_read_only() {
    let mut stage = guarded(json!({}));
    for path in ["/slave(1)/flags", "/slave(1)/containers", "/slave(1)/monitor/statistics"] {
        assert_eq!(stage.status("POST", path), 405, "{path}");
    }
    let mut open = Stage::new(false);
    assert_eq!(open.status("POST", "/slave(1)/flags"), 200);
}

#[test]
fn sandbox_is_kept_from_somebody_however_its_path_is_spelt() {
    let rule = json!({"principals": {"type": "NONE"}, "users": {"values": ["www"]}});
    let mut stage = guarded(json!({"access_sandboxes": [rule]}));
    let short = "frameworks/F/executors/e/runs/latest";
    for path in [
        format!("/{short}"),
        short.to_owned(),
        format!("//{short}"),
        format!("/./{short}"),
        format!("./{short}"),
        format!("/{}", short.replace("/F/", "//F/./")),
        format!("/{short}/x"),
    ] {
        for endpoint in ["browse", "read", "download", "browse.json"] {
            let target = format!("/files/{endpoint}?path={path}");
            assert_eq!(stage.status("GET", &target), 403, "{target}");
        }
    }
    // The rule speaks of nothing else.
    assert_eq!(stage.status("GET", "/files/browse?path=/elsewhere"), 404);
}

#[test]
fn log_is_kept_from_whom_its_own_list_keeps_it() {
    let rule = |objects: &str| json!([{"principals": {"type": "ANY"}, objects: {"type": "NONE"}}]);
    let mut closed = guarded(json!({"access_mesos_logs": rule("logs")}));
    let mut open = guarded(json!({"access_sandboxes": rule("users")}));
    for path in ["/slave/log", "slave//log", "/slave/./log"] {
        let target = format!("/files/read?path={path}");
        assert_eq!(closed.status("GET", &target), 403, "{path}");
        // Nothing is attached there.
        assert_eq!(open.status("GET", &target), 404, "{path}");
    }
    assert_eq!(open.status("GET", "/files/read?path=/slave/logs"), 403);
}
