//! A master in a simulated world, spoken to by scripted slaves and schedulers, message by message.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use libprocess::sim::World;
use libprocess::{Ctx, Handle, Node, NodeConfig, Pid, Process, Routes};
use master::Config;
use prost::{Message, Name};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::*;
use protos::mesos::offer::{Operation, operation};
use protos::mesos::scheduler::{Call, call};
use protos::mesos::{self, TaskState};
use protos::resources::Resources;
use protos::status;

const SECOND: Duration = Duration::from_secs(1);

/// What a peer was sent: message names and bodies.
type Inbox = Arc<Mutex<Vec<(String, bytes::Bytes)>>>;

/// A process that notes what it is sent, and answers pings as long as it is told to.
struct Peer {
    inbox: Inbox,
    pongs: bool,
}

impl Process for Peer {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::ping).otherwise(|peer, envelope, _| {
            peer.inbox.lock().unwrap().push((envelope.name.into(), envelope.body));
        });
    }
}

impl Peer {
    fn ping(&mut self, _: PingSlaveMessage, cx: &mut Ctx<Self>) {
        if self.pongs {
            cx.reply(&PongSlaveMessage {});
        }
    }
}

struct Remote {
    node: Node,
    handle: Handle<Peer>,
    inbox: Inbox,
    master: Pid,
}

impl Remote {
    fn send<M: Message + Name + 'static>(&self, message: M) {
        let master = self.master.clone();
        self.handle.tell(move |_, cx| cx.send(&master, &message));
    }

    /// Takes the first message of a type out of what came in.
    fn take<M: Message + Name + Default>(&self) -> Option<M> {
        let mut inbox = self.inbox.lock().unwrap();
        let index = inbox.iter().position(|(name, _)| *name == M::full_name())?;
        Some(M::decode(inbox.remove(index).1).unwrap())
    }
}

struct Setup {
    world: World,
    master: Handle<master::Master>,
    node: Node,
}

impl Setup {
    fn new(config: Config) -> Self {
        let mut world = World::new(1);
        let node = world.node("10.0.0.1:5050".parse().unwrap(), master_node());
        let master = master::start(&node, config).unwrap();
        Self { world, master, node }
    }

    fn peer(&mut self, pid: &str) -> Remote {
        let pid: Pid = pid.parse().unwrap();
        let node = self.world.node(pid.address(), NodeConfig::default());
        let inbox = Inbox::default();
        let peer = Peer { inbox: inbox.clone(), pongs: true };
        let handle = node.spawn(pid.id(), peer).unwrap();
        Remote { node, handle, inbox, master: self.master.pid().clone() }
    }

    /// Waits for a message of a type.
    fn expect<M: Message + Name + Default>(&mut self, at: &Remote, within: Duration) -> M {
        let mut found = None;
        let reached = self.world.run_until(within, |_| {
            found = found.take().or_else(|| at.take());
            found.is_some()
        });
        reached.unwrap_or_else(|error| panic!("no {}: {error}", M::full_name()));
        found.unwrap()
    }

    fn slave(&mut self) -> (Remote, SlaveId) {
        let slave = self.peer("slave(1)@10.0.0.2:5051");
        slave.send(RegisterSlaveMessage {
            slave: mesos::SlaveInfo {
                hostname: "host".into(),
                resources: "cpus:4;mem:1024".parse::<Resources>().unwrap().to_wire(),
                ..Default::default()
            },
            version: Some("1.11.0".into()),
            ..Default::default()
        });
        let greeting: SlaveRegisteredMessage = self.expect(&slave, SECOND);
        (slave, greeting.slave_id.into())
    }

    fn scheduler(&mut self) -> (Remote, FrameworkId) {
        let scheduler = self.peer("scheduler(1)@10.0.0.3:9000");
        scheduler.send(Call {
            r#type: Some(call::Type::Subscribe.into()),
            subscribe: Some(call::Subscribe { framework_info: info(), ..Default::default() }),
            ..Default::default()
        });
        let greeting: FrameworkRegisteredMessage = self.expect(&scheduler, SECOND);
        (scheduler, greeting.framework_id.into())
    }

    /// A slave, a scheduler, and a task that the slave was told to run.
    fn running(&mut self) -> (Remote, SlaveId, Remote, FrameworkId) {
        let (slave, slave_id) = self.slave();
        let (scheduler, id) = self.scheduler();
        let offers: ResourceOffersMessage = self.expect(&scheduler, 5 * SECOND);
        let launch = operation::Launch { task_infos: vec![task(&slave_id)] };
        let operation = Operation {
            r#type: Some(operation::Type::Launch.into()),
            launch: Some(launch),
            ..Default::default()
        };
        scheduler.send(Call {
            framework_id: Some(id.wire()),
            r#type: Some(call::Type::Accept.into()),
            accept: Some(call::Accept {
                offer_ids: vec![offers.offers[0].id.clone()],
                operations: vec![operation],
                ..Default::default()
            }),
            ..Default::default()
        });
        let run: RunTaskMessage = self.expect(&slave, SECOND);
        assert_eq!(run.task.task_id.value, "t");
        (slave, slave_id, scheduler, id)
    }

    fn state(&mut self) -> serde_json::Value {
        let response = self.world.http(self.node.clone(), "GET", "/state");
        match &response.body {
            libprocess::http::Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap(),
            _ => panic!("a body of bytes was expected"),
        }
    }
}

fn master_node() -> NodeConfig {
    NodeConfig {
        delegate: Some("master".into()),
        schema: protos::required::schema_check,
        ..NodeConfig::default()
    }
}

fn info() -> mesos::FrameworkInfo {
    mesos::FrameworkInfo { user: "user".into(), name: "test".into(), ..Default::default() }
}

fn task(slave: &SlaveId) -> mesos::TaskInfo {
    mesos::TaskInfo {
        name: "t".into(),
        task_id: TaskId::new("t").wire(),
        slave_id: slave.wire(),
        resources: "cpus:1;mem:64".parse::<Resources>().unwrap().to_wire(),
        command: Some(mesos::CommandInfo { value: Some("true".into()), ..Default::default() }),
        ..Default::default()
    }
}

#[test]
fn task_lives_from_offer_to_acknowledged_end() {
    let mut setup = Setup::new(Config::default());
    let (slave, slave_id, scheduler, id) = setup.running();
    let task_id = TaskId::new("t");
    for (number, state) in [(1, TaskState::TaskRunning), (2, TaskState::TaskFinished)] {
        let update =
            status::of(&task_id, state, 0.0).slave(&slave_id).uuid([number; 16]).update(&id);
        let pid = Some(slave.handle.pid().to_string());
        slave.send(StatusUpdateMessage { update, pid });
        let told: StatusUpdateMessage = setup.expect(&scheduler, SECOND);
        assert_eq!(told.update.status.state(), state);
        scheduler.send(Call {
            framework_id: Some(id.wire()),
            r#type: Some(call::Type::Acknowledge.into()),
            acknowledge: Some(call::Acknowledge {
                slave_id: slave_id.wire(),
                task_id: task_id.wire(),
                uuid: told.update.uuid.unwrap(),
            }),
            ..Default::default()
        });
        let passed_on: StatusUpdateAcknowledgementMessage = setup.expect(&slave, SECOND);
        assert_eq!(passed_on.uuid[..], [number; 16]);
    }
    let state = setup.state();
    assert_eq!(state["frameworks"][0]["tasks"].as_array().unwrap().len(), 0);
    assert_eq!(state["frameworks"][0]["completed_tasks"][0]["state"], "TASK_FINISHED");
    assert_eq!(state["slaves"][0]["used_resources"]["cpus"], 0.0);
}

#[test]
fn slave_without_pongs_is_lost_with_its_tasks() {
    let mut setup = Setup::new(Config::default());
    let (slave, _, scheduler, _) = setup.running();
    slave.handle.tell(|peer, _| peer.pongs = false);
    setup.world.run_for(60 * SECOND);
    assert_eq!(scheduler.take::<LostSlaveMessage>(), None);
    setup.expect::<LostSlaveMessage>(&scheduler, 60 * SECOND);
    let told: StatusUpdateMessage = setup.expect(&scheduler, SECOND);
    assert_eq!(told.update.status.state(), TaskState::TaskLost);
    assert_eq!(told.update.uuid, None);
    assert_eq!(setup.state()["slaves"].as_array().unwrap().len(), 0);
}

#[test]
fn scheduler_that_crashes_is_removed_and_its_executors_are_shut_down() {
    let mut setup = Setup::new(Config::default());
    let (slave, _, scheduler, id) = setup.running();
    setup.world.crash(&scheduler.node);
    let shutdown: ShutdownFrameworkMessage = setup.expect(&slave, 60 * SECOND);
    assert_eq!(shutdown.framework_id.value, id.as_str());
    let state = setup.state();
    assert_eq!(state["completed_frameworks"][0]["id"], id.as_str());
}

#[test]
fn scheduler_of_the_older_form_declines_with_an_empty_launch_and_is_offered_again() {
    let mut setup = Setup::new(Config::default());
    setup.slave();
    let scheduler = setup.peer("scheduler(1)@10.0.0.3:9000");
    scheduler.send(RegisterFrameworkMessage { framework: info() });
    let greeting: FrameworkRegisteredMessage = setup.expect(&scheduler, SECOND);
    let first: ResourceOffersMessage = setup.expect(&scheduler, 5 * SECOND);
    scheduler.send(LaunchTasksMessage {
        framework_id: greeting.framework_id,
        offer_ids: vec![first.offers[0].id.clone()],
        ..Default::default()
    });
    let declined = setup.world.now();
    let second: ResourceOffersMessage = setup.expect(&scheduler, 20 * SECOND);
    assert_ne!(second.offers[0].id, first.offers[0].id);
    assert_eq!(second.offers[0].resources, first.offers[0].resources);
    assert!(setup.world.now().since(declined) >= 5 * SECOND);
}

#[test]
fn offer_unanswered_for_too_long_is_rescinded() {
    let mut setup = Setup::new(Config { offer_timeout: Some(30 * SECOND), ..Config::default() });
    setup.slave();
    let (scheduler, _) = setup.scheduler();
    let offers: ResourceOffersMessage = setup.expect(&scheduler, 5 * SECOND);
    let rescinded: RescindResourceOfferMessage = setup.expect(&scheduler, 31 * SECOND);
    assert_eq!(rescinded.offer_id, offers.offers[0].id);
    setup.expect::<ResourceOffersMessage>(&scheduler, 5 * SECOND);
}

#[test]
fn slave_that_breaks_off_returns_with_its_id() {
    let mut setup = Setup::new(Config::default());
    let (slave, slave_id, scheduler, _) = setup.running();
    setup.world.reset_connections(&slave.node, &setup.node);
    let lost: StatusUpdateMessage = setup.expect(&scheduler, 10 * SECOND);
    let reason = mesos::task_status::Reason::SlaveDisconnected;
    assert_eq!(lost.update.status.reason(), reason, "the framework does not checkpoint");
    slave.send(ReregisterSlaveMessage {
        slave: mesos::SlaveInfo {
            id: Some(slave_id.wire()),
            hostname: "host".into(),
            resources: "cpus:4;mem:1024".parse::<Resources>().unwrap().to_wire(),
            ..Default::default()
        },
        version: Some("1.11.0".into()),
        ..Default::default()
    });
    let greeting: SlaveReregisteredMessage = setup.expect(&slave, SECOND);
    assert_eq!(greeting.slave_id.value, slave_id.as_str());
    let again: ResourceOffersMessage = setup.expect(&scheduler, 10 * SECOND);
    let all = Resources::from_wire(&again.offers[0].resources).unwrap();
    assert_eq!((all.cpus(), all.mem()), (4.0, 1024.0));
}

#[test]
fn noise_from_strangers_changes_nothing() {
    let mut setup = Setup::new(Config::default());
    let (_, slave_id, _, id) = setup.running();
    let before = setup.state();
    let stranger = setup.peer("stranger@10.0.0.9:1");
    stranger.send(UnregisterFrameworkMessage { framework_id: id.wire() });
    stranger.send(UnregisterSlaveMessage { slave_id: slave_id.wire() });
    stranger.send(Call { r#type: Some(call::Type::Teardown.into()), ..Default::default() });
    stranger.send(Call { framework_id: Some(id.wire()), ..Default::default() });
    stranger.send(KillTaskMessage { framework_id: id.wire(), ..Default::default() });
    for name in libprocess::message_names::<master::Master>() {
        for body in [&b""[..], b"\xff\xff\xff", b"\x0a\x00", b"\x0a\x02\x0a\x00"] {
            let (to, name) = (setup.master.pid().clone(), name.clone());
            stranger.handle.tell(move |_, cx| cx.send_raw(&to, name.into(), body.into()));
        }
    }
    setup.world.run_for(SECOND);
    assert_eq!(setup.world.panics(), Vec::<String>::new());
    let mut after = setup.state();
    // A registration without resources is valid, and so is a subscription without a name.
    after["slaves"].as_array_mut().unwrap().retain(|slave| slave["id"] == slave_id.as_str());
    assert_eq!(after["slaves"], before["slaves"]);
    assert_eq!(after["frameworks"][0], before["frameworks"][0]);
}
