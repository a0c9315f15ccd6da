//! A stranger who sends a master whatever it likes, also in the name of a slave and of a framework.

use std::time::Duration;

use libprocess::http::Body;
use libprocess::sim::World;
use libprocess::{Ctx, Envelope, Handle, NodeConfig, Pid, Process, Routes};
use prost::{Message, Name};
use protos::forge::{self, Source};
use protos::mesos;
use protos::mesos::internal::{RegisterFrameworkMessage, RegisterSlaveMessage};
use serde_json::Value;

/// Messages of one attack.
const MESSAGES: usize = 24;
/// What each slave has, also those that the attacker registers at most.
const RESOURCES: &str = "cpus:4;mem:64;disk:16";
/// Who sends: one that the master knows as a slave, one that it knows as a framework, nobody.
const SENDERS: [&str; 3] =
    ["slave(1)@10.0.0.2:5051", "scheduler(1)@10.0.0.3:9000", "attacker@10.0.0.9:1"];

/// Takes everything and says nothing.
struct Mute;

impl Process for Mute {
    fn routes(routes: &mut Routes<Self>) {
        routes.otherwise(|_: &mut Self, _: Envelope, _: &mut Ctx<Self>| {});
    }
}

fn send<M: Message + Name>(from: &Handle<Mute>, to: &Pid, message: &M) {
    send_raw(from, to, &M::full_name(), message.encode_to_vec());
}

fn send_raw(from: &Handle<Mute>, to: &Pid, name: &str, body: Vec<u8>) {
    let (to, name) = (to.clone(), name.to_owned());
    from.tell(move |_, cx| cx.send_raw(&to, name.into(), body.into()));
}

fn state(world: &mut World, master: &Pid) -> Value {
    let response = world.http(master.address(), "GET", "/master/state");
    match &response.body {
        Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Words that messages may be right with: ids that exist, names that mean something.
fn words(state: &Value) -> Vec<String> {
    let mut words: Vec<String> =
        ["*", "web", "web/a", "cpus", "t", "e", "", "..", "a//b"].map(str::to_owned).to_vec();
    for entries in ["slaves", "frameworks"] {
        words.extend(
            list(state, entries).iter().filter_map(|of| of["id"].as_str()).map(str::to_owned),
        );
    }
    let offers = list(state, "frameworks").iter().flat_map(|framework| list(framework, "offers"));
    words.extend(offers.filter_map(|offer| offer["id"].as_str()).map(str::to_owned));
    words.extend(SENDERS.map(str::to_owned));
    words
}

/// Sends what the bytes say, and looks at what came of it.
///
/// # Panics
/// When a handler panicked, a slave gave more than it has, or the books grew by more than was sent.
pub(crate) fn attack(bytes: &[u8]) {
    let mut world = World::new(1);
    let config = NodeConfig {
        delegate: Some("master".into()),
        schema: protos::required::schema_check,
        ..NodeConfig::default()
    };
    let node = world.node("10.0.0.1:5050".parse().unwrap(), config);
    let master = master::start(&node, master::Config::default()).unwrap().pid().clone();
    let senders = SENDERS.map(|pid| {
        let pid: Pid = pid.parse().unwrap();
        let node = world.node(pid.address(), NodeConfig::default());
        node.spawn(pid.id(), Mute).unwrap()
    });
    world.run_for(Duration::from_millis(10));
    let resources: protos::resources::Resources = RESOURCES.parse().unwrap();
    let slave = mesos::SlaveInfo {
        hostname: "host".into(),
        resources: resources.to_wire(),
        ..mesos::SlaveInfo::default()
    };
    let version = Some("1.11.0".to_owned());
    send(&senders[0], &master, &RegisterSlaveMessage { slave, version, ..Default::default() });
    let framework = mesos::FrameworkInfo { user: "user".into(), ..Default::default() };
    send(&senders[1], &master, &RegisterFrameworkMessage { framework });
    world.run_for(Duration::from_secs(3));
    let names = libprocess::message_names::<master::Master>();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut words = words(&state(&mut world, &master));
    let (mut left, mut sent) = (bytes, 0);
    while !left.is_empty() && sent < MESSAGES {
        // Each message has bytes of its own, so that a change of one leaves the others as they are.
        let (own, rest) = left.split_at(left.len().min(96));
        left = rest;
        let mut source = Source::new(own, &words);
        let sender = usize::from(source.byte()) % senders.len();
        let pause = source.pick(&[0, 0, 1, 50, 1500]).unwrap_or_default();
        let Some(name) = source.pick(&names) else { return };
        let body = match source.byte() % 8 {
            0 => own.to_vec(),
            _ => forge::message(name, &mut source).unwrap_or_default(),
        };
        send_raw(&senders[sender], &master, name, body);
        sent += 1;
        world.run_for(Duration::from_millis(pause));
        if pause == 1500 {
            words = self::words(&state(&mut world, &master));
        }
    }
    world.run_for(Duration::from_secs(5));
    check(&mut world, &master, sent);
}

fn check(world: &mut World, master: &Pid, sent: usize) {
    assert_eq!(world.panics(), Vec::<String>::new());
    let state = state(world, master);
    assert!(state["slaves"].is_array(), "the master answers no more: {state}");
    let frameworks = list(&state, "frameworks").len() + list(&state, "completed_frameworks").len();
    assert!(frameworks <= 1 + 3 * sent, "{frameworks} frameworks of {sent} messages");
    for slave in list(&state, "slaves") {
        for name in ["cpus", "mem", "disk", "gpus"] {
            let of = |list: &str| slave[list][name].as_f64().unwrap_or_default();
            let (all, taken) = (of("resources"), of("used_resources") + of("offered_resources"));
            assert!(taken <= all + 1e-6, "{name}: {taken} of {all} are taken: {slave}");
        }
    }
}
