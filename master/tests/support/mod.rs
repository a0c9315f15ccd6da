//! A master in a simulated world, and scripted peers.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libprocess::http::{Body, Request};
use libprocess::sim::World;
use libprocess::{Ctx, Handle, Node, NodeConfig, Pid, Process, Routes};
use master::Config;
use prost::{Message, Name};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos;
use protos::mesos::internal::*;
use protos::mesos::offer::{Operation, operation};
use protos::mesos::scheduler::{Call, call};
use protos::resources::Resources;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What a peer was sent: message names and bodies.
pub(crate) type Inbox = Arc<Mutex<Vec<(String, bytes::Bytes)>>>;

/// A process that notes what it is sent, and answers pings as long as it is told to.
pub(crate) struct Peer {
    pub(crate) inbox: Inbox,
    /// Who sent the last of them.
    pub(crate) sender: Arc<Mutex<Pid>>,
    pub(crate) pongs: bool,
}

impl Process for Peer {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::ping).otherwise(|peer, envelope, _| {
            *peer.sender.lock().unwrap() = envelope.from;
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

pub(crate) struct Remote {
    pub(crate) node: Node,
    pub(crate) handle: Handle<Peer>,
    pub(crate) inbox: Inbox,
    pub(crate) sender: Arc<Mutex<Pid>>,
    pub(crate) master: Pid,
}

impl Remote {
    pub(crate) fn send<M: Message + Name + 'static>(&self, message: M) {
        let master = self.master.clone();
        self.handle.tell(move |_, cx| cx.send(&master, &message));
    }

    pub(crate) fn send_to<M: Message + Name + 'static>(&self, to: &Pid, message: M) {
        let to = to.clone();
        self.handle.tell(move |_, cx| cx.send(&to, &message));
    }

    /// Who sent the last message that came.
    pub(crate) fn last_sender(&self) -> Pid {
        self.sender.lock().unwrap().clone()
    }

    /// Takes the first message of a type out of what came in.
    pub(crate) fn take<M: Message + Name + Default>(&self) -> Option<M> {
        let mut inbox = self.inbox.lock().unwrap();
        let index = inbox.iter().position(|(name, _)| *name == M::full_name())?;
        Some(M::decode(inbox.remove(index).1).unwrap())
    }
}

pub(crate) struct Setup {
    pub(crate) world: World,
    pub(crate) master: Handle<master::Master>,
    pub(crate) node: Node,
    /// Sent with each request.
    pub(crate) authorization: Option<String>,
}

impl Setup {
    pub(crate) fn new(config: Config) -> Self {
        let mut world = World::new(1);
        let node = world.node("10.0.0.1:5050".parse().unwrap(), master_node());
        let master = master::start(&node, config).unwrap();
        // The registry is recovered.
        world.run_for(Duration::from_millis(10));
        Self { world, master, node, authorization: None }
    }

    pub(crate) fn peer(&mut self, pid: &str) -> Remote {
        let pid: Pid = pid.parse().unwrap();
        let node = self.world.node(pid.address(), NodeConfig::default());
        let inbox = Inbox::default();
        let sender = Arc::new(Mutex::new(Pid::empty()));
        let peer = Peer { inbox: inbox.clone(), sender: sender.clone(), pongs: true };
        let handle = node.spawn(pid.id(), peer).unwrap();
        Remote { node, handle, inbox, sender, master: self.master.pid().clone() }
    }

    /// Waits for a message of a type.
    pub(crate) fn expect<M: Message + Name + Default>(
        &mut self,
        at: &Remote,
        within: Duration,
    ) -> M {
        let mut found = None;
        let reached = self.world.run_until(within, |_| {
            found = found.take().or_else(|| at.take());
            found.is_some()
        });
        reached.unwrap_or_else(|error| panic!("no {}: {error}", M::full_name()));
        found.unwrap()
    }

    pub(crate) fn slave(&mut self) -> (Remote, SlaveId) {
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

    pub(crate) fn scheduler(&mut self) -> (Remote, FrameworkId) {
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
    pub(crate) fn running(&mut self) -> (Remote, SlaveId, Remote, FrameworkId) {
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

    /// Asks an endpoint: status and body.
    pub(crate) fn http(&mut self, method: &str, target: &str, body: &str) -> (u16, String) {
        let mut request = Request::new(method, target).unwrap();
        request.body = body.to_owned().into();
        request.headers.insert("content-type".into(), "application/json".into());
        if let Some(header) = &self.authorization {
            request.headers.insert("authorization".into(), header.clone());
        }
        let mut future = Box::pin(self.node.http(request));
        let mut answered = None;
        let done = self.world.run_until(30 * SECOND, |_| {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(response) = future.as_mut().poll(&mut context) {
                answered = Some(response);
            }
            answered.is_some()
        });
        done.unwrap_or_else(|error| panic!("{method} {target}: {error}"));
        let response = answered.unwrap();
        let text = match &response.body {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        (response.status, text)
    }

    /// Asks an endpoint for JSON.
    pub(crate) fn json(&mut self, target: &str) -> serde_json::Value {
        let (status, text) = self.http("GET", target, "");
        assert_eq!(status, 200, "{target}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) fn state(&mut self) -> serde_json::Value {
        let response = self.world.http(self.node.clone(), "GET", "/state");
        match &response.body {
            libprocess::http::Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap(),
            _ => panic!("a body of bytes was expected"),
        }
    }
}

pub(crate) fn master_node() -> NodeConfig {
    NodeConfig {
        delegate: Some("master".into()),
        schema: protos::required::schema_check,
        ..NodeConfig::default()
    }
}

pub(crate) fn info() -> mesos::FrameworkInfo {
    mesos::FrameworkInfo { user: "user".into(), name: "test".into(), ..Default::default() }
}

pub(crate) fn task(slave: &SlaveId) -> mesos::TaskInfo {
    mesos::TaskInfo {
        name: "t".into(),
        task_id: TaskId::new("t").wire(),
        slave_id: slave.wire(),
        resources: "cpus:1;mem:64".parse::<Resources>().unwrap().to_wire(),
        command: Some(mesos::CommandInfo { value: Some("true".into()), ..Default::default() }),
        ..Default::default()
    }
}
