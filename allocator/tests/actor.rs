//! The allocator's process in virtual time: offers, endpoints, metrics, maintenance.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use allocator::{
    Allocation, Allocator, Callbacks, Catalogue, Config, FrameworkSpec, InverseStatus, Question,
    Quota, SlaveSpec,
};
use futures::FutureExt;
use libprocess::sim::World;
use libprocess::{Node, NodeConfig};
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::{TimeInfo, Unavailability};
use protos::resources::Resources;
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);

struct Cluster {
    world: World,
    node: Node,
    allocator: Arc<dyn Allocator>,
    offers: Arc<Mutex<Vec<(FrameworkId, Allocation)>>>,
    asked: Arc<Mutex<Vec<(FrameworkId, SlaveId)>>>,
}

impl Cluster {
    fn new(config: Config) -> Self {
        let mut world = World::new(7);
        let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 5050);
        let node = world.node(address, NodeConfig::default());
        let (offers, asked) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (offered, leave) = (offers.clone(), asked.clone());
        let to = Callbacks {
            offers: Arc::new(move |id, allocation| offered.lock().unwrap().push((id, allocation))),
            inverse_offers: Arc::new(move |id: FrameworkId, slaves: BTreeMap<SlaveId, _>| {
                leave.lock().unwrap().extend(slaves.into_keys().map(|slave| (id.clone(), slave)));
            }),
        };
        let factory = Catalogue::default().get("hierarchical").unwrap();
        let allocator = factory(&node, config, to).unwrap();
        Self { world, node, allocator, offers, asked }
    }

    fn framework(&self, id: &str, role: &str) {
        let spec = FrameworkSpec {
            name: "my framework".to_owned(),
            roles: BTreeSet::from([role.to_owned()]),
            ..FrameworkSpec::default()
        };
        self.allocator.add_framework(id.into(), spec, true, BTreeMap::new());
    }

    fn slave(&self, id: &str, total: &str) {
        self.allocator.add_slave(id.into(), SlaveSpec::default(), r(total), BTreeMap::new());
    }

    /// Who was offered which slaves since the last call.
    fn offers(&mut self) -> Vec<(String, Vec<String>)> {
        self.world.settle();
        let offers = std::mem::take(&mut *self.offers.lock().unwrap());
        let slaves = |allocation: Allocation| {
            let slaves = allocation.into_values().flat_map(BTreeMap::into_keys);
            slaves.map(|slave| slave.to_string()).collect()
        };
        offers.into_iter().map(|(id, given)| (id.to_string(), slaves(given))).collect()
    }

    fn get(&mut self, target: &str) -> (u16, Value) {
        let response = self.world.http(&self.node, "GET", target);
        (response.status, serde_json::from_slice(&response.bytes()).unwrap_or(Value::Null))
    }
}

fn r(text: &str) -> Resources {
    text.parse().unwrap()
}

#[test]
fn allocator_offers_on_events_and_again_when_filters_run_out() {
    let mut cluster = Cluster::new(Config::default());
    cluster.framework("f1", "a");
    assert_eq!(cluster.offers(), []);
    cluster.slave("s1", "cpus:1;mem:64");
    let expected = [("f1".to_owned(), vec!["s1".to_owned()])];
    assert_eq!(cluster.offers(), expected);
    let back = r("cpus:1;mem:64").allocated_to("a");
    let (f1, s1) = (FrameworkId::new("f1"), SlaveId::new("s1"));
    cluster.allocator.recover_resources(f1, s1, back, Some(5 * SECOND));
    cluster.world.run_for(4 * SECOND);
    assert_eq!(cluster.offers(), []);
    cluster.world.run_for(2 * SECOND);
    assert_eq!(cluster.offers(), expected);
}

#[test]
fn allocator_explains_over_http_and_to_its_caller() {
    let mut cluster = Cluster::new(Config::default());
    cluster.framework("f1", "a");
    cluster.framework("f2", "b");
    cluster.slave("s1", "cpus:1;mem:64");
    cluster.offers();
    let (status, answer) = cluster.get("/allocator/explain?framework=f2&slave=s1");
    assert_eq!(
        (status, &answer["standings"][0]["slaves"][0]["reason"]),
        (200, &"nothing_left".into())
    );
    let (_, answer) = cluster.get("/allocator/explain?role=a");
    assert_eq!(answer["standings"][0]["share"], 1.0);
    assert_eq!(answer["standings"][0]["slaves"][0]["reason"], "offered");
    for (target, expected) in [
        ("/allocator/explain", 400),
        ("/allocator/explain?framework=f1&limit=x", 400),
        ("/allocator/explain?framework=f9", 404),
        ("/allocator/explain?framework=f1&agent=s9", 404),
        ("/allocator/explain?framework=f1&role=b", 404),
        ("/allocator/explain?framework=f1&role=a&limit=0", 200),
    ] {
        assert_eq!(cluster.get(target).0, expected, "{target}");
    }
    let question = Question { framework: Some("f1".into()), ..Question::default() };
    let asked = cluster.allocator.explain(question);
    cluster.world.settle();
    let answer = asked.now_or_never().unwrap();
    assert_eq!(answer.standings[0].slaves[0].1.name(), "offered");
    let (status, debug) = cluster.get("/allocator/offer_constraints_debug");
    assert_eq!(
        (status, &debug["frameworks"]["f1"]["suppressed_roles"]),
        (200, &Value::Array(vec![]))
    );
}

#[test]
fn allocator_publishes_metrics_of_roles_quota_and_runs() {
    let mut cluster = Cluster::new(Config::default());
    cluster.framework("f1", "a/b");
    cluster.slave("s1", "cpus:4;mem:64;disk:10");
    let of = |text: &str| r(text).quantities();
    let quota = Quota { guarantees: of("cpus:1"), limits: of("cpus:2") };
    cluster.allocator.update_quota("q".to_owned(), quota);
    cluster.offers();
    let (f1, s1) = (FrameworkId::new("f1"), SlaveId::new("s1"));
    let back = r("cpus:1").allocated_to("a/b");
    cluster.allocator.recover_resources(f1.clone(), s1, back, Some(60 * SECOND));
    cluster.allocator.suppress_offers(f1, BTreeSet::new());
    cluster.world.run_for(3 * SECOND);
    let (_, metrics) = cluster.get("/metrics/snapshot");
    for (name, value) in [
        ("event_queue_dispatches", 0.0),
        ("mesos/event_queue_dispatches", 0.0),
        ("mesos/resources/cpus/total", 4.0),
        ("mesos/resources/cpus/offered_or_allocated", 2.0),
        ("mesos/resources/mem/offered_or_allocated", 64.0),
        ("mesos/resources/disk/total", 10.0),
        ("mesos/offer_filters/roles/a/b/active", 1.0),
        ("mesos/roles/a/shares/dominant", 1.0),
        ("mesos/roles/a/b/shares/dominant", 1.0),
        ("mesos/quota/roles//resources/cpus/consumed", 2.0),
        ("mesos/quota/roles/a/b/resources/mem/consumed", 64.0),
        ("mesos/quota/roles/q/resources/cpus/guarantee", 1.0),
        ("mesos/quota/roles/q/resources/cpus/limit", 2.0),
        ("mesos/quota/roles/q/resources/cpus/consumed", 0.0),
        ("mesos/quota/roles/q/resources/cpus/offered_or_allocated", 0.0),
        ("mesos/allocation_run_ms", 0.0),
        ("mesos/allocation_run_latency_ms/p99", 0.0),
    ] {
        assert_eq!(metrics[format!("allocator/{name}")], value, "{name} in {metrics}");
    }
    let suppressed = &metrics["master/frameworks/my%20framework/f1/roles/a/b/suppressed"];
    assert_eq!(*suppressed, 1.0, "{metrics}");
    let runs = metrics["allocator/mesos/allocation_runs"].as_f64().unwrap();
    assert!(runs >= metrics["allocator/mesos/allocation_run_ms/count"].as_f64().unwrap());
    cluster.allocator.update_quota("q".to_owned(), Quota::default());
    cluster.world.run_for(2 * SECOND);
    let (_, metrics) = cluster.get("/metrics/snapshot");
    assert!(metrics.get("allocator/mesos/quota/roles/q/resources/cpus/limit").is_none());
}

#[test]
fn allocator_asks_holders_to_leave_a_slave_under_maintenance() {
    let mut cluster = Cluster::new(Config::default());
    cluster.framework("f1", "a");
    cluster.slave("s1", "cpus:1;mem:64");
    cluster.offers();
    let start = TimeInfo { nanoseconds: 1 };
    let planned = Unavailability { start, duration: None };
    cluster.allocator.update_unavailability("s1".into(), Some(planned));
    cluster.world.run_for(5 * SECOND);
    assert_eq!(*cluster.asked.lock().unwrap(), [("f1".into(), "s1".into())]);
    let accepted = Some(InverseStatus::Accepted);
    cluster.allocator.update_inverse_offer("s1".into(), "f1".into(), accepted, None);
    let statuses = cluster.allocator.inverse_statuses();
    cluster.world.settle();
    let statuses = statuses.now_or_never().unwrap();
    assert_eq!(statuses[&"s1".into()][&"f1".into()].0, InverseStatus::Accepted);
}

#[test]
fn allocator_pauses_after_a_failover_with_quota_for_ten_minutes_at_most() {
    let mut cluster = Cluster::new(Config::default());
    let quota = Quota { guarantees: r("cpus:1").quantities(), ..Quota::default() };
    cluster.allocator.recover(10, BTreeMap::from([("q".to_owned(), quota)]));
    cluster.framework("f1", "a");
    cluster.slave("s1", "cpus:4;mem:64");
    cluster.world.run_for(599 * SECOND);
    assert_eq!(cluster.offers(), []);
    cluster.world.run_for(2 * SECOND);
    assert_eq!(cluster.offers().len(), 1);
}
