//! A slave written apart from the real one: it keeps the protocol and runs tasks as timers, without
//! executors, sandboxes or disk. It tests masters, and real slaves can be compared to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use libprocess::http::{Request, Response};
use libprocess::{Ctx, Handle, Help, Node, Pid, Process, Routes, SpawnError, Timer};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{
    CheckpointResourcesMessage, KillTaskMessage, PingSlaveMessage, PongSlaveMessage,
    RegisterSlaveMessage, ReregisterSlaveMessage, RunTaskMessage, ShutdownFrameworkMessage,
    ShutdownMessage, SlaveRegisteredMessage, SlaveReregisteredMessage, StatusUpdate,
    StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::mesos::slave_info::{Capability, capability};
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{FrameworkInfo, Resource, SlaveInfo, Task, TaskState};
use protos::resources::Resources;

/// Version that the model tells.
const VERSION: &str = "1.11.0";
/// First limit of the wait before a registration is repeated.
const BACKOFF: Duration = Duration::from_secs(1);
/// Last limit of that wait.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A master that does not ping for so long has forgotten this slave.
const PING_TIMEOUT: Duration = Duration::from_secs(75);
/// First wait before an update is sent again.
const UPDATE_RETRY: Duration = Duration::from_secs(10);
/// Last such wait.
const UPDATE_RETRY_MAX: Duration = Duration::from_secs(600);

type Key = (FrameworkId, TaskId);

struct Run {
    task: Task,
    /// Updates without acknowledgement, oldest first; the first is on its way.
    updates: VecDeque<StatusUpdate>,
    retry: Option<Timer>,
    wait: Duration,
}

/// The model's actor.
pub struct ModelSlave {
    master: Pid,
    info: SlaveInfo,
    connected: bool,
    backoff: Duration,
    registering: Option<Timer>,
    watch: Option<Timer>,
    frameworks: BTreeMap<FrameworkId, FrameworkInfo>,
    runs: BTreeMap<Key, Run>,
    /// Reserved resources and volumes, as the master told.
    checkpointed: Vec<Resource>,
}

impl ModelSlave {
    /// Starts `slave(1)` on a node.
    ///
    /// # Errors
    /// When the id is taken.
    pub fn start(
        node: &Node,
        master: Pid,
        resources: &Resources,
    ) -> Result<Handle<Self>, SpawnError> {
        let info = SlaveInfo {
            hostname: node.address().ip().to_string(),
            port: Some(node.address().port().into()),
            resources: resources.to_wire(),
            ..Default::default()
        };
        let slave = Self {
            master,
            info,
            connected: false,
            backoff: BACKOFF,
            registering: None,
            watch: None,
            frameworks: BTreeMap::new(),
            runs: BTreeMap::new(),
            checkpointed: Vec::new(),
        };
        node.spawn("slave(1)", slave)
    }

    fn id(&self) -> SlaveId {
        self.info.id.as_ref().map_or_else(|| SlaveId::new(""), SlaveId::from)
    }

    /// Tasks whose end is not acknowledged yet.
    fn unfinished(&mut self, _: Request, _: &mut Ctx<Self>) -> Response {
        Response::ok("text/plain", self.runs.len().to_string())
    }
}

impl Process for ModelSlave {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .on(Self::registered)
            .on(Self::reregistered)
            .on(Self::ping)
            .on(Self::run_task)
            .on(Self::kill_task)
            .on(Self::acknowledged)
            .on(Self::shutdown_framework)
            .on(Self::checkpoint)
            .on(Self::shutdown)
            .get(
                "/unfinished",
                Help::new("Number of tasks that run or whose end is not acknowledged", ""),
                Self::unfinished,
            );
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.register_soon(BACKOFF, cx);
    }

    fn exited(&mut self, _: &Pid, cx: &mut Ctx<Self>) {
        self.connected = false;
        self.register_soon(BACKOFF, cx);
    }
}

fn capabilities() -> Vec<Capability> {
    use capability::Type::{HierarchicalRole, MultiRole, ReservationRefinement};
    let known = [MultiRole, HierarchicalRole, ReservationRefinement];
    known.into_iter().map(|kind| Capability { r#type: Some(kind.into()) }).collect()
}

/// Membership.
impl ModelSlave {
    fn register_soon(&mut self, limit: Duration, cx: &mut Ctx<Self>) {
        if let Some(timer) = self.registering.take() {
            cx.cancel(&timer);
        }
        self.backoff = limit;
        let wait = cx.random_within(limit);
        self.registering = Some(cx.after(wait, Self::register));
    }

    fn register(&mut self, cx: &mut Ctx<Self>) {
        cx.link(&self.master);
        let (slave, version) = (self.info.clone(), Some(VERSION.to_owned()));
        if slave.id.is_none() {
            let message = RegisterSlaveMessage {
                slave,
                version,
                agent_capabilities: capabilities(),
                ..Default::default()
            };
            cx.send(&self.master, &message);
        } else {
            let message = ReregisterSlaveMessage {
                slave,
                version,
                agent_capabilities: capabilities(),
                tasks: self.runs.values().map(|run| run.task.clone()).collect(),
                frameworks: self.frameworks.values().cloned().collect(),
                checkpointed_resources: self.checkpointed.clone(),
                ..Default::default()
            };
            cx.send(&self.master, &message);
        }
        self.register_soon((self.backoff * 2).min(BACKOFF_MAX), cx);
    }

    fn joined(&mut self, cx: &mut Ctx<Self>) {
        self.connected = true;
        if let Some(timer) = self.registering.take() {
            cx.cancel(&timer);
        }
        self.watch_pings(cx);
        let keys: Vec<Key> = self.runs.keys().cloned().collect();
        for key in keys {
            self.send_first(&key, cx);
        }
    }

    fn checkpoint(&mut self, m: CheckpointResourcesMessage, _: &mut Ctx<Self>) {
        self.checkpointed = m.resources;
    }

    /// Not wanted under its id any more: everything ends, and it comes back as a new slave.
    fn shutdown(&mut self, _: ShutdownMessage, cx: &mut Ctx<Self>) {
        for timer in self.runs.values_mut().filter_map(|run| run.retry.take()) {
            cx.cancel(&timer);
        }
        self.runs.clear();
        self.frameworks.clear();
        self.checkpointed.clear();
        (self.info.id, self.connected) = (None, false);
        self.register_soon(BACKOFF, cx);
    }

    fn watch_pings(&mut self, cx: &mut Ctx<Self>) {
        if let Some(timer) = self.watch.take() {
            cx.cancel(&timer);
        }
        self.watch = Some(cx.after(PING_TIMEOUT, |slave, cx| {
            slave.connected = false;
            slave.register_soon(BACKOFF, cx);
        }));
    }

    fn registered(&mut self, m: SlaveRegisteredMessage, cx: &mut Ctx<Self>) {
        self.info.id = Some(m.slave_id);
        self.joined(cx);
    }

    fn reregistered(&mut self, m: SlaveReregisteredMessage, cx: &mut Ctx<Self>) {
        self.joined(cx);
        for reconciled in m.reconciliations {
            let framework = FrameworkId::from(&reconciled.framework_id);
            for status in reconciled.statuses {
                let key = (framework.clone(), TaskId::from(&status.task_id));
                if !self.runs.contains_key(&key) {
                    self.lost(key, cx);
                }
            }
        }
    }

    fn ping(&mut self, m: PingSlaveMessage, cx: &mut Ctx<Self>) {
        cx.reply(&PongSlaveMessage {});
        self.watch_pings(cx);
        if !m.connected && self.connected {
            self.connected = false;
            self.register_soon(BACKOFF, cx);
        }
    }
}

/// Tasks.
impl ModelSlave {
    fn add(&mut self, key: Key, name: &str, task: Task) {
        let task = Task {
            name: name.to_owned(),
            task_id: key.1.wire(),
            framework_id: key.0.wire(),
            slave_id: self.id().wire(),
            state: TaskState::TaskStaging.into(),
            ..task
        };
        let run = Run { task, updates: VecDeque::new(), retry: None, wait: UPDATE_RETRY };
        self.runs.insert(key, run);
    }

    fn run_task(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        let Some(framework) = m.framework.id.as_ref().map(FrameworkId::from) else {
            return;
        };
        let key = (framework.clone(), TaskId::from(&m.task.task_id));
        // Without an id its updates would be nobody's: the master hears when it asks.
        if self.info.id.is_none() || self.runs.contains_key(&key) {
            return;
        }
        self.frameworks.insert(framework, m.framework);
        let resources = m.task.resources.clone();
        self.add(key.clone(), &m.task.name, Task { resources, ..Default::default() });
        let seconds = m.task.command.as_ref().and_then(|c| c.value().strip_prefix("sleep "));
        let seconds = seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        self.update(&key, TaskState::TaskRunning, None, cx);
        cx.after(Duration::from_secs(seconds), move |slave, cx| {
            slave.update(&key, TaskState::TaskFinished, None, cx);
        });
    }

    fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        let key = (FrameworkId::from(&m.framework_id), TaskId::from(&m.task_id));
        if self.runs.contains_key(&key) {
            self.update(&key, TaskState::TaskKilled, None, cx);
        } else if self.info.id.is_some() {
            self.lost(key, cx);
        }
    }

    /// A task that never arrived, or that is forgotten already.
    fn lost(&mut self, key: Key, cx: &mut Ctx<Self>) {
        self.add(key.clone(), "", Task::default());
        self.update(&key, TaskState::TaskLost, Some(Reason::Reconciliation), cx);
    }

    fn shutdown_framework(&mut self, m: ShutdownFrameworkMessage, cx: &mut Ctx<Self>) {
        let framework = FrameworkId::from(&m.framework_id);
        self.frameworks.remove(&framework);
        self.runs.retain(|(of, _), run| {
            if *of == framework
                && let Some(timer) = run.retry.take()
            {
                cx.cancel(&timer);
            }
            *of != framework
        });
    }

    /// Moves a task on, unless it has ended.
    fn update(&mut self, key: &Key, state: TaskState, reason: Option<Reason>, cx: &mut Ctx<Self>) {
        let slave = self.id();
        let Some(run) = self.runs.get_mut(key) else {
            return;
        };
        if protos::task_state::is_terminal(run.task.state()) {
            return;
        }
        run.task.set_state(state);
        let status = protos::status::of(&key.1, state, cx.now().as_secs_f64())
            .source(if reason.is_some() { Source::Slave } else { Source::Executor })
            .slave(&slave)
            .uuid(*cx.uuid().as_bytes());
        let status = match reason {
            Some(reason) => status.reason(reason),
            None => status,
        };
        run.updates.push_back(status.update(&key.0));
        if run.updates.len() == 1 {
            run.wait = UPDATE_RETRY;
            self.send_first(key, cx);
        }
    }

    /// Sends a task's oldest update, and again until it is acknowledged.
    fn send_first(&mut self, key: &Key, cx: &mut Ctx<Self>) {
        let Some(run) = self.runs.get_mut(key) else {
            return;
        };
        if let Some(timer) = run.retry.take() {
            cx.cancel(&timer);
        }
        let Some(mut update) = run.updates.front().cloned() else {
            return;
        };
        update.latest_state = Some(run.task.state);
        run.task.status_update_state = Some(update.status.state);
        run.task.status_update_uuid = update.uuid.clone();
        let message = StatusUpdateMessage { update, pid: Some(cx.pid().to_string()) };
        cx.send(&self.master, &message);
        let again = key.clone();
        run.retry = Some(cx.after(run.wait, move |slave: &mut Self, cx| {
            slave.send_first(&again, cx);
        }));
        run.wait = (run.wait * 2).min(UPDATE_RETRY_MAX);
    }

    fn acknowledged(&mut self, m: StatusUpdateAcknowledgementMessage, cx: &mut Ctx<Self>) {
        let key = (FrameworkId::from(&m.framework_id), TaskId::from(&m.task_id));
        let Some(run) = self.runs.get_mut(&key) else {
            return;
        };
        let first = run.updates.front().and_then(|update| update.uuid.as_ref());
        if first != Some(&m.uuid) {
            return;
        }
        run.updates.pop_front();
        run.wait = UPDATE_RETRY;
        if !run.updates.is_empty() {
            self.send_first(&key, cx);
        } else {
            if let Some(timer) = run.retry.take() {
                cx.cancel(&timer);
            }
            if protos::task_state::is_terminal(run.task.state()) {
                self.runs.remove(&key);
            }
        }
    }
}
