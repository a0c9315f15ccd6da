//! The executor driver as an actor, against a scripted slave in the simulator.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drivers::executor::{Environment, Executor, ExecutorDriver};
use libprocess::sim::World;
use libprocess::{Ctx, Handle, NodeConfig, Pid, Process, Routes};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{
    ExecutorRegisteredMessage, ExecutorReregisteredMessage, ExecutorToFrameworkMessage,
    FrameworkToExecutorMessage, ReconnectExecutorMessage, RegisterExecutorMessage,
    ReregisterExecutorMessage, RunTaskMessage, ShutdownExecutorMessage,
    StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::mesos::{ExecutorInfo, FrameworkInfo, KillPolicy, SlaveInfo, TaskInfo, TaskState};

const LIMIT: Duration = Duration::from_secs(2000);

type Log = Arc<Mutex<Vec<String>>>;

fn address(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 5051)
}

/// Registers executors and logs what they send; acknowledges updates if told to.
struct Slave {
    log: Log,
    acknowledges: bool,
    executor: Pid,
}

impl Process for Slave {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::register).on(Self::reregister).on(Self::update).on(Self::message);
    }
}

impl Slave {
    fn note(&self, text: impl Into<String>) {
        self.log.lock().unwrap().push(text.into());
    }

    fn register(&mut self, m: RegisterExecutorMessage, cx: &mut Ctx<Self>) {
        self.note(format!("register {}", m.executor_id.value));
        self.executor = cx.from().clone();
        cx.reply(&ExecutorRegisteredMessage {
            slave_id: SlaveId::new("S").wire(),
            ..ExecutorRegisteredMessage::default()
        });
    }

    fn reregister(&mut self, m: ReregisterExecutorMessage, cx: &mut Ctx<Self>) {
        self.note(format!("reregister {} tasks {} updates", m.tasks.len(), m.updates.len()));
        self.executor = cx.from().clone();
        let slave_info = SlaveInfo::default();
        cx.reply(&ExecutorReregisteredMessage { slave_id: SlaveId::new("S").wire(), slave_info });
    }

    fn update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        self.note(m.update.status.state().as_str_name());
        if self.acknowledges {
            cx.reply(&StatusUpdateAcknowledgementMessage {
                slave_id: SlaveId::new("S").wire(),
                framework_id: m.update.framework_id,
                task_id: m.update.status.task_id,
                uuid: m.update.uuid.unwrap(),
            });
        }
    }

    fn message(&mut self, m: ExecutorToFrameworkMessage, _: &mut Ctx<Self>) {
        self.note(String::from_utf8_lossy(&m.data));
    }
}

/// Logs callbacks, reports tasks as running, echoes messages.
struct Logging(Log);

impl Logging {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }
}

impl Executor for Logging {
    fn registered(
        &mut self,
        _: &ExecutorDriver,
        _: &ExecutorInfo,
        _: &FrameworkInfo,
        _: &SlaveInfo,
    ) {
        self.note("registered");
    }
    fn reregistered(&mut self, _: &ExecutorDriver, _: &SlaveInfo) {
        self.note("reregistered");
    }
    fn disconnected(&mut self, _: &ExecutorDriver) {
        self.note("disconnected");
    }
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        let id = TaskId::from(&task.task_id);
        self.note(format!("launch {id}"));
        driver.send_status_update(protos::status::of(&id, TaskState::TaskRunning, 0.0).build());
    }
    fn kill_task(&mut self, _: &ExecutorDriver, task: &TaskId, _: Option<&KillPolicy>) {
        self.note(format!("kill {task}"));
    }
    fn framework_message(&mut self, driver: &ExecutorDriver, data: bytes::Bytes) {
        driver.send_framework_message(data);
    }
    fn shutdown(&mut self, driver: &ExecutorDriver) {
        self.note("shutdown");
        driver.stop();
    }
}

struct Stage {
    world: World,
    slave: Handle<Slave>,
    /// What the slave got.
    got: Log,
    /// What the executor heard.
    heard: Log,
}

fn spawn_slave(world: &mut World, log: &Log, acknowledges: bool) -> Handle<Slave> {
    let node = world.node(address(1), NodeConfig::default());
    let slave = Slave { log: log.clone(), acknowledges, executor: Pid::empty() };
    node.spawn("slave(1)", slave).unwrap()
}

fn stage(checkpoint: bool, acknowledges: bool) -> Stage {
    let mut world = World::new(1);
    let (got, heard) = (Log::default(), Log::default());
    let slave = spawn_slave(&mut world, &got, acknowledges);
    let node = world.node(address(2), NodeConfig::default());
    let place = Environment::read(|name| match name {
        "MESOS_SLAVE_PID" => Some("slave(1)@10.0.0.1:5051".to_owned()),
        "MESOS_SLAVE_ID" => Some("S".to_owned()),
        "MESOS_FRAMEWORK_ID" => Some("F".to_owned()),
        "MESOS_EXECUTOR_ID" => Some("E".to_owned()),
        "MESOS_CHECKPOINT" => checkpoint.then(|| "1".to_owned()),
        "MESOS_LOCAL" => Some("1".to_owned()),
        _ => None,
    });
    ExecutorDriver::start(&node, place.unwrap(), Logging(heard.clone()));
    Stage { world, slave, got, heard }
}

fn entries(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

impl Stage {
    fn wait(&mut self, log: Log, entry: &str) {
        let found =
            self.world.run_until(LIMIT, |_| entries(&log).iter().any(|found| found == entry));
        assert!(found.is_ok(), "no '{entry}' in {:?}", entries(&log));
    }

    fn heard(&mut self, entry: &str) {
        self.wait(self.heard.clone(), entry);
    }

    fn got(&mut self, entry: &str) {
        self.wait(self.got.clone(), entry);
    }

    fn send<M: prost::Message + prost::Name + 'static>(&self, message: M) {
        self.slave.tell(move |slave, cx| cx.send(&slave.executor, &message));
    }

    fn run_task(&self, id: &str) {
        let task = TaskInfo { task_id: TaskId::new(id).wire(), ..TaskInfo::default() };
        self.send(RunTaskMessage { task, ..RunTaskMessage::default() });
    }
}

#[test]
fn executor_registers_runs_tasks_and_relays_messages() {
    let mut stage = stage(false, true);
    stage.heard("registered");
    stage.run_task("T");
    stage.got("TASK_RUNNING");
    stage.send(FrameworkToExecutorMessage {
        framework_id: FrameworkId::new("F").wire(),
        data: "ping".into(),
        ..FrameworkToExecutorMessage::default()
    });
    stage.got("ping");
    stage.send(ShutdownExecutorMessage::default());
    stage.heard("shutdown");
    assert_eq!(entries(&stage.heard), ["registered", "launch T", "shutdown"]);
    assert_eq!(entries(&stage.got), ["register E", "TASK_RUNNING", "ping"]);
}

#[test]
fn slave_lost_without_checkpointing_shuts_the_executor_down() {
    let mut stage = stage(false, true);
    stage.heard("registered");
    stage.world.crash(address(1));
    stage.heard("shutdown");
}

#[test]
fn slave_back_in_time_learns_what_it_had_not_stored() {
    let mut stage = stage(true, false);
    stage.heard("registered");
    stage.run_task("T");
    stage.got("TASK_RUNNING");
    let executor = stage.world.living(address(2)).unwrap().pid("executor(1)");
    stage.world.crash(address(1));
    stage.heard("disconnected");
    let got = stage.got.clone();
    stage.slave = spawn_slave(&mut stage.world, &got, false);
    stage.slave.tell(move |_, cx| {
        cx.send(&executor, &ReconnectExecutorMessage { slave_id: SlaveId::new("S").wire() });
    });
    stage.got("reregister 1 tasks 1 updates");
    stage.heard("reregistered");
    stage.world.run_for(LIMIT);
    assert!(!entries(&stage.heard).contains(&"shutdown".to_owned()));
}

#[test]
fn slave_that_stays_away_ends_the_executor_after_the_recovery_timeout() {
    let mut stage = stage(true, true);
    stage.heard("registered");
    stage.world.crash(address(1));
    stage.heard("disconnected");
    stage.world.run_for(Duration::from_secs(899));
    assert!(!entries(&stage.heard).contains(&"shutdown".to_owned()));
    stage.heard("shutdown");
}
