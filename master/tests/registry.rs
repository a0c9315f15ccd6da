//! Masters that take over from one another over the same registry, and peers that must prove who they
//! are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod support;

use std::sync::{Arc, Mutex};

use coordination::state::{Change, InMemoryStorage, Storage, StorageFuture, Variable};
use master::security::Credentials;
use master::{Config, Fatal, RateLimit, RateLimits, registrar};
use protos::cram_md5;
use protos::mesos;
use protos::mesos::internal::*;
use protos::mesos::scheduler::{Call, call};
use serde_json::json;
use support::*;

fn over(storage: Arc<dyn Storage>) -> Config {
    let registrar = registrar::Config { storage, ..registrar::Config::default() };
    Config { registrar, ..Config::default() }
}

fn reregistration(id: &str) -> ReregisterSlaveMessage {
    ReregisterSlaveMessage {
        slave: mesos::SlaveInfo {
            id: Some(mesos::SlaveId { value: id.to_owned() }),
            hostname: "host".into(),
            resources: "cpus:4;mem:1024".parse::<protos::resources::Resources>().unwrap().to_wire(),
            ..Default::default()
        },
        version: Some("1.11.0".into()),
        ..Default::default()
    }
}

#[test]
fn master_that_takes_over_knows_slaves_quotas_and_weights() {
    let storage = InMemoryStorage::default();
    let mut first = Setup::new(over(Arc::new(storage.clone())));
    let (_, id) = first.slave();
    let quota = r#"{"role": "web", "guarantee": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]}"#;
    assert_eq!(first.http("POST", "/quota", quota).0, 200);
    assert_eq!(first.http("PUT", "/weights", r#"[{"role": "web", "weight": 2.5}]"#).0, 200);
    drop(first);

    let mut second = Setup::new(over(Arc::new(storage)));
    let state = second.json("/state");
    assert_eq!(state["recovered_slaves"][0]["id"], id.as_str());
    assert_eq!(second.json("/weights"), json!([{"weight": 2.5, "role": "web"}]));
    assert_eq!(second.json("/quota")["infos"][0]["role"], "web");
    let slave = second.peer("slave(1)@10.0.0.2:5051");
    slave.send(reregistration(id.as_str()));
    let _: SlaveReregisteredMessage = second.expect(&slave, SECOND);
    let state = second.json("/state");
    assert_eq!(
        (&state["recovered_slaves"], &state["slaves"][0]["id"]),
        (&json!([]), &json!(id.as_str()))
    );
}

#[test]
fn master_that_contends_serves_when_it_leads_and_ends_when_it_does_no_more() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = told.clone();
    let fatal = Fatal(Arc::new(move |why: &str| note.lock().unwrap().push(why.to_owned())));
    let mut setup = Setup::new(Config { contends: true, fatal, ..Config::default() });
    assert_eq!(setup.http("GET", "/state", "").0, 503);
    let other = mesos::MasterInfo {
        id: "other".into(),
        hostname: Some("elsewhere".into()),
        port: 5050,
        ..Default::default()
    };
    let elect = |setup: &mut Setup, leader: Option<mesos::MasterInfo>| {
        setup.master.tell(move |master, cx| {
            let own = master.info().clone();
            master.leader_changed(Some(leader.unwrap_or(own)), cx);
        });
        setup.world.run_for(SECOND);
    };
    elect(&mut setup, Some(other.clone()));
    assert_eq!(setup.http("GET", "/state", "").0, 307);
    assert_eq!(setup.http("GET", "/health", "").0, 200);
    elect(&mut setup, None);
    assert_eq!(setup.http("GET", "/state", "").0, 200);
    elect(&mut setup, Some(other));
    assert_eq!(told.lock().unwrap().len(), 1);
}

#[test]
fn slaves_of_an_earlier_master_that_stay_away_are_unreachable() {
    let storage = InMemoryStorage::default();
    let mut first = Setup::new(over(Arc::new(storage.clone())));
    first.slave();
    drop(first);
    let mut second = Setup::new(over(Arc::new(storage)));
    second.world.run_for(601 * SECOND);
    let state = second.json("/state");
    assert_eq!((&state["recovered_slaves"], &state["unreachable_slaves"]), (&json!([]), &json!(1)));
}

#[test]
fn strict_registry_lets_in_only_whom_it_knows() {
    for strict in [false, true] {
        let config = Config { registry_strict: strict, ..Config::default() };
        let mut setup = Setup::new(config);
        let slave = setup.peer("slave(1)@10.0.0.2:5051");
        slave.send(reregistration("unknown"));
        if strict {
            let _: ShutdownMessage = setup.expect(&slave, SECOND);
        } else {
            let _: SlaveReregisteredMessage = setup.expect(&slave, SECOND);
        }
    }
}

/// Storage that another master has written meanwhile, from the third change on.
struct Lost(InMemoryStorage, Mutex<u32>);

impl Storage for Lost {
    fn fetch(&self, name: &str) -> StorageFuture<Variable> {
        self.0.fetch(name)
    }

    fn store(&self, change: Change) -> StorageFuture<Option<Variable>> {
        *self.1.lock().unwrap() += 1;
        if *self.1.lock().unwrap() < 3 {
            return self.0.store(change);
        }
        Box::pin(async { Ok(None) })
    }

    fn expunge(&self, variable: &Variable) -> StorageFuture<bool> {
        self.0.expunge(variable)
    }

    fn names(&self) -> StorageFuture<std::collections::BTreeSet<String>> {
        self.0.names()
    }
}

#[test]
fn master_that_lost_its_registry_ends_and_shows_nothing_of_the_change() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = told.clone();
    let storage = Lost(InMemoryStorage::default(), Mutex::new(0));
    let fatal = Fatal(Arc::new(move |why: &str| note.lock().unwrap().push(why.to_owned())));
    let mut setup = Setup::new(Config { fatal, ..over(Arc::new(storage)) });
    setup.slave();
    let other = setup.peer("slave(1)@10.0.0.9:5051");
    other.send(RegisterSlaveMessage {
        slave: mesos::SlaveInfo { id: None, ..reregistration("").slave },
        version: Some("1.11.0".into()),
        ..Default::default()
    });
    setup.world.run_for(5 * SECOND);
    assert!(other.take::<SlaveRegisteredMessage>().is_none());
    assert_eq!(told.lock().unwrap().len(), 1);
}

/// Lets a peer prove who it is; what it is told in the end.
fn prove(setup: &mut Setup, peer: &Remote, principal: &str, secret: &str) -> bool {
    peer.send(AuthenticateMessage { pid: peer.handle.pid().to_string() });
    let offered: AuthenticationMechanismsMessage = setup.expect(peer, SECOND);
    assert_eq!(offered.mechanisms, ["CRAM-MD5"]);
    let session = peer.last_sender();
    let start = AuthenticationStartMessage { mechanism: "CRAM-MD5".into(), data: None };
    peer.send_to(&session, start);
    let challenge: AuthenticationStepMessage = setup.expect(peer, SECOND);
    let data = cram_md5::answer(principal, secret, &challenge.data).into_bytes().into();
    peer.send_to(&session, AuthenticationStepMessage { data });
    let mut result = None;
    let reached = setup.world.run_until(SECOND, |_| {
        if peer.take::<AuthenticationCompletedMessage>().is_some() {
            result = Some(true);
        } else if peer.take::<AuthenticationFailedMessage>().is_some() {
            result = Some(false);
        }
        result.is_some()
    });
    reached.unwrap();
    result.unwrap()
}

fn secured() -> Config {
    Config {
        credentials: Some(Credentials::parse("p secret").unwrap()),
        authenticate_agents: true,
        authenticate_frameworks: true,
        ..Config::default()
    }
}

#[test]
fn slave_registers_once_it_has_proved_who_it_is() {
    let mut setup = Setup::new(secured());
    let slave = setup.peer("slave(1)@10.0.0.2:5051");
    let register = || RegisterSlaveMessage {
        slave: mesos::SlaveInfo { id: None, ..reregistration("").slave },
        version: Some("1.11.0".into()),
        ..Default::default()
    };
    slave.send(register());
    assert!(!prove(&mut setup, &slave, "p", "wrong"));
    assert!(!prove(&mut setup, &slave, "q", "secret"));
    slave.send(register());
    setup.world.run_for(SECOND);
    assert!(slave.take::<SlaveRegisteredMessage>().is_none());
    assert!(prove(&mut setup, &slave, "p", "secret"));
    slave.send(register());
    let _: SlaveRegisteredMessage = setup.expect(&slave, SECOND);
}

fn subscribe(principal: Option<&str>) -> Call {
    let principal = principal.map(str::to_owned);
    let framework_info = mesos::FrameworkInfo { principal, ..info() };
    Call {
        r#type: Some(call::Type::Subscribe.into()),
        subscribe: Some(call::Subscribe { framework_info, ..Default::default() }),
        ..Default::default()
    }
}

#[test]
fn framework_must_be_who_it_says_it_is() {
    let mut setup = Setup::new(secured());
    let scheduler = setup.peer("scheduler(1)@10.0.0.3:9000");
    scheduler.send(subscribe(Some("p")));
    let refused: FrameworkErrorMessage = setup.expect(&scheduler, SECOND);
    assert!(refused.message.contains("not authenticated"), "{}", refused.message);
    assert!(prove(&mut setup, &scheduler, "p", "secret"));
    scheduler.send(subscribe(Some("q")));
    let refused: FrameworkErrorMessage = setup.expect(&scheduler, SECOND);
    assert!(refused.message.contains("does not match"), "{}", refused.message);
    scheduler.send(subscribe(Some("p")));
    let _: FrameworkRegisteredMessage = setup.expect(&scheduler, SECOND);
}

#[test]
fn messages_beyond_the_rate_of_a_principal_wait_or_are_refused() {
    let limit = RateLimit { qps: 1.0, capacity: Some(2) };
    let rate_limits =
        RateLimits { by_principal: [("p".to_owned(), Some(limit))].into(), others: None };
    let mut setup = Setup::new(Config { rate_limits: Some(rate_limits), ..Config::default() });
    let scheduler = setup.peer("scheduler(1)@10.0.0.3:9000");
    scheduler.send(subscribe(Some("p")));
    let _: FrameworkRegisteredMessage = setup.expect(&scheduler, SECOND);
    // The same scheduler repeats itself: each is answered in its turn, and the last refused.
    for _ in 0..4 {
        scheduler.send(subscribe(Some("p")));
    }
    let refused: FrameworkErrorMessage = setup.expect(&scheduler, SECOND);
    assert!(refused.message.contains("capacity (2) exceeded"), "{}", refused.message);
    setup.world.run_for(5 * SECOND);
    let answered = std::iter::from_fn(|| scheduler.take::<FrameworkRegisteredMessage>()).count();
    assert_eq!(answered, 3);
}
