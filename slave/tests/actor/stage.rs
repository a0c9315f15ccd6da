//! A slave between them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::{Leader, StandaloneDetector};
use libprocess::sim::World;
use libprocess::{Handle, Node, NodeConfig, Pid};
use prost::{Message, Name};
use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{
    RegisterExecutorMessage, RunTaskMessage, StatusUpdateAcknowledgementMessage,
    StatusUpdateMessage,
};
use protos::mesos::{self, TaskState};
use protos::resources::Resources;
use protos::status;

use super::actors::{Executor, Fake, Last, Log, Master, Uuids, address, pid};

const LIMIT: Duration = Duration::from_secs(200);

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) master: Handle<Master>,
    pub(crate) executor: Handle<Executor>,
    pub(crate) slave: Node,
    /// The slave that was started last.
    pub(crate) handle: Arc<Mutex<Option<Handle<slave::Slave>>>>,
    pub(crate) fake: Arc<Fake>,
    /// What the master heard.
    pub(crate) told: Log,
    pub(crate) last: Arc<Mutex<Last>>,
    /// What the executor heard.
    pub(crate) heard: Log,
    pub(crate) exits: Log,
    /// Names of updates that the master was told, with their tasks.
    pub(crate) uuids: Uuids,
}

impl Stage {
    pub(crate) fn new(refuses: bool) -> Self {
        Self::with(refuses, |config| config)
    }

    /// A stage whose slave is told other things.
    pub(crate) fn with(
        refuses: bool,
        change: impl Fn(slave::Config) -> slave::Config + 'static,
    ) -> Self {
        let mut world = World::new(7);
        let (told, heard, exits) = (Log::default(), Log::default(), Log::default());
        let node = world.node(address(1), NodeConfig::default());
        let last = Arc::<Mutex<Last>>::default();
        let uuids = Arc::default();
        let master = Master {
            log: told.clone(),
            slave: Pid::empty(),
            last: last.clone(),
            uuids: Arc::clone(&uuids),
        };
        let master = node.spawn("master", master).unwrap();
        let node = world.node(address(3), NodeConfig::default());
        let executor = node.spawn("executor(1)", Executor(heard.clone())).unwrap();
        let fake = Arc::new(Fake { refuses, ..Fake::default() });
        let slave = world.node(address(2), slave::node_config(NodeConfig::default().log));
        let (containerizer, ends) = (fake.clone(), exits.clone());
        let handle = Arc::new(Mutex::new(None));
        let slot = handle.clone();
        world.on_start(&slave, move |node| {
            let ends = ends.clone();
            let config = slave::Config {
                work_dir: "/w".into(),
                resources: "cpus:4;mem:1024".parse().unwrap(),
                switch_user: false,
                on_exit: Arc::new(move |_, reason| ends.lock().unwrap().push(reason)),
                ..slave::Config::default()
            };
            let config = change(config);
            let detector = StandaloneDetector::new(Some(Leader::of(pid("master", 1))));
            let started = slave::start(node, config, containerizer.clone(), Arc::new(detector));
            *slot.lock().unwrap() = Some(started);
        });
        let mut stage =
            Self { world, master, executor, slave, handle, fake, told, last, heard, exits, uuids };
        stage.told("register");
        stage.world.settle();
        stage
    }

    pub(crate) fn wait(&mut self, log: &Log, entry: &str) {
        let found = |_: &mut World| log.lock().unwrap().iter().any(|found| found == entry);
        let waited = self.world.run_until(LIMIT, found);
        assert!(waited.is_ok(), "no '{entry}' in {:?}", log.lock().unwrap());
    }

    pub(crate) fn told(&mut self, entry: &str) {
        self.wait(&self.told.clone(), entry);
    }

    pub(crate) fn heard(&mut self, entry: &str) {
        self.wait(&self.heard.clone(), entry);
    }

    pub(crate) fn count(&self, entry: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|found| *found == entry).count()
    }

    pub(crate) fn order<M: Message + Name + 'static>(&mut self, message: M) {
        self.master.tell(move |master, cx| cx.send(&master.slave, &message));
        self.world.settle();
    }

    pub(crate) fn say<M: Message + Name + 'static>(&mut self, message: M) {
        self.executor.tell(move |_, cx| cx.send(&pid("slave(1)", 2), &message));
        self.world.settle();
    }

    pub(crate) fn run_task(&mut self, task: &str, checkpoint: bool) {
        self.run(task_info(task), checkpoint);
    }

    pub(crate) fn run(&mut self, task: mesos::TaskInfo, checkpoint: bool) {
        self.order(RunTaskMessage {
            framework: mesos::FrameworkInfo {
                id: Some(FrameworkId::new("F").wire()),
                user: "www".to_owned(),
                checkpoint: Some(checkpoint),
                ..Default::default()
            },
            pid: Some("scheduler@10.0.0.9:9".to_owned()),
            task,
            ..Default::default()
        });
    }

    /// A task runs to its end, and its executor with it.
    pub(crate) fn run_to_the_end(&mut self, task: &str) {
        self.heard.lock().unwrap().clear();
        self.run_task(task, false);
        self.register_executor();
        self.heard(&format!("run {task}"));
        self.report(task, TaskState::TaskFinished, 1);
        self.told(&format!("{task} TASK_FINISHED TaskFinished -"));
        self.acknowledge(task, 1);
        self.fake.end_all(&Default::default());
        self.world.settle();
    }

    pub(crate) fn register_executor(&mut self) {
        self.say(RegisterExecutorMessage {
            framework_id: FrameworkId::new("F").wire(),
            executor_id: ExecutorId::new("e").wire(),
        });
        self.heard("registered");
    }

    pub(crate) fn report(&mut self, task: &str, state: TaskState, uuid: u8) {
        let update = status::of(&TaskId::new(task), state, 1.0).uuid([uuid; 16]);
        let update = update.update(&FrameworkId::new("F"));
        self.say(StatusUpdateMessage { update, pid: None });
    }

    pub(crate) fn acknowledge(&mut self, task: &str, uuid: u8) {
        self.acknowledge_with(task, vec![uuid; 16].into());
    }

    pub(crate) fn acknowledge_with(&mut self, task: &str, uuid: bytes::Bytes) {
        self.order(StatusUpdateAcknowledgementMessage {
            slave_id: SlaveId::new("S0").wire(),
            framework_id: FrameworkId::new("F").wire(),
            task_id: TaskId::new(task).wire(),
            uuid,
        });
    }

    /// The slave's life ends and another begins on the same disk.
    pub(crate) fn restart(&mut self) {
        let slave = self.slave.clone();
        self.world.crash(&slave);
        self.slave = self.world.restart(&slave).unwrap();
    }

    /// The executor's process is written down, as a containerizer does.
    pub(crate) fn forked(&mut self) {
        let path = self.fake.pid_checkpoint.lock().unwrap().clone().unwrap();
        let slave = self.slave.clone();
        assert!(self.world.put_file(&slave, path, b"4242"));
    }

    /// Removes something from the slave's disk, while it lives.
    pub(crate) fn remove(&mut self, path: &str) {
        let (path, slave) = (std::path::PathBuf::from(path), self.handle.lock().unwrap().clone());
        slave.unwrap().tell(move |_, cx| drop(cx.disk().remove(&path)));
        self.world.settle();
    }

    pub(crate) fn state(&mut self) -> serde_json::Value {
        let response = self.world.http(&self.slave, "GET", "/slave(1)/state");
        serde_json::from_slice(&response.bytes()).unwrap()
    }

    pub(crate) fn status(&mut self, method: &str, path: &str) -> u16 {
        self.world.http(&self.slave, method, path).status
    }
}

/// A task of the executor `e`.
pub(crate) fn task_info(task: &str) -> mesos::TaskInfo {
    mesos::TaskInfo {
        task_id: TaskId::new(task).wire(),
        slave_id: SlaveId::new("S0").wire(),
        resources: "cpus:1;mem:64".parse::<Resources>().unwrap().to_wire(),
        executor: Some(Box::new(mesos::ExecutorInfo {
            executor_id: ExecutorId::new("e").wire(),
            command: Some(mesos::CommandInfo::default()),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// A persistent volume of the role `web`, seen as `data`.
pub(crate) fn volume() -> mesos::Resource {
    use mesos::resource::disk_info::Persistence;
    use mesos::resource::{DiskInfo, ReservationInfo, reservation_info};
    let mut resource = "disk:64".parse::<Resources>().unwrap().to_wire().remove(0);
    resource.role = None;
    resource.reservations = vec![ReservationInfo {
        role: Some("web".to_owned()),
        r#type: Some(reservation_info::Type::Dynamic.into()),
        ..Default::default()
    }];
    resource.disk = Some(Box::new(DiskInfo {
        persistence: Some(Persistence { id: "v".to_owned(), principal: None }),
        volume: Some(mesos::Volume {
            container_path: "data".to_owned(),
            mode: mesos::volume::Mode::Rw.into(),
            ..Default::default()
        }),
        ..Default::default()
    }));
    resource
}
