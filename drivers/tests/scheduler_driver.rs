//! The drivers as actors, against a scripted master and slave in the simulator.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::{Leader, StandaloneDetector};
use drivers::scheduler::{Config, Scheduler, SchedulerDriver};
use libprocess::sim::{World, loss};
use libprocess::{Ctx, Envelope, Handle, NodeConfig, Pid, Process, Routes};
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::internal::{
    DeactivateFrameworkMessage, FrameworkErrorMessage, FrameworkRegisteredMessage,
    FrameworkReregisteredMessage, ResourceOffersMessage, StatusUpdateMessage,
};
use protos::mesos::scheduler::{Call, call};
use protos::mesos::{FrameworkInfo, MasterInfo, Offer, TaskInfo, TaskState, TaskStatus};

const LIMIT: Duration = Duration::from_secs(300);

type Log = Arc<Mutex<Vec<String>>>;

fn address(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 5050)
}

/// Answers subscriptions, and logs all calls.
struct Master {
    log: Log,
    driver: Option<Pid>,
}

impl Process for Master {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::call).on(Self::deactivate).otherwise(|master, envelope: Envelope, _| {
            master.log.lock().unwrap().push(format!("unexpected {}", envelope.name));
        });
    }
}

impl Master {
    fn call(&mut self, call: Call, cx: &mut Ctx<Self>) {
        self.log.lock().unwrap().push(call.r#type().as_str_name().to_owned());
        if call.r#type() != call::Type::Subscribe {
            return;
        }
        self.driver = Some(cx.from().clone());
        let framework_id = FrameworkId::new("F").wire();
        if call.framework_id.is_none() {
            let master_info = MasterInfo { id: "M".into(), ..MasterInfo::default() };
            cx.reply(&FrameworkRegisteredMessage { framework_id, master_info });
        } else {
            let master_info = MasterInfo { id: "M".into(), ..MasterInfo::default() };
            cx.reply(&FrameworkReregisteredMessage { framework_id, master_info });
        }
    }

    fn deactivate(&mut self, _: DeactivateFrameworkMessage, _: &mut Ctx<Self>) {
        self.log.lock().unwrap().push("DEACTIVATE".into());
    }
}

/// Logs callbacks; aborts in the callback of an update whose message says so.
struct Logging(Log);

impl Logging {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }
}

impl Scheduler for Logging {
    fn registered(&mut self, _: &SchedulerDriver, id: &FrameworkId, _: &MasterInfo) {
        self.note(format!("registered {id}"));
    }
    fn reregistered(&mut self, _: &SchedulerDriver, _: &MasterInfo) {
        self.note("reregistered");
    }
    fn disconnected(&mut self, _: &SchedulerDriver) {
        self.note("disconnected");
    }
    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        self.note("offers");
        for offer in offers {
            driver.launch_tasks(vec![OfferId::from(&offer.id)], vec![TaskInfo::default()], None);
        }
    }
    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        self.note(format!("update {}", status.state().as_str_name()));
        if status.message() == "abort" {
            driver.abort();
        }
    }
    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        self.note(format!("error {message}"));
    }
}

struct Stage {
    world: World,
    master: Handle<Master>,
    driver: SchedulerDriver,
    /// What the master got.
    calls: Log,
    /// What the scheduler heard.
    heard: Log,
}

fn entries(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

fn spawn_master(world: &mut World, calls: &Log) -> Handle<Master> {
    let node = world.node(address(1), NodeConfig::default());
    node.spawn("master", Master { log: calls.clone(), driver: None }).unwrap()
}

fn stage(seed: u64) -> Stage {
    let mut world = World::new(seed);
    let (calls, heard) = (Log::default(), Log::default());
    let master = spawn_master(&mut world, &calls);
    let node = world.node(address(2), NodeConfig::default());
    let detector = StandaloneDetector::new(Some(Leader::of(master.pid().clone())));
    let framework =
        FrameworkInfo { user: "u".into(), name: "n".into(), ..FrameworkInfo::default() };
    let config = Config::new(framework, Arc::new(detector));
    let driver = SchedulerDriver::start(&node, config, Logging(heard.clone())).unwrap();
    Stage { world, master, driver, calls, heard }
}

impl Stage {
    /// Runs the world until a log has an entry.
    fn wait(&mut self, log: Log, entry: &str) {
        let found =
            self.world.run_until(LIMIT, |_| entries(&log).iter().any(|found| found == entry));
        assert!(found.is_ok(), "no '{entry}' in {:?}", entries(&log));
    }

    fn heard(&mut self, entry: &str) {
        self.wait(self.heard.clone(), entry);
    }

    fn called(&mut self, entry: &str) {
        self.wait(self.calls.clone(), entry);
    }

    fn send<M: prost::Message + prost::Name + Send + 'static>(&self, message: M) {
        self.master.tell(move |master, cx| cx.send(master.driver.as_ref().unwrap(), &message));
    }

    fn update(&self, state: TaskState, message: &str) {
        let update = protos::status::of(&TaskId::new("T"), state, 1.0)
            .slave(&SlaveId::new("S"))
            .executor(&ExecutorId::new("E"))
            .message(message)
            .uuid([1; 16])
            .update(&FrameworkId::new("F"));
        let pid = Some("slave(1)@10.0.0.3:5051".to_owned());
        self.send(StatusUpdateMessage { update, pid });
    }
}

#[test]
fn driver_subscribes_launches_acknowledges_and_tears_down() {
    let mut stage = stage(1);
    stage.heard("registered F");
    let offer = Offer { id: OfferId::new("O").wire(), ..Offer::default() };
    stage.send(ResourceOffersMessage { offers: vec![offer], pids: vec![] });
    stage.called("ACCEPT");
    stage.update(TaskState::TaskRunning, "");
    stage.called("ACKNOWLEDGE");
    stage.driver.stop(false);
    stage.called("TEARDOWN");
    assert_eq!(entries(&stage.calls), ["SUBSCRIBE", "ACCEPT", "ACKNOWLEDGE", "TEARDOWN"]);
    assert_eq!(entries(&stage.heard), ["registered F", "offers", "update TASK_RUNNING"]);
}

#[test]
fn driver_whose_subscription_is_lost_repeats_it() {
    let mut stage = stage(2);
    let rule = stage.world.add_rule(loss(1.0));
    stage.world.run_for(Duration::from_secs(20));
    assert!(entries(&stage.heard).is_empty());
    stage.world.remove_rule(rule);
    stage.heard("registered F");
}

#[test]
fn driver_whose_master_restarts_subscribes_again() {
    let mut stage = stage(3);
    stage.heard("registered F");
    stage.world.crash(address(1));
    stage.heard("disconnected");
    let calls = stage.calls.clone();
    stage.master = spawn_master(&mut stage.world, &calls);
    stage.heard("reregistered");
}

#[test]
fn driver_aborted_in_a_callback_does_not_acknowledge() {
    let mut stage = stage(4);
    stage.heard("registered F");
    stage.update(TaskState::TaskFailed, "abort");
    stage.called("DEACTIVATE");
    stage.world.run_for(Duration::from_secs(1));
    assert_eq!(entries(&stage.calls), ["SUBSCRIBE", "DEACTIVATE"]);
    stage.update(TaskState::TaskFailed, "again");
    stage.world.run_for(Duration::from_secs(1));
    assert_eq!(entries(&stage.heard), ["registered F", "update TASK_FAILED"]);
}

#[test]
fn driver_refused_by_the_master_tells_and_aborts() {
    let mut stage = stage(5);
    stage.heard("registered F");
    stage.send(FrameworkErrorMessage { message: "no".into() });
    stage.heard("error no");
    stage.driver.revive(vec![]);
    stage.world.run_for(Duration::from_secs(1));
    assert_eq!(entries(&stage.calls).iter().filter(|call| *call == "REVIVE").count(), 0);
}
