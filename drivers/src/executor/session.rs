//! What the executor driver decides. No I/O happens here; decisions are [`Effect`]s.

use indexmap::IndexMap;
use libprocess::{Pid, Uuid};
use protos::ids::{SlaveId, TaskId};
use protos::mesos::internal::{
    ExecutorRegisteredMessage, ExecutorToFrameworkMessage, RegisterExecutorMessage,
    ReregisterExecutorMessage, StatusUpdateMessage,
};
use protos::mesos::task_status::Source;
use protos::mesos::{
    ExecutorInfo, FrameworkInfo, KillPolicy, SlaveInfo, TaskInfo, TaskState, TaskStatus,
};

use super::environment::Environment;

/// What the executor is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    Registered(Box<(ExecutorInfo, FrameworkInfo, SlaveInfo)>),
    Reregistered(SlaveInfo),
    Disconnected,
    Launch(Box<TaskInfo>),
    Kill(TaskId, Option<KillPolicy>),
    Message(bytes::Bytes),
    Shutdown,
    Error(String),
}

/// What the driver's actor must do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    Link(Pid),
    Register(Pid, RegisterExecutorMessage),
    Reregister(Pid, ReregisterExecutorMessage),
    Update(Pid, Box<StatusUpdateMessage>),
    Message(Pid, ExecutorToFrameworkMessage),
    Tell(Event),
    /// Shut down unless the slave is back by then; the number is handed back.
    AwaitSlave(u64),
    /// Kill the own process group after the grace period.
    KillGroupLater,
    /// No more callbacks.
    Abort,
    /// A line for the log.
    Note(String),
}

/// An executor's relation to its slave.
#[derive(Debug)]
pub(super) struct Session {
    place: Environment,
    me: Pid,
    connected: bool,
    /// Counts connections, to tell whether the slave came back in the meantime.
    connection: u64,
    /// Nothing is sent any more, nothing taken.
    aborted: bool,
    /// Nothing is taken any more: the executor was shut down.
    deaf: bool,
    /// Tasks of which no update was acknowledged yet.
    tasks: IndexMap<TaskId, TaskInfo>,
    /// Updates that were not acknowledged yet, oldest first.
    updates: IndexMap<bytes::Bytes, protos::mesos::internal::StatusUpdate>,
}

impl Session {
    pub(super) fn new(place: Environment) -> Self {
        Self {
            place,
            me: Pid::empty(),
            connected: false,
            connection: 0,
            aborted: false,
            deaf: false,
            tasks: IndexMap::new(),
            updates: IndexMap::new(),
        }
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.aborted
    }

    fn is_deaf(&self) -> bool {
        self.deaf || self.aborted
    }

    pub(super) fn place(&self) -> &Environment {
        &self.place
    }

    /// The driver runs under the PID `me`.
    pub(super) fn start(&mut self, me: Pid) -> Vec<Effect> {
        self.me = me;
        let message = RegisterExecutorMessage {
            framework_id: self.place.framework.wire(),
            executor_id: self.place.executor.wire(),
        };
        vec![
            Effect::Link(self.place.slave_pid.clone()),
            Effect::Register(self.place.slave_pid.clone(), message),
        ]
    }

    /// `ExecutorRegisteredMessage`.
    pub(super) fn registered(&mut self, m: ExecutorRegisteredMessage) -> Vec<Effect> {
        if self.is_deaf() {
            return Vec::new();
        }
        self.connect();
        let about = (m.executor_info, m.framework_info, m.slave_info);
        vec![Effect::Tell(Event::Registered(Box::new(about)))]
    }

    /// `ExecutorReregisteredMessage`.
    pub(super) fn reregistered(&mut self, slave: &SlaveId, info: SlaveInfo) -> Vec<Effect> {
        if self.is_deaf() {
            return Vec::new();
        }
        if *slave != self.place.slave {
            let text = format!("re-registration with {slave} ignored: not the slave's id");
            return vec![Effect::Note(text)];
        }
        self.connect();
        vec![Effect::Tell(Event::Reregistered(info))]
    }

    fn connect(&mut self) {
        self.connected = true;
        self.connection += 1;
    }

    /// `ReconnectExecutorMessage`: the slave restarted, perhaps under another PID.
    pub(super) fn reconnect(&mut self, from: &Pid, slave: &SlaveId) -> Vec<Effect> {
        if self.is_deaf() {
            return Vec::new();
        }
        if *slave != self.place.slave {
            return vec![Effect::Note(format!("reconnect to {slave} ignored: not the slave's id"))];
        }
        self.place.slave_pid = from.clone();
        let message = ReregisterExecutorMessage {
            executor_id: self.place.executor.wire(),
            framework_id: self.place.framework.wire(),
            tasks: self.tasks.values().cloned().collect(),
            updates: self.updates.values().cloned().collect(),
        };
        vec![Effect::Link(from.clone()), Effect::Reregister(from.clone(), message)]
    }

    /// `RunTaskMessage`.
    pub(super) fn run(&mut self, task: TaskInfo) -> Vec<Effect> {
        if self.is_deaf() {
            return Vec::new();
        }
        self.tasks.insert(TaskId::from(&task.task_id), task.clone());
        vec![Effect::Tell(Event::Launch(Box::new(task)))]
    }

    /// `KillTaskMessage`.
    pub(super) fn kill(&self, task: TaskId, policy: Option<KillPolicy>) -> Vec<Effect> {
        self.unless_deaf(Event::Kill(task, policy))
    }

    /// `FrameworkToExecutorMessage`.
    pub(super) fn message(&self, data: bytes::Bytes) -> Vec<Effect> {
        self.unless_deaf(Event::Message(data))
    }

    fn unless_deaf(&self, event: Event) -> Vec<Effect> {
        if self.is_deaf() { Vec::new() } else { vec![Effect::Tell(event)] }
    }

    /// `StatusUpdateAcknowledgementMessage`: the slave has stored the update.
    pub(super) fn acknowledged(&mut self, task: &TaskId, uuid: &bytes::Bytes) {
        if !self.is_deaf() {
            self.updates.shift_remove(uuid);
            self.tasks.shift_remove(task);
        }
    }

    /// `ShutdownExecutorMessage`, or the slave is gone for good.
    pub(super) fn shutdown(&mut self) -> Vec<Effect> {
        if self.is_deaf() {
            return Vec::new();
        }
        self.deaf = true;
        let mut effects = Vec::new();
        if !self.place.local {
            effects.push(Effect::KillGroupLater);
        }
        effects.push(Effect::Tell(Event::Shutdown));
        effects
    }

    /// The link to a process broke. With checkpointing the slave may come back.
    pub(super) fn exited(&mut self, pid: &Pid) -> Vec<Effect> {
        if self.is_deaf() || *pid != self.place.slave_pid {
            return Vec::new();
        }
        if self.place.checkpoint && self.connected {
            self.connected = false;
            return vec![Effect::Tell(Event::Disconnected), Effect::AwaitSlave(self.connection)];
        }
        if self.place.checkpoint && self.connection > 0 {
            // The slave went again while it was coming back: the timer of the first time counts.
            return Vec::new();
        }
        let mut effects = vec![Effect::Note(format!("slave {pid} exited: shutting down"))];
        effects.extend(self.shutdown());
        effects
    }

    /// The recovery timeout of a broken connection is over.
    pub(super) fn waited(&mut self, connection: u64) -> Vec<Effect> {
        if self.connected || self.connection != connection {
            return Vec::new();
        }
        let mut effects = vec![Effect::Note("slave did not come back: shutting down".to_owned())];
        effects.extend(self.shutdown());
        effects
    }

    /// Sends an update and keeps it until the slave has stored it.
    pub(super) fn update(&mut self, mut status: TaskStatus, uuid: Uuid, now: f64) -> Vec<Effect> {
        if self.aborted {
            return Vec::new();
        }
        if status.state() == TaskState::TaskStaging {
            let text = "executors must not send TASK_STAGING".to_owned();
            self.aborted = true;
            return vec![Effect::Tell(Event::Error(text)), Effect::Abort];
        }
        let uuid = bytes::Bytes::copy_from_slice(uuid.as_bytes());
        status.uuid = Some(uuid.clone());
        status.timestamp = Some(now);
        status.source = Some(Source::Executor.into());
        status.slave_id = Some(self.place.slave.wire());
        status.executor_id = Some(self.place.executor.wire());
        let update = protos::mesos::internal::StatusUpdate {
            framework_id: self.place.framework.wire(),
            executor_id: status.executor_id.clone(),
            slave_id: status.slave_id.clone(),
            status,
            timestamp: now,
            uuid: Some(uuid.clone()),
            latest_state: None,
        };
        self.updates.insert(uuid, update.clone());
        let message = StatusUpdateMessage { update, pid: Some(self.me.to_string()) };
        vec![Effect::Update(self.place.slave_pid.clone(), Box::new(message))]
    }

    /// Bytes for the scheduler.
    pub(super) fn to_framework(&self, data: bytes::Bytes) -> Vec<Effect> {
        if self.aborted {
            return Vec::new();
        }
        let message = ExecutorToFrameworkMessage {
            slave_id: self.place.slave.wire(),
            framework_id: self.place.framework.wire(),
            executor_id: self.place.executor.wire(),
            data,
        };
        vec![Effect::Message(self.place.slave_pid.clone(), message)]
    }

    /// Ends callbacks.
    pub(super) fn abort(&mut self) -> Vec<Effect> {
        self.aborted = true;
        vec![Effect::Abort]
    }
}

#[cfg(test)]
mod tests;
