//! Every endpoint of a master that runs, asked by curl: good and bad input, without credentials, with
//! wrong ones, by somebody who may do nothing, and by an operator.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::process::Command;

use cluster_tests::cluster::{Cluster, text, wait_for};
use serde_json::json;

/// Lists of ACLs whose rules keep `nobody` from everything.
const LISTS: [(&str, &str); 26] = [
    ("create_volumes", "roles"),
    ("deactivate_agents", "agents"),
    ("destroy_volumes", "creator_principals"),
    ("drain_agents", "agents"),
    ("get_endpoints", "paths"),
    ("get_maintenance_schedules", "machines"),
    ("get_maintenance_statuses", "machines"),
    ("get_quotas", "roles"),
    ("mark_agents_gone", "agents"),
    ("reactivate_agents", "agents"),
    ("register_frameworks", "roles"),
    ("reserve_resources", "roles"),
    ("resize_volumes", "roles"),
    ("run_tasks", "users"),
    ("start_maintenances", "machines"),
    ("stop_maintenances", "machines"),
    ("teardown_frameworks", "framework_principals"),
    ("unreserve_resources", "reserver_principals"),
    ("update_maintenance_schedules", "machines"),
    ("update_quotas", "roles"),
    ("update_weights", "roles"),
    ("view_executors", "users"),
    ("view_flags", "flags"),
    ("view_frameworks", "users"),
    ("view_roles", "roles"),
    ("view_tasks", "users"),
];

/// A master that knows `ops`, who may do everything, and `nobody`, who may do nothing.
struct Guarded {
    cluster: Cluster,
    _credentials: tempfile::TempDir,
}

impl Guarded {
    fn start(flags: &[&str], slaves: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credentials");
        std::fs::write(&file, "ops secret\nnobody secret\n").unwrap();
        let mut acls = serde_json::Map::new();
        for (list, objects) in LISTS {
            let rule = json!([{"principals": {"values": ["nobody"]}, objects: {"type": "NONE"}}]);
            acls.insert(list.to_owned(), rule);
        }
        let credentials = format!("--credentials={}", file.display());
        let acls = format!("--acls={}", serde_json::Value::Object(acls));
        let mut all = vec!["--authenticate_http_readwrite=true", &credentials, &acls];
        all.extend(flags);
        let cluster = Cluster::start(&all, slaves, &["--resources=cpus:4;mem:2048;disk:1024"]);
        let guarded = Self { cluster, _credentials: directory };
        // Whether it has its registry by now shows only to who may see something.
        wait_for("the master's registry", || {
            (guarded.curl("ops:secret", "GET", "/state", &[]).0 != 503).then_some(())
        });
        guarded
    }

    /// What curl gets: status, content type, body.
    fn curl(&self, user: &str, method: &str, path: &str, body: &[&str]) -> (u16, String, String) {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "20", "--request", method]);
        command.args(["--write-out", "\n%{http_code} %{content_type}"]);
        if !user.is_empty() {
            command.args(["--user", user]);
        }
        if path == "/api/v1" {
            command.args(["--header", "Content-Type: application/json"]);
        }
        for part in body {
            // A form's fields are escaped, anything else goes as it is.
            let is_field = part.split_once('=').is_some_and(|(name, _)| !name.contains(['{', '[']));
            command.args([if is_field { "--data-urlencode" } else { "--data" }, part]);
        }
        let output = command.arg(format!("http://{}{path}", self.cluster.master.address)).output();
        let (out, err) = text(&output.expect("curl is installed by `cargo xtask setup`"));
        let (body, last) = out.rsplit_once('\n').unwrap_or_else(|| panic!("{path}: {err}"));
        let (status, kind) = last.split_once(' ').unwrap();
        (status.parse().unwrap(), kind.to_owned(), body.to_owned())
    }

    /// Asks as each kind of user in turn; statuses of: no credentials, wrong ones, nobody, operator.
    fn walk(&self, method: &str, path: &str, body: &[&str], expected: [u16; 4]) {
        let users = ["", "ops:wrong", "nobody:secret", "ops:secret"];
        for (user, expected) in users.into_iter().zip(expected) {
            let (status, _, text) = self.curl(user, method, path, body);
            assert_eq!(status, expected, "{method} {path} {body:?} as '{user}': {text}");
        }
    }
}

#[test]
fn every_endpoint_that_changes_something_wants_credentials_and_permission() {
    let guarded = Guarded::start(&[], 1);
    let slave = guarded.cluster.master.json("/slaves")["slaves"][0]["id"].clone();
    let slave = slave.as_str().unwrap();
    let reservation = json!([{"type": "DYNAMIC", "role": "web", "principal": "ops"}]);
    let cpus = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1},
        "reservations": reservation}]);
    let disk = json!({"name": "disk", "type": "SCALAR", "scalar": {"value": 64},
        "reservations": reservation});
    let mut volume = disk.clone();
    volume["disk"] = json!({
        "persistence": {"id": "v", "principal": "ops"},
        "volume": {"mode": "RW", "container_path": "data"},
    });
    let id = format!("slaveId={slave}");
    let (cpus, disk) = (format!("resources={cpus}"), format!("resources={}", json!([disk])));
    let volumes = format!("volumes={}", json!([volume]));
    let machine = json!([{"hostname": "elsewhere", "ip": "10.9.9.9"}]).to_string();
    let schedule = json!({"windows": [{
        "machine_ids": [{"hostname": "elsewhere", "ip": "10.9.9.9"}],
        "unavailability": {"start": {"nanoseconds": 1}},
    }]})
    .to_string();
    let quota = json!({"role": "web", "force": true,
        "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]})
    .to_string();
    let weights = json!([{"role": "web", "weight": 2.0}]).to_string();
    let call = |kind: &str| {
        json!({"type": kind, kind.to_lowercase(): {"agent_id": {"value": slave}}}).to_string()
    };
    let (deactivate, reactivate) = (call("DEACTIVATE_AGENT"), call("REACTIVATE_AGENT"));
    let gone = call("MARK_AGENT_GONE");
    let accepted = [401, 401, 403, 202];
    let done = [401, 401, 403, 200];
    guarded.walk("POST", "/reserve", &[&id, &cpus], accepted);
    guarded.walk("POST", "/unreserve", &[&id, &cpus], accepted);
    guarded.walk("POST", "/reserve", &[&id, &disk], accepted);
    guarded.walk("POST", "/create-volumes", &[&id, &volumes], accepted);
    guarded.walk("POST", "/destroy-volumes", &[&id, &volumes], accepted);
    guarded.walk("PUT", "/weights", &[&weights], done);
    guarded.walk("POST", "/quota", &[&quota], done);
    guarded.walk("DELETE", "/quota/web", &[], done);
    guarded.walk("POST", "/maintenance/schedule", &[&schedule], done);
    guarded.walk("POST", "/machine/down", &[&machine], done);
    guarded.walk("POST", "/machine/up", &[&machine], done);
    guarded.walk("POST", "/api/v1", &[&deactivate], done);
    guarded.walk("POST", "/api/v1", &[&reactivate], done);
    guarded.walk("POST", "/api/v1", &[&gone], done);
    // What they show is filtered, not refused.
    for path in ["/weights", "/quota", "/maintenance/schedule"] {
        guarded.walk("GET", path, &[], [401, 401, 200, 200]);
    }
    guarded.walk("GET", "/logging/toggle", &[], done);
}

#[test]
fn every_endpoint_that_shows_something_wants_credentials_when_told_so() {
    let guarded = Guarded::start(&["--authenticate_http_readonly=true"], 0);
    let shown = [401, 401, 200, 200];
    for path in [
        "/state",
        "/state.json",
        "/state-summary",
        "/slaves",
        "/frameworks",
        "/tasks",
        "/roles",
        "/maintenance/status",
        "/registrar(1)/registry",
        "/allocator/offer_constraints_debug",
    ] {
        guarded.walk("GET", path, &[], shown);
        let (_, kind, _) = guarded.curl("ops:secret", "GET", path, &[]);
        assert_eq!(kind, "application/json", "{path}");
        let (_, kind, body) = guarded.curl("ops:secret", "GET", &format!("{path}?jsonp=f"), &[]);
        assert_eq!((kind.as_str(), &body[..2]), ("text/javascript", "f("), "{path}");
    }
    for path in ["/flags", "/metrics/snapshot"] {
        guarded.walk("GET", path, &[], [401, 401, 403, 200]);
    }
    // Nobody has to say who they are.
    for (path, status) in [("/health", 200), ("/redirect", 307), ("/version", 200)] {
        guarded.walk("GET", path, &[], [status; 4]);
    }
}

#[test]
fn bad_input_is_answered_and_changes_nothing() {
    let guarded = Guarded::start(
        &["--firewall_rules={\"disabled_endpoints\": {\"paths\": [\"/master/tasks\"]}}"],
        0,
    );
    let before = guarded.cluster.master.json("/registrar(1)/registry");
    let deep = "[".repeat(100_000);
    for (method, path, body, expected) in [
        ("GET", "/tasks", "", 403),
        ("GET", "/nothing", "", 404),
        ("POST", "/weights", "[]", 405),
        ("PUT", "/weights", "nonsense", 400),
        ("PUT", "/weights", "[{}]", 400),
        ("PUT", "/weights", "[{\"role\": \"web\", \"weight\": -1}]", 400),
        ("PUT", "/weights", "[{\"role\": \"a//b\", \"weight\": 1}]", 400),
        ("PUT", "/weights", &deep, 400),
        ("POST", "/quota", "{", 400),
        ("POST", "/quota", "{\"role\": \"web\", \"guarantee\": []}", 400),
        ("DELETE", "/quota", "", 400),
        ("DELETE", "/quota/web", "", 400),
        ("PATCH", "/quota", "", 405),
        ("POST", "/teardown", "", 400),
        ("POST", "/teardown", "frameworkId=none", 400),
        ("GET", "/teardown", "", 405),
        ("POST", "/reserve", "slaveId=x", 400),
        ("POST", "/reserve", "slaveId=x&resources=%zz", 400),
        ("POST", "/create-volumes", "slaveId=x&volumes=[]", 400),
        ("POST", "/destroy-volumes", "volumes=[]", 400),
        ("POST", "/maintenance/schedule", "{\"windows\": [{}]}", 400),
        ("POST", "/maintenance/status", "", 405),
        ("POST", "/machine/down", "[{\"hostname\": \"elsewhere\"}]", 400),
        ("POST", "/machine/up", "{}", 400),
        ("POST", "/api/v1", "{}", 400),
        ("POST", "/api/v1", "{\"type\": \"DRAIN_AGENT\"}", 400),
        ("POST", "/api/v1", "{\"type\": \"NONSENSE\"}", 400),
        ("GET", "/api/v1", "", 405),
    ] {
        let body: &[&str] = if body.is_empty() { &[] } else { &[body] };
        let (status, _, text) = guarded.curl("ops:secret", method, path, body);
        let start: String = body.concat().chars().take(60).collect();
        assert_eq!(status, expected, "{method} {path} {start}: {text}");
    }
    assert_eq!(guarded.cluster.master.json("/registrar(1)/registry"), before);
}
