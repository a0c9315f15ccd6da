//! The executor driver: the side of a framework that runs tasks on a slave.

mod actor;
mod environment;
mod session;

use std::time::Duration;

use libprocess::{Handle, Node, Pid};
use protos::ids::TaskId;
use protos::mesos::{ExecutorInfo, FrameworkInfo, KillPolicy, SlaveInfo, TaskInfo, TaskStatus};

pub use crate::scheduler::Status;
use actor::ExecutorProcess;
pub use environment::{Environment, EnvironmentError};
use session::Session;

/// A framework's executor. Callbacks run one at a time and must not block; the calls they make on
/// `driver` are carried out after the callback has returned.
#[allow(unused_variables, reason = "defaults name what they are given and do nothing with it")]
pub trait Executor: Send + 'static {
    /// The slave knows the executor.
    fn registered(
        &mut self,
        driver: &ExecutorDriver,
        executor: &ExecutorInfo,
        framework: &FrameworkInfo,
        slave: &SlaveInfo,
    ) {
    }
    /// The slave is back after a restart and knows the executor again.
    fn reregistered(&mut self, driver: &ExecutorDriver, slave: &SlaveInfo) {}
    /// The slave is gone and may come back (checkpointing frameworks only).
    fn disconnected(&mut self, driver: &ExecutorDriver) {}
    /// Runs a task; its states are to be reported by [`ExecutorDriver::send_status_update`].
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo);
    /// Ends a task; a policy goes before the task's own.
    fn kill_task(&mut self, driver: &ExecutorDriver, task: &TaskId, policy: Option<&KillPolicy>) {}
    /// The scheduler sent bytes.
    fn framework_message(&mut self, driver: &ExecutorDriver, data: bytes::Bytes) {}
    /// End all tasks, report so, and stop the driver, as the default does: the process group is
    /// killed after the grace period. No callback comes after this one.
    fn shutdown(&mut self, driver: &ExecutorDriver) {
        driver.stop();
    }
    /// The executor did what it must not do; the driver is aborted.
    fn error(&mut self, driver: &ExecutorDriver, message: &str) {}
}

/// A handle to a running driver; clones act on the same one. Calls on a driver that has ended are
/// dropped.
#[derive(Clone)]
pub struct ExecutorDriver {
    node: Node,
    process: Handle<ExecutorProcess>,
}

impl ExecutorDriver {
    /// Starts a driver on `node`, under the PID id `executor(N)`.
    pub fn start(node: &Node, place: Environment, executor: impl Executor) -> Self {
        let process = ExecutorProcess::new(Session::new(place), Box::new(executor));
        Self::new(node.clone(), node.spawn_numbered("executor", process))
    }

    fn new(node: Node, process: Handle<ExecutorProcess>) -> Self {
        Self { node, process }
    }

    /// The driver's PID.
    pub fn pid(&self) -> &Pid {
        self.process.pid()
    }

    /// The node the driver runs on; for timers and further actors.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Reports a task's state. Uuid, timestamp, source and ids are filled in; the update is kept and
    /// told to a restarted slave until the slave has stored it.
    pub fn send_status_update(&self, status: TaskStatus) {
        self.process.tell(move |process, cx| process.update(status, cx));
    }

    /// Sends bytes to the scheduler: best effort, without order or receipt.
    pub fn send_framework_message(&self, data: impl Into<bytes::Bytes>) {
        let data = data.into();
        self.process.tell(move |process, cx| {
            let effects = process.session.to_framework(data);
            process.perform(effects, cx);
        });
    }

    /// Calls `then` once after `delay`, as an event of the driver's own.
    pub fn after(&self, delay: Duration, then: impl FnOnce(&Self) + Send + 'static) {
        let driver = self.clone();
        self.process.tell(move |_, cx| {
            cx.after(delay, move |_, _| then(&driver));
        });
    }

    /// Ends the driver, after what was asked of it before.
    pub fn stop(&self) {
        self.process.tell(|_, cx| cx.stop());
    }

    /// Ends callbacks and messages.
    pub fn abort(&self) {
        self.process.tell(|process, cx| {
            let effects = process.session.abort();
            process.perform(effects, cx);
        });
    }

    /// Ready when the driver has been stopped or aborted.
    pub fn join(&self) -> impl Future<Output = Status> + Send + use<> {
        let ended = self.process.ask_later(|process, _| process.ended());
        async move {
            match ended.await {
                Ok(Ok(status)) => status,
                _ => Status::Stopped,
            }
        }
    }
}
