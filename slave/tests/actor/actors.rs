//! Who a slave has to do with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, ready};
use isolators::Allocation;
use libprocess::{Ctx, Pid, Process, Routes};
use protos::ids::{ContainerId, FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{
    ExecutorRegisteredMessage, ExecutorReregisteredMessage, ExitedExecutorMessage,
    PongSlaveMessage, ReconcileTasksMessage, ReconnectExecutorMessage, RegisterSlaveMessage,
    ReregisterSlaveMessage, RunTaskMessage, ShutdownExecutorMessage, SlaveRegisteredMessage,
    SlaveReregisteredMessage, StatusUpdate, StatusUpdateAcknowledgementMessage,
    StatusUpdateMessage, UnregisterSlaveMessage, UpdateSlaveMessage,
};
use protos::mesos::{self, TaskState};
use protos::resources::Resources;
use protos::status;
use slave::containerizer::{
    ContainerConfig, ContainerError, ContainerFuture, Containerizer, RecoveredContainer,
    Termination,
};

pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// Updates that came, each as its task and its uuid.
pub(crate) type Uuids = Arc<Mutex<BTreeSet<(String, Vec<u8>)>>>;

/// What a master was last told, whole.
#[derive(Default)]
pub(crate) struct Last {
    pub(crate) reregistered: Option<ReregisterSlaveMessage>,
    pub(crate) update: Option<StatusUpdate>,
}

pub(crate) fn address(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 5050)
}

pub(crate) fn pid(id: &str, last: u8) -> Pid {
    Pid::new(id, address(last))
}

/// Starts nothing; containers end when they are destroyed, or when the test says so.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) log: Log,
    pub(crate) running: Mutex<BTreeMap<ContainerId, Vec<oneshot::Sender<Termination>>>>,
    pub(crate) refuses: bool,
    /// Where the last container's process is to be written down.
    pub(crate) pid_checkpoint: Mutex<Option<PathBuf>>,
}

impl Fake {
    pub(crate) fn end_all(&self, termination: &Termination) {
        for waiting in std::mem::take(&mut *self.running.lock().unwrap()).into_values().flatten() {
            let _ = waiting.send(termination.clone());
        }
    }
}

impl Containerizer for Fake {
    fn launch(&self, id: &ContainerId, config: ContainerConfig) -> ContainerFuture<()> {
        let env = &config.environment;
        let text = format!("launch {} {}", env["MESOS_EXECUTOR_ID"], config.allocation.resources);
        self.log.lock().unwrap().push(text);
        *self.pid_checkpoint.lock().unwrap() = config.pid_checkpoint.clone();
        if self.refuses {
            let reason = "no room".to_owned();
            return ready(Err(ContainerError::Launch { id: id.clone(), reason })).boxed();
        }
        self.running.lock().unwrap().insert(id.clone(), Vec::new());
        ready(Ok(())).boxed()
    }
    fn update(&self, _: &ContainerId, allocation: Allocation) -> ContainerFuture<()> {
        let resources = allocation.resources;
        self.log.lock().unwrap().push(format!("update {resources}"));
        ready(Ok(())).boxed()
    }
    fn usage(&self, id: &ContainerId) -> ContainerFuture<mesos::ResourceStatistics> {
        ready(Err(ContainerError::Unknown(id.clone()))).boxed()
    }
    fn status(&self, id: &ContainerId) -> ContainerFuture<mesos::ContainerStatus> {
        ready(Err(ContainerError::Unknown(id.clone()))).boxed()
    }
    fn wait(&self, id: &ContainerId) -> BoxFuture<'static, Option<Termination>> {
        let (sender, receiver) = oneshot::channel();
        if let Some(waiting) = self.running.lock().unwrap().get_mut(id) {
            waiting.push(sender);
        }
        receiver.map(Result::ok).boxed()
    }
    fn destroy(&self, id: &ContainerId) -> ContainerFuture<()> {
        self.log.lock().unwrap().push("destroy".to_owned());
        for waiting in self.running.lock().unwrap().remove(id).into_iter().flatten() {
            let _ = waiting.send(Termination::default());
        }
        ready(Ok(())).boxed()
    }
    fn recover(&self, known: Vec<RecoveredContainer>) -> ContainerFuture<()> {
        let mut running = self.running.lock().unwrap();
        running.retain(|id, _| known.iter().any(|container| container.id == *id));
        self.log.lock().unwrap().push(format!("recover {}", known.len()));
        ready(Ok(())).boxed()
    }
}

/// Lets slaves in and logs what they say.
pub(crate) struct Master {
    pub(crate) log: Log,
    pub(crate) slave: Pid,
    pub(crate) last: Arc<Mutex<Last>>,
    /// Names of updates, with their tasks.
    pub(crate) uuids: Uuids,
}

impl Process for Master {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::register).on(Self::reregister).on(Self::update).on(Self::exited).on(Self::pong);
        r.on(Self::unregister).on(Self::update_slave);
    }
}

impl Master {
    fn note(&self, text: impl Into<String>) {
        self.log.lock().unwrap().push(text.into());
    }
    fn register(&mut self, _: RegisterSlaveMessage, cx: &mut Ctx<Self>) {
        self.note("register");
        self.slave = cx.from().clone();
        let slave_id = SlaveId::new("S0").wire();
        cx.reply(&SlaveRegisteredMessage { slave_id, connection: None });
    }
    fn reregister(&mut self, m: ReregisterSlaveMessage, cx: &mut Ctx<Self>) {
        let tasks: Vec<_> = m.tasks.iter().map(|task| task.task_id.value.as_str()).collect();
        self.note(format!("reregister {} {tasks:?}", m.slave.id.as_ref().unwrap().value));
        self.slave = cx.from().clone();
        self.last.lock().unwrap().reregistered = Some(m.clone());
        let asked = status::of(&TaskId::new("ghost"), TaskState::TaskRunning, 0.0).build();
        let reconciliation = ReconcileTasksMessage {
            framework_id: FrameworkId::new("F").wire(),
            statuses: vec![asked],
            framework: None,
        };
        cx.reply(&SlaveReregisteredMessage {
            slave_id: m.slave.id.unwrap(),
            reconciliations: vec![reconciliation],
            connection: None,
        });
    }
    fn update(&mut self, m: StatusUpdateMessage, _: &mut Ctx<Self>) {
        let (update, latest) = (&m.update, m.update.latest_state());
        let state = update.status.state().as_str_name();
        let task = &update.status.task_id.value;
        let uuid = update.uuid.clone().unwrap_or_default().to_vec();
        self.uuids.lock().unwrap().insert((task.clone(), uuid));
        let reason = update.status.reason.map(|_| update.status.reason().as_str_name());
        self.note(format!("{task} {state} {latest:?} {}", reason.unwrap_or("-")));
        self.last.lock().unwrap().update = Some(m.update);
    }
    fn exited(&mut self, m: ExitedExecutorMessage, _: &mut Ctx<Self>) {
        self.note(format!("exited {} {}", m.executor_id.value, m.status));
    }
    fn unregister(&mut self, m: UnregisterSlaveMessage, _: &mut Ctx<Self>) {
        self.note(format!("unregister {}", m.slave_id.value));
    }
    fn update_slave(&mut self, m: UpdateSlaveMessage, _: &mut Ctx<Self>) {
        if m.update_oversubscribed_resources() {
            let all = Resources::from_wire(&m.oversubscribed_resources).unwrap();
            self.note(format!("oversubscribed {}", all.revocable().cpus()));
        }
    }
    fn pong(&mut self, _: PongSlaveMessage, _: &mut Ctx<Self>) {
        self.note("pong");
    }
}

/// Speaks as it is told and logs what it hears.
pub(crate) struct Executor(pub(crate) Log);

impl Process for Executor {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::registered).on(Self::run).on(Self::acknowledged).on(Self::shutdown);
        r.on(Self::reconnect).on(Self::reregistered);
    }
}

impl Executor {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }
    fn registered(&mut self, _: ExecutorRegisteredMessage, _: &mut Ctx<Self>) {
        self.note("registered");
    }
    fn reconnect(&mut self, _: ReconnectExecutorMessage, _: &mut Ctx<Self>) {
        self.note("reconnect");
    }
    fn reregistered(&mut self, _: ExecutorReregisteredMessage, _: &mut Ctx<Self>) {
        self.note("reregistered");
    }
    fn run(&mut self, m: RunTaskMessage, _: &mut Ctx<Self>) {
        self.note(format!("run {}", m.task.task_id.value));
    }
    fn acknowledged(&mut self, m: StatusUpdateAcknowledgementMessage, _: &mut Ctx<Self>) {
        self.note(format!("acknowledged {}", m.uuid[0]));
    }
    fn shutdown(&mut self, _: ShutdownExecutorMessage, _: &mut Ctx<Self>) {
        self.note("shutdown");
    }
}
