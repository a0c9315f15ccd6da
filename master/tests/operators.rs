//! Operators' endpoints of a master in a simulated world: good and bad input, and what slaves and
//! schedulers see of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod support;

use master::Config;
use protos::json::from_json;
use protos::mesos;
use protos::mesos::internal::*;
use serde_json::json;
use support::*;

/// A dynamic reservation of `web`, as operators write it.
const RESERVED: &str = r#"[{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1},
    "reservations": [{"type": "DYNAMIC", "role": "web"}]}]"#;

fn form(slave: &str, name: &str, value: &str) -> String {
    let escape = |text: &str| {
        let each = text.bytes().map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        });
        each.collect::<String>()
    };
    format!("slaveId={}&{name}={}", escape(slave), escape(value))
}

#[test]
fn every_endpoint_answers_good_and_bad_requests() {
    let mut setup = Setup::new(Config::default());
    let (_, slave) = setup.slave();
    let quota = r#"{"role": "web", "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]}"#;
    let much = r#"{"role": "db", "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 99}}]}"#;
    let forced = much.replacen('{', r#"{"force": true, "#, 1);
    let reserve = form(slave.as_str(), "resources", RESERVED);
    let other = form("other", "resources", RESERVED);
    let create = form(slave.as_str(), "volumes", RESERVED);
    let destroy = form(slave.as_str(), "volumes", "[]");
    let cases: Vec<(&str, &str, &str, u16)> = vec![
        ("GET", "/health", "", 200),
        ("GET", "/redirect", "", 307),
        ("GET", "/redirect/more", "", 404),
        ("GET", "/state", "", 200),
        ("GET", "/state.json", "", 200),
        ("GET", "/state-summary", "", 200),
        ("GET", "/slaves?slave_id=none", "", 200),
        ("GET", "/frameworks?framework_id=none", "", 200),
        ("GET", "/tasks?limit=1&offset=0&order=asc", "", 200),
        ("GET", "/tasks?limit=x", "", 400),
        ("GET", "/roles", "", 200),
        ("GET", "/flags", "", 200),
        ("GET", "/nothing", "", 404),
        ("GET", "/weights", "", 200),
        ("PUT", "/weights", r#"[{"role": "web", "weight": 2.5}]"#, 200),
        ("PUT", "/weights", r#"[{"role": "web", "weight": -1}]"#, 400),
        ("PUT", "/weights", "nonsense", 400),
        ("POST", "/weights", "[]", 405),
        ("GET", "/quota", "", 200),
        ("POST", "/quota", quota, 200),
        ("POST", "/quota", quota, 400),
        ("POST", "/quota", much, 409),
        ("POST", "/quota", &forced, 200),
        ("POST", "/quota", "{", 400),
        ("PUT", "/quota", quota, 405),
        ("DELETE", "/quota/web", "", 200),
        ("DELETE", "/quota/web", "", 400),
        ("DELETE", "/quota", "", 400),
        ("POST", "/quota/web", "", 405),
        ("POST", "/reserve", &reserve, 202),
        ("POST", "/reserve", &other, 400),
        ("POST", "/reserve", "slaveId=x", 400),
        ("POST", "/reserve", "%zz", 400),
        ("GET", "/reserve", "", 405),
        ("POST", "/unreserve", &reserve, 202),
        ("POST", "/unreserve", &reserve, 409),
        ("POST", "/create-volumes", &create, 400),
        ("POST", "/destroy-volumes", &destroy, 400),
        ("POST", "/teardown", "frameworkId=none", 400),
        ("POST", "/teardown", "", 400),
    ];
    walk(&mut setup, &cases);
}

/// Asks each endpoint in turn: method, target, body, and the status that is expected.
fn walk(setup: &mut Setup, cases: &[(&str, &str, &str, u16)]) {
    for (method, target, body, expected) in cases {
        let (status, text) = setup.http(method, target, body);
        assert_eq!(status, *expected, "{method} {target} {body}: {text}");
    }
}

#[test]
fn every_endpoint_of_maintenance_answers_good_and_bad_requests() {
    let mut setup = Setup::new(Config::default());
    let machine = r#"[{"hostname": "host", "ip": "10.0.0.2"}]"#;
    let schedule = r#"{"windows": [{"machine_ids": [{"hostname": "host", "ip": "10.0.0.2"}],
        "unavailability": {"start": {"nanoseconds": 1}}}]}"#;
    let cases = [
        ("GET", "/maintenance/schedule", "", 200),
        ("POST", "/maintenance/schedule", "{\"windows\": [{}]}", 400),
        ("POST", "/machine/down", machine, 400),
        ("POST", "/maintenance/schedule", schedule, 200),
        ("GET", "/maintenance/status", "", 200),
        ("POST", "/maintenance/status", "", 405),
        ("POST", "/machine/up", machine, 400),
        ("POST", "/machine/down", machine, 200),
        ("POST", "/machine/up", machine, 200),
        ("POST", "/machine/up", "[]", 400),
        ("POST", "/api/v1", r#"{"type": "GET_HEALTH"}"#, 200),
        ("POST", "/api/v1", r#"{"type": "DRAIN_AGENT"}"#, 400),
        ("POST", "/api/v1", r#"{"type": "GET_VERSION"}"#, 501),
        ("GET", "/registrar(1)/registry", "", 200),
    ];
    walk(&mut setup, &cases);
}

#[test]
fn endpoints_wrap_json_when_asked_and_redirect_names_the_leader() {
    let mut setup = Setup::new(Config::default());
    for target in ["/state", "/roles", "/weights", "/maintenance/schedule", "/quota", "/flags"] {
        let (status, text) = setup.http("GET", &format!("{target}?jsonp=f"), "");
        assert!(status == 200 && text.starts_with("f(") && text.ends_with(')'), "{target}: {text}");
    }
}

#[test]
fn reservation_by_an_operator_reaches_the_slave_and_is_offered() {
    let mut setup = Setup::new(Config::default());
    let (slave, slave_id) = setup.slave();
    let body = form(slave_id.as_str(), "resources", RESERVED);
    assert_eq!(setup.http("POST", "/reserve", &body).0, 202);
    let told: CheckpointResourcesMessage = setup.expect(&slave, SECOND);
    assert_eq!(told.resources[0].role(), "web");
    let slaves = setup.json("/slaves");
    let entry = &slaves["slaves"][0];
    assert_eq!(entry["reserved_resources"]["web"]["cpus"], 1.0);
    let full = &entry["reserved_resources_full"]["web"][0];
    assert_eq!((&full["role"], &full["reservations"][0]["role"]), (&json!("web"), &json!("web")));
    let resource: mesos::Resource = from_json(full).unwrap();
    assert!(protos::resources::Resources::from_wire(&[resource]).is_ok());
    let roles = setup.json("/roles");
    assert_eq!(roles["roles"][0]["reserved"], json!({"cpus": 1.0}));
}

#[test]
fn maintenance_is_told_to_frameworks_and_takes_slaves_down() {
    let mut setup = Setup::new(Config::default());
    let (slave, _) = setup.slave();
    let (scheduler, _) = setup.scheduler();
    let _: ResourceOffersMessage = setup.expect(&scheduler, 5 * SECOND);
    let machine = r#"{"hostname": "host", "ip": "10.0.0.2"}"#;
    let schedule = format!(
        r#"{{"windows": [{{"machine_ids": [{machine}], "unavailability": {{"start": {{"nanoseconds": 5}}}}}}]}}"#
    );
    assert_eq!(setup.http("POST", "/maintenance/schedule", &schedule).0, 200);
    let _: RescindResourceOfferMessage = setup.expect(&scheduler, SECOND);
    let again: ResourceOffersMessage = setup.expect(&scheduler, 5 * SECOND);
    assert_eq!(again.offers[0].unavailability.unwrap().start.nanoseconds, 5);
    let status = setup.json("/maintenance/status");
    assert_eq!(status["draining_machines"][0]["id"]["hostname"], "host");
    let list = format!("[{machine}]");
    assert_eq!(setup.http("POST", "/machine/down", &list).0, 200);
    let _: ShutdownMessage = setup.expect(&slave, SECOND);
    let _: LostSlaveMessage = setup.expect(&scheduler, SECOND);
    slave.send(registration());
    let _: ShutdownMessage = setup.expect(&slave, SECOND);
    assert_eq!(setup.json("/maintenance/status")["down_machines"][0]["hostname"], "host");
    assert_eq!(setup.http("POST", "/machine/up", &list).0, 200);
    slave.send(registration());
    let _: SlaveRegisteredMessage = setup.expect(&slave, SECOND);
    assert_eq!(setup.json("/maintenance/schedule"), json!({}));
}

#[test]
fn slave_is_emptied_and_takes_tasks_again() {
    let mut setup = Setup::new(Config::default());
    let slave = setup.peer("slave(1)@10.0.0.2:5051");
    let draining = mesos::slave_info::capability::Type::AgentDraining;
    let mut message = registration();
    message.agent_capabilities =
        vec![mesos::slave_info::Capability { r#type: Some(draining.into()) }];
    slave.send(message);
    let greeting: SlaveRegisteredMessage = setup.expect(&slave, SECOND);
    let call = |kind: &str| {
        let name = kind.to_lowercase();
        json!({"type": kind, name: {"agent_id": {"value": greeting.slave_id.value}}}).to_string()
    };
    assert_eq!(setup.http("POST", "/api/v1", &call("REACTIVATE_AGENT")).0, 400);
    assert_eq!(setup.http("POST", "/api/v1", &call("DRAIN_AGENT")).0, 200);
    let _: DrainSlaveMessage = setup.expect(&slave, SECOND);
    let entry = setup.json("/slaves")["slaves"][0].clone();
    assert_eq!((&entry["deactivated"], &entry["active"]), (&json!(true), &json!(false)));
    assert_eq!(entry["drain_info"]["state"], "DRAINED");
    assert_eq!(setup.http("POST", "/api/v1", &call("REACTIVATE_AGENT")).0, 200);
    assert_eq!(setup.json("/slaves")["slaves"][0]["active"], true);
    assert_eq!(setup.http("POST", "/api/v1", &call("MARK_AGENT_GONE")).0, 200);
    let _: ShutdownMessage = setup.expect(&slave, SECOND);
    assert_eq!(setup.http("POST", "/api/v1", &call("MARK_AGENT_GONE")).0, 200);
    assert_eq!(setup.json("/state")["slaves"], json!([]));
}

#[test]
fn metrics_tell_of_slaves_frameworks_tasks_and_offers() {
    let mut setup = Setup::new(Config::default());
    let (_, _, _, id) = setup.running();
    let metrics = setup.json("/metrics/snapshot");
    let framework = format!("master/frameworks/test/{id}");
    for (name, value) in [
        ("master/elected", 1.0),
        ("master/slaves_active", 1.0),
        ("master/slave_registrations", 1.0),
        ("master/frameworks_connected", 1.0),
        ("master/tasks_staging", 1.0),
        ("master/tasks_lost", 0.0),
        ("master/cpus_total", 4.0),
        ("master/cpus_used", 1.0),
        ("master/cpus_percent", 0.25),
        ("master/cpus_revocable_total", 0.0),
        ("master/messages_register_slave", 1.0),
        ("master/messages_register_framework", 1.0),
        ("master/messages_launch_tasks", 1.0),
        ("master/operations/reserve/total", 0.0),
        (&*format!("{framework}/subscribed"), 1.0),
        (&*format!("{framework}/calls/accept"), 1.0),
        (&*format!("{framework}/events/offers"), 1.0),
        (&*format!("{framework}/offers/accepted"), 1.0),
        (&*format!("{framework}/operations/launch"), 1.0),
        (&*format!("{framework}/tasks/active/task_staging"), 1.0),
    ] {
        assert_eq!(metrics[name], value, "{name}");
    }
}

#[test]
fn operators_without_permission_are_refused_and_see_nothing() {
    let acls = json!({
        "permissive": true,
        "update_weights": [{"principals": {"type": "ANY"}, "roles": {"type": "NONE"}}],
        "view_flags": [{"principals": {"type": "ANY"}, "flags": {"type": "NONE"}}],
        "view_frameworks": [{"principals": {"type": "ANY"}, "users": {"type": "NONE"}}],
        "teardown_frameworks":
            [{"principals": {"type": "ANY"}, "framework_principals": {"type": "NONE"}}],
    });
    let config = Config { acls: Some(from_json(&acls).unwrap()), ..Config::default() };
    let mut setup = Setup::new(config);
    let (_, id) = setup.scheduler();
    assert_eq!(setup.http("GET", "/flags", "").0, 403);
    assert_eq!(setup.http("PUT", "/weights", r#"[{"role": "web", "weight": 2}]"#).0, 403);
    assert_eq!(setup.http("POST", "/teardown", &format!("frameworkId={id}")).0, 403);
    let state = setup.json("/state");
    assert_eq!(state["frameworks"], json!([]));
    assert!(state.get("flags").is_none());
}

#[test]
fn operators_prove_who_they_are_before_they_change_something() {
    let config = Config {
        credentials: Some(master::security::Credentials::parse("ops secret").unwrap()),
        authenticate_http_readwrite: true,
        acls: Some(
            from_json(&json!({
                "permissive": false,
                "update_weights":
                    [{"principals": {"values": ["ops"]}, "roles": {"type": "ANY"}}],
            }))
            .unwrap(),
        ),
        ..Config::default()
    };
    let mut setup = Setup::new(config);
    let weights = r#"[{"role": "web", "weight": 2}]"#;
    assert_eq!(setup.http("PUT", "/weights", weights).0, 401);
    // "ops:wrong" and "ops:secret" in base64.
    for (secret, expected) in [("b3BzOndyb25n", 401), ("b3BzOnNlY3JldA==", 200)] {
        setup.authorization = Some(format!("Basic {secret}"));
        assert_eq!(setup.http("PUT", "/weights", weights).0, expected);
    }
    assert_eq!(setup.http("GET", "/health", "").0, 200);
}

#[test]
fn operators_may_bring_a_token_that_names_them() {
    use libprocess::authentication::Jwt;
    let config = Config {
        credentials: Some(master::security::Credentials::parse("ops secret").unwrap()),
        token_key: Some(master::security::TokenKey::new("key")),
        authenticate_http_readwrite: true,
        acls: Some(
            from_json(&json!({
                "permissive": false,
                "update_weights":
                    [{"principals": {"values": ["ops"]}, "roles": {"type": "ANY"}}],
            }))
            .unwrap(),
        ),
        ..Config::default()
    };
    let mut setup = Setup::new(config);
    let weights = r#"[{"role": "web", "weight": 2}]"#;
    let token = |key: &[u8], claims| format!("Bearer {}", Jwt::sign(key, &claims));
    for (authorization, expected) in [
        (token(b"key", json!({"sub": "ops"})), 200),
        (token(b"key", json!({"sub": "others"})), 403),
        // Claims alone name nobody.
        (token(b"key", json!({"role": "ops"})), 403),
        (token(b"key", json!({"sub": "ops", "exp": 1})), 401),
        (token(b"other", json!({"sub": "ops"})), 401),
        ("Basic b3BzOnNlY3JldA==".to_owned(), 200),
    ] {
        setup.authorization = Some(authorization.clone());
        assert_eq!(setup.http("PUT", "/weights", weights).0, expected, "{authorization}");
    }
}

#[test]
fn endpoints_of_the_runtime_are_kept_from_those_whom_acls_exclude() {
    let rule = |path| json!({"principals": {"type": "ANY"}, "paths": {"values": [path]}});
    let acls = json!({"permissive": false, "get_endpoints": [rule("/metrics/snapshot")]});
    let config = Config {
        acls: Some(from_json(&acls).unwrap()),
        disabled_endpoints: ["/master/tasks".to_owned()].into(),
        ..Config::default()
    };
    let mut setup = Setup::new(config);
    for (path, expected) in [
        ("/metrics/snapshot", 200),
        ("/logging/toggle", 403),
        ("/tasks", 403),
        ("/tasks.json", 200),
    ] {
        assert_eq!(setup.http("GET", path, "").0, expected, "{path}");
    }
}

#[test]
fn metrics_that_tools_know_are_all_there() {
    let mut setup = Setup::new(Config::default());
    let metrics = setup.json("/metrics/snapshot");
    let missing: Vec<&str> =
        include_str!("metrics.txt").lines().filter(|name| metrics.get(name).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// A registration from `10.0.0.2`.
fn registration() -> RegisterSlaveMessage {
    RegisterSlaveMessage {
        slave: mesos::SlaveInfo {
            hostname: "host".into(),
            resources: "cpus:4;mem:1024".parse::<protos::resources::Resources>().unwrap().to_wire(),
            ..Default::default()
        },
        version: Some("1.11.0".into()),
        ..Default::default()
    }
}
