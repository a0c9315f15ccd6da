//! The scheduler driver: the side of a framework that gets offers and launches tasks.

mod actor;
mod calls;
mod effects;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coordination::Detector;
use coordination::authenticatee::Patience;
use libprocess::{Handle, Node, Pid, SpawnError};
use protos::credentials::Credential;
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::offer::Operation;
use protos::mesos::{
    Filters, FrameworkInfo, KillPolicy, MasterInfo, Offer, Request, TaskInfo, TaskStatus,
};

use actor::SchedulerProcess;
use session::{Proof, Session};

/// A framework's scheduler. Callbacks run one at a time; the calls they make on `driver` are
/// carried out after the callback has returned.
#[allow(unused_variables, reason = "defaults name what they are given and do nothing with it")]
pub trait Scheduler: Send + 'static {
    /// The framework got its id from a master (first subscription, or one that took it over).
    fn registered(&mut self, driver: &SchedulerDriver, id: &FrameworkId, master: &MasterInfo) {}
    /// The framework is subscribed again, under its old id.
    fn reregistered(&mut self, driver: &SchedulerDriver, master: &MasterInfo) {}
    /// The master is gone; open offers are void. The driver looks for the next one.
    fn disconnected(&mut self, driver: &SchedulerDriver) {}
    /// Resources to accept or decline.
    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {}
    /// An offer is no longer valid.
    fn offer_rescinded(&mut self, driver: &SchedulerDriver, offer: &OfferId) {}
    /// A task changed. Acknowledged when this returns, unless [`Config::implicit_acknowledgements`]
    /// is off.
    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {}
    /// An executor sent bytes.
    fn framework_message(
        &mut self,
        driver: &SchedulerDriver,
        executor: &ExecutorId,
        slave: &SlaveId,
        data: bytes::Bytes,
    ) {
    }
    /// A slave is gone; updates for its tasks come on their own.
    fn slave_lost(&mut self, driver: &SchedulerDriver, slave: &SlaveId) {}
    /// A custom executor ended; `status` as `waitpid` tells it, -1 when unknown.
    fn executor_lost(
        &mut self,
        driver: &SchedulerDriver,
        executor: &ExecutorId,
        slave: &SlaveId,
        status: i32,
    ) {
    }
    /// The master refuses the framework. The driver is aborted when this returns.
    fn error(&mut self, driver: &SchedulerDriver, message: &str) {}
}

/// How a driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// By [`SchedulerDriver::stop`].
    Stopped,
    /// By [`SchedulerDriver::abort`] or an error from the master.
    Aborted,
}

/// What a scheduler driver needs to know.
#[derive(Clone)]
pub struct Config {
    /// The framework; with an id it resumes one that exists.
    pub framework: FrameworkInfo,
    /// Who tells the leading master.
    pub detector: Arc<dyn Detector>,
    /// Acknowledge updates when their callback returns (default); else by
    /// [`SchedulerDriver::acknowledge`].
    pub implicit_acknowledgements: bool,
    /// First limit of the random wait before a subscription is repeated, doubled each time
    /// (`registration_backoff_factor`); default 2 s.
    pub registration_backoff: Duration,
    /// What the framework proves to masters who it is with; None for masters that do not ask. The
    /// framework's principal is the credential's unless it says otherwise.
    pub credential: Option<Credential>,
    /// How it does.
    pub authentication: Patience,
}

impl Config {
    /// Defaults for a framework and a way to find its master. A framework without user or host name
    /// gets those of this OS process.
    pub fn new(mut framework: FrameworkInfo, detector: Arc<dyn Detector>) -> Self {
        use nix::unistd::{User, gethostname, getuid};
        if framework.user.is_empty()
            && let Ok(Some(user)) = User::from_uid(getuid())
        {
            framework.user = user.name;
        }
        if framework.hostname.is_none()
            && let Ok(name) = gethostname()
        {
            framework.hostname = Some(name.to_string_lossy().into_owned());
        }
        Self {
            framework,
            detector,
            implicit_acknowledgements: true,
            registration_backoff: Duration::from_secs(2),
            credential: None,
            authentication: Patience::default(),
        }
    }
}

/// A handle to a running driver; clones act on the same one. Calls on a driver that has ended, or
/// that has no master, are dropped.
#[derive(Clone)]
pub struct SchedulerDriver {
    node: Node,
    process: Handle<SchedulerProcess>,
    aborting: Arc<AtomicBool>,
}

impl SchedulerDriver {
    /// Starts a driver on `node`, under the PID id `scheduler-<uuid>`.
    ///
    /// # Errors
    /// [`SpawnError`] when the id is taken, which takes two equal uuids.
    pub fn start(
        node: &Node,
        config: Config,
        scheduler: impl Scheduler,
    ) -> Result<Self, SpawnError> {
        let mut framework = config.framework;
        if let (None, Some(credential)) = (&framework.principal, &config.credential) {
            framework.principal = Some(credential.principal.clone());
        }
        let session = Session::new(
            framework,
            config.registration_backoff,
            config.implicit_acknowledgements,
            Proof::new(config.credential, config.authentication),
        );
        let aborting = Arc::new(AtomicBool::new(false));
        let process =
            SchedulerProcess::new(session, Box::new(scheduler), config.detector, aborting.clone());
        let id = format!("scheduler-{}", node.uuid());
        let handle = node.spawn(&id, process)?;
        Ok(Self::new(node.clone(), handle, aborting))
    }

    fn new(node: Node, process: Handle<SchedulerProcess>, aborting: Arc<AtomicBool>) -> Self {
        Self { node, process, aborting }
    }

    /// The driver's PID.
    pub fn pid(&self) -> &Pid {
        self.process.pid()
    }

    /// The node the driver runs on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Ends the driver. Unless `failover`, the framework ends with it: its tasks are killed.
    pub fn stop(&self, failover: bool) {
        self.process.tell(move |process, cx| process.stop(failover, cx));
    }

    /// Deactivates the framework: no callback is made and no update acknowledged from now on.
    pub fn abort(&self) {
        self.aborting.store(true, Ordering::SeqCst);
        self.act(Session::abort);
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

    /// Applies operations to offers of one slave; what they leave returns to the master. Without a
    /// master, tasks among them come back as `TASK_LOST` (`TASK_DROPPED` if partition-aware).
    pub fn accept_offers(
        &self,
        offers: Vec<OfferId>,
        operations: Vec<Operation>,
        filters: Option<Filters>,
    ) {
        self.process.tell(move |process, cx| {
            let now = cx.now().as_secs_f64();
            let effects = process.session.accept(&offers, operations, filters, now);
            process.perform(effects, cx);
        });
    }

    /// Launches tasks on offers of one slave; without tasks the offers are declined.
    pub fn launch_tasks(
        &self,
        offers: Vec<OfferId>,
        tasks: Vec<TaskInfo>,
        filters: Option<Filters>,
    ) {
        self.accept_offers(offers, vec![calls::launch(tasks)], filters);
    }

    /// Gives an offer back; the filter's default hides the slave for 5 s.
    pub fn decline_offer(&self, offer: OfferId, filters: Option<Filters>) {
        self.act(move |session| session.decline(&[offer], filters));
    }

    /// Drops all filters and suppressions of the roles; of all roles when none is named.
    pub fn revive(&self, roles: Vec<String>) {
        self.act(move |session| session.call(calls::revive(roles)));
    }

    /// Asks for no more offers to the roles; to all roles when none is named.
    pub fn suppress(&self, roles: Vec<String>) {
        self.act(move |session| session.call(calls::suppress(roles)));
    }

    /// Kills a task; a policy goes before the one in its `TaskInfo`.
    pub fn kill_task(&self, task: TaskId, policy: Option<KillPolicy>) {
        self.act(move |session| session.call(calls::kill(&task, policy)));
    }

    /// Acknowledges an update; one without uuid needs none.
    pub fn acknowledge(&self, status: &TaskStatus) {
        if let Some(call) = calls::acknowledge(status) {
            self.act(move |session| session.call(call));
        }
    }

    /// Asks for the latest state of the tasks; of all that the master knows when none is named.
    pub fn reconcile(&self, tasks: Vec<(TaskId, Option<SlaveId>)>) {
        self.act(move |session| session.call(calls::reconcile(&tasks)));
    }

    /// Sends bytes to an executor: best effort, without order or receipt.
    pub fn send_framework_message(
        &self,
        executor: ExecutorId,
        slave: SlaveId,
        data: impl Into<bytes::Bytes>,
    ) {
        let data = data.into();
        self.act(move |session| session.to_executor(&executor, &slave, data));
    }

    /// Tells the allocator what is wanted; the default one does not listen.
    pub fn request(&self, requests: Vec<Request>) {
        self.act(move |session| session.call(calls::request(requests)));
    }

    /// Calls `then` once after `delay`, as an event of the driver's own.
    pub fn after(&self, delay: Duration, then: impl FnOnce(&Self) + Send + 'static) {
        let driver = self.clone();
        self.process.tell(move |_, cx| {
            cx.after(delay, move |_, _| then(&driver));
        });
    }

    fn act(&self, decide: impl FnOnce(&mut Session) -> Vec<effects::Effect> + Send + 'static) {
        self.process.tell(move |process, cx| {
            let effects = decide(&mut process.session);
            process.perform(effects, cx);
        });
    }
}
