//! The programs that the slave starts: command executors as they are, and one of a framework's own.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libprocess::sim::{SpawnedProgram, World};
use libprocess::subprocess::ExitStatus;
use libprocess::{Ctx, Pid, Process, Routes};
use protos::ids::TaskId;
use protos::mesos::internal::{
    ExecutorRegisteredMessage, ExecutorReregisteredMessage, ReconnectExecutorMessage,
    RegisterExecutorMessage, ReregisterExecutorMessage, RunTaskMessage, ShutdownExecutorMessage,
    StatusUpdate, StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::mesos::{self, TaskState};
use protos::status;
use slave::executor::{CommandExecutor, Settings};

/// Between two attempts to register.
const AGAIN: Duration = Duration::from_secs(1);
/// An executor puts up with a slave that is gone for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the executors tell the test.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Where executors are, and whose and which they are.
    pub(crate) places: Vec<(SocketAddrV4, String, String)>,
    /// Tasks that reached an executor of a framework's own.
    pub(crate) reached: Vec<(String, String)>,
}

pub(crate) type Shared = Arc<Mutex<Notes>>;

/// Says what stands in for programs; each task takes so long.
pub(crate) fn programs(world: &mut World, takes: Duration, notes: &Shared) {
    let noted = notes.clone();
    world.program("mesos-executor", move |program| {
        let settings = settings(&program, &noted);
        let node = program.node().clone();
        let executor = node.spawn_numbered("executor", CommandExecutor::new(settings));
        program.run(async move {
            node.wait(executor.pid()).await;
            ExitStatus::exited(0)
        });
    });
    world.program("sh", move |program| {
        let pause = program.node().sleep(takes);
        program.run(async move {
            pause.await;
            ExitStatus::exited(0)
        });
    });
    let noted = notes.clone();
    world.program("custom-executor", move |program| {
        let settings = settings(&program, &noted);
        let node = program.node().clone();
        let custom = Custom {
            slave: settings.slave.clone(),
            settings,
            takes,
            program,
            notes: noted.clone(),
            slave_id: None,
            gone: 0,
            tasks: BTreeMap::new(),
            unacknowledged: Vec::new(),
        };
        node.spawn_numbered("executor", custom);
    });
}

fn settings(program: &SpawnedProgram, notes: &Shared) -> Settings {
    let settings = Settings::read(program.command().env.clone()).unwrap();
    let place =
        (program.node().address(), settings.framework.to_string(), settings.executor.to_string());
    notes.lock().unwrap().places.push(place);
    settings
}

/// Runs any number of tasks.
struct Custom {
    settings: Settings,
    takes: Duration,
    program: SpawnedProgram,
    notes: Shared,
    slave: Pid,
    slave_id: Option<mesos::SlaveId>,
    /// How often the slave went.
    gone: usize,
    /// Those that the slave has acknowledged no update of.
    tasks: BTreeMap<TaskId, mesos::TaskInfo>,
    unacknowledged: Vec<StatusUpdate>,
}

impl Process for Custom {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::registered).on(Self::reconnect).on(Self::reregistered).on(Self::run);
        r.on(Self::acknowledged).on(Self::shutdown);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.register(cx);
    }

    fn exited(&mut self, _: &Pid, cx: &mut Ctx<Self>) {
        self.gone += 1;
        let gone = self.gone;
        cx.after(PATIENCE, move |executor, _| {
            if executor.gone == gone {
                executor.program.exit(ExitStatus::exited(1));
            }
        });
    }
}

impl Custom {
    fn register(&mut self, cx: &mut Ctx<Self>) {
        if self.slave_id.is_some() {
            return;
        }
        cx.link(&self.slave);
        let message = RegisterExecutorMessage {
            framework_id: self.settings.framework.wire(),
            executor_id: self.settings.executor.wire(),
        };
        cx.send(&self.slave, &message);
        cx.after(AGAIN, Self::register);
    }

    fn registered(&mut self, m: ExecutorRegisteredMessage, _: &mut Ctx<Self>) {
        self.slave_id = Some(m.slave_id);
    }

    fn reconnect(&mut self, m: ReconnectExecutorMessage, cx: &mut Ctx<Self>) {
        self.slave_id = Some(m.slave_id);
        self.gone += 1;
        self.slave = cx.from().clone();
        cx.link_with(&self.slave, libprocess::LinkMode::Reconnect);
        let message = ReregisterExecutorMessage {
            executor_id: self.settings.executor.wire(),
            framework_id: self.settings.framework.wire(),
            tasks: self.tasks.values().cloned().collect(),
            updates: self.unacknowledged.clone(),
        };
        cx.send(&self.slave, &message);
    }

    fn reregistered(&mut self, _: ExecutorReregisteredMessage, _: &mut Ctx<Self>) {}

    fn run(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        let id = TaskId::from(&m.task.task_id);
        let reached = (self.settings.framework.to_string(), id.to_string());
        self.notes.lock().unwrap().reached.push(reached);
        self.tasks.insert(id.clone(), m.task);
        self.tell(&id, TaskState::TaskStarting, cx);
        self.tell(&id, TaskState::TaskRunning, cx);
        let takes = self.takes;
        cx.after(takes, move |executor, cx| executor.tell(&id, TaskState::TaskFinished, cx));
    }

    fn tell(&mut self, task: &TaskId, state: TaskState, cx: &mut Ctx<Self>) {
        let uuid = cx.uuid().into_bytes();
        let status = status::of(task, state, cx.now().as_secs_f64()).uuid(uuid);
        let mut update = status.update(&self.settings.framework);
        update.slave_id = self.slave_id.clone();
        update.status.slave_id = self.slave_id.clone();
        self.unacknowledged.push(update.clone());
        cx.send(&self.slave, &StatusUpdateMessage { update, pid: None });
    }

    fn acknowledged(&mut self, m: StatusUpdateAcknowledgementMessage, _: &mut Ctx<Self>) {
        self.tasks.remove(&TaskId::from(&m.task_id));
        self.unacknowledged.retain(|update| update.uuid.as_ref() != Some(&m.uuid));
    }

    fn shutdown(&mut self, _: ShutdownExecutorMessage, _: &mut Ctx<Self>) {
        self.program.exit(ExitStatus::exited(0));
    }
}
