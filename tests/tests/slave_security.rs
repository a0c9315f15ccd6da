//! Who may ask what of a slave.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use cluster_tests::cluster::{Cluster, free_port, wait_for};
use cluster_tests::get::{Answer, exchange};
use serde_json::json;

const PING: &str = "/health";

fn ask(address: std::net::SocketAddr, path: &str, credential: Option<&str>) -> Answer {
    // `ops:secret` and `web:secret`.
    let header = credential.map_or(String::new(), |it| format!("Authorization: Basic {it}\r\n"));
    let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
    exchange(address, text.as_bytes()).unwrap()
}

#[test]
fn slave_shows_sandboxes_to_whom_its_lists_name_and_nothing_to_strangers() {
    let mut cluster = Cluster::start(&[], 0, &[]);
    let secrets = cluster.directory().join("secrets");
    std::fs::write(&secrets, "ops secret\nweb secret\n").unwrap();
    let mut acls = json!({"permissive": false});
    for (list, objects) in [
        ("access_sandboxes", "users"),
        ("get_endpoints", "paths"),
        ("view_executors", "users"),
        ("view_flags", "flags"),
        ("view_frameworks", "users"),
        ("view_tasks", "users"),
    ] {
        acls[list] = json!([{"principals": {"values": ["ops"]}, objects: {"type": "ANY"}}]);
    }
    let flags = [
        format!("--http_credentials={}", secrets.display()),
        "--authenticate_http_readonly".to_owned(),
        format!("--acls={acls}"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let slave = cluster.slave(0, free_port(), &flags);
    cluster.slaves.push(slave);
    cluster.wait_for_slaves(1);
    let output = cluster.execute(&["--name=t", "--command=echo seen"]);
    assert!(output.status.success());
    let address = cluster.slaves[0].address;
    let (ops, web) = (Some("b3BzOnNlY3JldA=="), Some("d2ViOnNlY3JldA=="));
    assert_eq!(ask(address, PING, None).status, 200);
    for path in ["/state", "/containers", "/monitor/statistics", "/flags", "/files/debug"] {
        assert_eq!(ask(address, path, None).status, 401, "{path}");
        assert_eq!(ask(address, path, ops).status, 200, "{path}");
    }
    for path in ["/containers", "/monitor/statistics", "/flags", "/files/debug"] {
        assert_eq!(ask(address, path, web).status, 403, "{path}");
    }
    let sandbox = wait_for("the executor's sandbox", || {
        let state: serde_json::Value =
            serde_json::from_str(&ask(address, "/state", ops).body).ok()?;
        let executor = &state["completed_frameworks"][0]["completed_executors"][0];
        executor["directory"].as_str().map(str::to_owned)
    });
    let path = format!("/files/read?path={sandbox}/stdout&offset=0");
    assert!(ask(address, &path, ops).body.contains("seen"));
    assert_eq!(ask(address, &path, web).status, 403);
    assert_eq!(ask(address, &path, None).status, 401);
    let state: serde_json::Value = serde_json::from_str(&ask(address, "/state", web).body).unwrap();
    assert_eq!(state["completed_frameworks"], json!([]));
    assert!(state.get("flags").is_none());
}

#[test]
fn slave_hides_a_sandbox_of_a_listed_user_under_every_spelling_of_its_path() {
    let mut cluster = Cluster::start(&[], 0, &[]);
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let rule = json!({"principals": {"type": "NONE"}, "users": {"values": [user]}});
    // What no rule speaks of is open, as by default.
    let acls = format!("--acls={}", json!({"access_sandboxes": [rule]}));
    let slave = cluster.slave(0, free_port(), &[&acls]);
    cluster.slaves.push(slave);
    cluster.wait_for_slaves(1);
    assert!(cluster.execute(&["--name=t", "--command=echo seen"]).status.success());
    let slave = &cluster.slaves[0];
    let sandbox = wait_for("the executor's sandbox", || {
        let state = slave.json("/state");
        let executor = &state["completed_frameworks"][0]["completed_executors"][0];
        executor["directory"].as_str().map(str::to_owned)
    });
    let bare = sandbox.trim_start_matches('/');
    for path in [
        sandbox.clone(),
        bare.to_owned(),
        format!("//{bare}"),
        format!("/./{bare}"),
        format!("{}/", sandbox.replace("/executors/", "//executors/./")),
    ] {
        let answer = slave.get(&format!("/files/read?path={path}/stdout&offset=0"));
        assert_eq!(answer.status, 403, "{path}: {}", answer.body);
    }
}
