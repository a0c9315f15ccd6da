//! A slave whose tasks run as soon as they are launched, and end as soon as that is acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::{Ctx, Pid, Process, Routes};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{
    KillTaskMessage, PingSlaveMessage, PongSlaveMessage, RegisterSlaveMessage,
    ReregisterSlaveMessage, RunTaskMessage, SlaveRegisteredMessage, SlaveReregisteredMessage,
    StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::mesos::slave_info::{Capability, capability};
use protos::mesos::task_status::Source;
use protos::mesos::{FrameworkInfo, SlaveInfo, Task, TaskState};
use protos::resources::Resources;
use protos::status;

use super::Board;

/// Wait after the connection to the master broke.
const RECONNECT: Duration = Duration::from_millis(20);

/// How slaves behave.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Tasks go on for ever.
    pub lasting: bool,
    /// Wait before a registration that was not answered is repeated.
    pub retry: Duration,
}

impl Habits {
    /// Tasks end at once.
    pub const SHORT: Self = Self { lasting: false, retry: Duration::from_secs(5) };
    /// Tasks go on for ever.
    pub const LASTING: Self = Self { lasting: true, ..Self::SHORT };
}

/// The slave.
pub struct Slave {
    master: Pid,
    info: SlaveInfo,
    habits: Habits,
    tasks: BTreeMap<(String, String), Task>,
    frameworks: BTreeMap<String, FrameworkInfo>,
    board: Board,
    updates: u64,
    connected: bool,
}

/// What a slave tells of itself.
pub fn slave_info(number: usize, resources: &Resources) -> SlaveInfo {
    SlaveInfo {
        hostname: format!("host-{number}.example.org"),
        port: Some(5051),
        resources: resources.to_wire(),
        checkpoint: Some(true),
        ..SlaveInfo::default()
    }
}

/// A task that runs already.
pub fn task(id: &TaskId, framework: &FrameworkId, slave: &SlaveId, resources: &Resources) -> Task {
    Task {
        name: id.to_string(),
        task_id: id.wire(),
        framework_id: framework.wire(),
        slave_id: slave.wire(),
        state: TaskState::TaskRunning.into(),
        resources: resources.to_wire(),
        status_update_state: Some(TaskState::TaskRunning.into()),
        user: Some("nobody".to_owned()),
        ..Task::default()
    }
}

impl Slave {
    /// A slave that registers when it starts.
    pub fn new(master: Pid, info: SlaveInfo, habits: Habits, board: Board) -> Self {
        let (tasks, frameworks) = (BTreeMap::new(), BTreeMap::new());
        Self { master, info, habits, tasks, frameworks, board, updates: 0, connected: false }
    }

    /// A slave that has an id and runs tasks already.
    #[must_use]
    pub fn running(mut self, id: &SlaveId, tasks: Vec<Task>, of: &FrameworkInfo) -> Self {
        self.info.id = Some(id.wire());
        let key = |task: &Task| (task.framework_id.value.clone(), task.task_id.value.clone());
        self.tasks = tasks.into_iter().map(|task| (key(&task), task)).collect();
        let framework = of.id.clone().unwrap_or_default().value;
        self.frameworks = BTreeMap::from([(framework, of.clone())]);
        self
    }

    /// Asks the master to be let in, again and again until it is.
    pub fn register(&mut self, cx: &mut Ctx<Self>) {
        if self.connected {
            return;
        }
        cx.link(&self.master);
        let (slave, version) = (self.info.clone(), Some("1.11.0".to_owned()));
        let kinds = [capability::Type::MultiRole, capability::Type::ReservationRefinement];
        let agent_capabilities =
            kinds.map(|kind| Capability { r#type: Some(kind.into()) }).to_vec();
        if slave.id.is_none() {
            let message =
                RegisterSlaveMessage { slave, version, agent_capabilities, ..Default::default() };
            cx.send(&self.master, &message);
        } else {
            let message = ReregisterSlaveMessage {
                slave,
                version,
                agent_capabilities,
                tasks: self.tasks.values().cloned().collect(),
                frameworks: self.frameworks.values().cloned().collect(),
                ..Default::default()
            };
            cx.send(&self.master, &message);
        }
        cx.after(self.habits.retry, Self::register);
    }

    fn registered(&mut self, m: SlaveRegisteredMessage, _: &mut Ctx<Self>) {
        if !std::mem::replace(&mut self.connected, true) {
            self.info.id = Some(m.slave_id);
            self.board.add(|counts| &counts.registered);
        }
    }

    fn reregistered(&mut self, _: SlaveReregisteredMessage, _: &mut Ctx<Self>) {
        if !std::mem::replace(&mut self.connected, true) {
            self.board.add(|counts| &counts.returned);
        }
    }

    fn ping(&mut self, _: PingSlaveMessage, cx: &mut Ctx<Self>) {
        cx.reply(&PongSlaveMessage {});
    }

    fn run_task(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        let Some(framework) = m.framework.id.clone() else { return };
        let key = (framework.value.clone(), m.task.task_id.value.clone());
        self.frameworks.entry(framework.value.clone()).or_insert(m.framework);
        let task = Task {
            name: m.task.name,
            task_id: m.task.task_id,
            framework_id: framework,
            slave_id: m.task.slave_id,
            resources: m.task.resources,
            ..Task::default()
        };
        self.tasks.insert(key.clone(), task);
        self.update(&key, TaskState::TaskRunning, cx);
    }

    fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        self.update(&(m.framework_id.value, m.task_id.value), TaskState::TaskKilled, cx);
    }

    fn update(&mut self, key: &(String, String), state: TaskState, cx: &mut Ctx<Self>) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.set_state(state);
        self.updates += 1;
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&self.updates.to_le_bytes());
        let update = status::of(&TaskId::from(&task.task_id), state, cx.now().as_secs_f64())
            .source(Source::Executor)
            .slave(&SlaveId::from(&task.slave_id))
            .uuid(uuid)
            .update(&FrameworkId::from(&task.framework_id));
        task.status_update_state = Some(state.into());
        task.status_update_uuid = update.uuid.clone();
        let message = StatusUpdateMessage { update, pid: Some(cx.pid().to_string()) };
        cx.send(&self.master, &message);
    }

    fn acknowledged(&mut self, m: StatusUpdateAcknowledgementMessage, cx: &mut Ctx<Self>) {
        let key = (m.framework_id.value, m.task_id.value);
        let Some(task) = self.tasks.get(&key) else { return };
        if task.state() != TaskState::TaskRunning {
            self.tasks.remove(&key);
            self.board.add(|counts| &counts.ended);
        } else if !self.habits.lasting {
            self.update(&key, TaskState::TaskFinished, cx);
        }
    }
}

impl Process for Slave {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .on(Self::registered)
            .on(Self::reregistered)
            .on(Self::ping)
            .on(Self::run_task)
            .on(Self::kill_task)
            .on(Self::acknowledged)
            // What else a master says does not concern a slave that runs nothing.
            .otherwise(|_, _, _| {});
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.register(cx);
    }

    fn exited(&mut self, _: &Pid, cx: &mut Ctx<Self>) {
        self.connected = false;
        cx.after(RECONNECT, Self::register);
    }
}
