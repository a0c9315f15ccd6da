//! The process `slave(1)`: takes messages, has them decided, carries the effects out.

use std::sync::Arc;
use std::time::Duration;

use coordination::{Detector, Leader};
use libprocess::files::Files;
use libprocess::{Ctx, Handle, Node, Pid, Process, Routes};
use protos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use protos::mesos;
use protos::mesos::internal::*;
use protos::mesos::slave_info::capability::Type as Capability;

use crate::calls::run_task::Fresh;
use crate::calls::terminated::End;
use crate::calls::{executors, kill, messages, run_task, shutdown, terminated, updates};
use crate::containerizer::{ContainerConfig, ContainerError, Containerizer, Termination};
use crate::effects::{Effect, Effects, Reminder};
use crate::recovery::{Recovered, is_compatible, recover};
use crate::registration::{Registration, Standing};
use crate::state::State;
use crate::status_updates::{Acknowledged, StatusUpdateManager};
use crate::{Config, checkpoint, environment, http, metrics, paths};

/// The slave's actor.
pub struct Slave {
    pub(crate) state: State,
    pub(crate) registration: Registration,
    pub(crate) containerizer: Arc<dyn Containerizer>,
    detector: Arc<dyn Detector>,
    leader: Option<Leader>,
    updates: Option<Handle<StatusUpdateManager>>,
    files: Option<Handle<Files>>,
}

/// Starts a slave on a node, under the next `slave(N)`.
pub fn start(
    node: &Node,
    config: Config,
    containerizer: Arc<dyn Containerizer>,
    detector: Arc<dyn Detector>,
) -> Handle<Slave> {
    let registration = Registration::new(config.registration_backoff);
    // The id is known once the process runs: it takes it from its context.
    let state = State::new(config, Pid::empty(), node.now());
    let (leader, updates) = (None, None);
    // A node that hosts several slaves has one process for all their files.
    let files = node.spawn("files", Files::default()).ok();
    let slave = Slave { state, registration, containerizer, detector, leader, updates, files };
    node.spawn_numbered("slave", slave)
}

impl Process for Slave {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::registered)
            .on(Self::reregistered)
            .on(Self::ping)
            .on(Self::shutdown)
            .on(Self::run_task)
            .on(Self::run_task_group)
            .on(Self::kill_task)
            .on(Self::shutdown_executor)
            .on(Self::shutdown_framework)
            .on(Self::update_framework)
            .on(Self::framework_message)
            .on(Self::acknowledge_update)
            .on(Self::checkpoint_resources)
            .on(Self::register_executor)
            .on(Self::reregister_executor)
            .on(Self::status_update)
            .on(Self::executor_message);
        http::routes(r);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.state.pid = cx.pid().clone();
        self.state.info.port = Some(i32::from(cx.pid().address().port()));
        let handle = cx.handle();
        let forward = Arc::new(move |update| {
            handle.tell(|slave, cx| slave.forward(update, cx));
        });
        let manager = StatusUpdateManager::new(forward);
        self.updates = Some(cx.spawn_numbered("status-update-manager", manager));
        metrics::register(cx);
        let work_dir = self.state.config.work_dir.clone();
        cx.defer(recover(cx.disk(), work_dir), Self::recovered);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        if self.registration.is_master(pid) {
            slog::warn!(cx.log(), "connection to the master broke"; "master" => %pid);
            self.follow(self.registration.master.clone(), cx);
        }
    }
}

/// Finding and keeping the master.
impl Slave {
    fn recovered(&mut self, found: Result<Recovered, String>, cx: &mut Ctx<Self>) {
        let found = match found {
            Ok(found) => found,
            Err(reason) => return self.exit(1, format!("recovery failed: {reason}"), cx),
        };
        if let Some(then) = found.info {
            if !is_compatible(&self.state.info, &then) {
                let directory = paths::meta_slaves(&self.state.config.work_dir);
                let reason = format!(
                    "this slave's hostname, resources or attributes differ from those it \
                     registered with: restore them, or remove {} to start as a new slave",
                    directory.join("latest").display()
                );
                return self.exit(1, reason, cx);
            }
            self.state.info.id = then.id;
            slog::info!(cx.log(), "recovered"; "id" => %self.state.id());
        }
        for executor in found.executors {
            // Their tasks are lost to this slave: it knows them no more.
            let message = ShutdownExecutorMessage { executor_id: None, framework_id: None };
            cx.send(&executor, &message);
        }
        self.registration.standing = Standing::Disconnected;
        self.detect(cx);
    }

    fn detect(&mut self, cx: &mut Ctx<Self>) {
        let detecting = self.detector.detect(self.leader.clone());
        cx.defer(detecting, |slave, leader, cx| {
            slave.leader = leader.clone();
            slave.follow(leader.map(|leader| leader.pid), cx);
            slave.detect(cx);
        });
    }

    /// Turns to a master, or waits for one.
    fn follow(&mut self, master: Option<Pid>, cx: &mut Ctx<Self>) {
        self.manage(|manager, _| manager.pause());
        self.state.master = None;
        if let Some(limit) = self.registration.detected(master) {
            let epoch = self.registration.epoch;
            let wait = cx.random_within(limit);
            cx.after(wait, move |slave, cx| slave.attempt(epoch, cx));
        }
    }

    fn attempt(&mut self, epoch: u64, cx: &mut Ctx<Self>) {
        if !self.registration.wants(epoch) {
            return;
        }
        let Some(master) = self.registration.master.clone() else { return };
        cx.link(&master);
        if self.state.info.id.is_some() {
            cx.send(&master, &self.reregister_message());
        } else {
            let message = RegisterSlaveMessage {
                slave: self.state.info.clone(),
                version: Some(self.state.config.version.clone()),
                checkpointed_resources: Vec::new(),
                agent_capabilities: capabilities(),
                resource_version_uuid: None,
            };
            cx.send(&master, &message);
        }
        let limit = self.registration.attempted();
        let wait = cx.random_within(limit);
        cx.after(wait, move |slave, cx| slave.attempt(epoch, cx));
    }

    fn reregister_message(&self) -> ReregisterSlaveMessage {
        let frameworks = self.state.frameworks.values();
        let executors = frameworks.clone().flat_map(|framework| framework.executors.values());
        let queued = self.state.frameworks.values().flat_map(|framework| {
            let waiting = framework.executors.values().flat_map(|executor| &executor.queued);
            waiting.map(|task| mesos::Task {
                name: task.name.clone(),
                task_id: task.task_id.clone(),
                framework_id: framework.id.wire(),
                slave_id: task.slave_id.clone(),
                state: mesos::TaskState::TaskStaging.into(),
                resources: task.resources.clone(),
                ..Default::default()
            })
        });
        let launched = executors.clone().flat_map(|executor| executor.launched.values().cloned());
        let known = executors.filter(|executor| {
            !executor.generated && executor.state != crate::state::ExecutorState::Terminated
        });
        ReregisterSlaveMessage {
            slave: self.state.info.clone(),
            tasks: launched.chain(queued).collect(),
            executor_infos: known.map(|executor| executor.info.clone()).collect(),
            completed_frameworks: Vec::new(),
            version: Some(self.state.config.version.clone()),
            checkpointed_resources: Vec::new(),
            frameworks: frameworks.map(|framework| framework.info.clone()).collect(),
            agent_capabilities: capabilities(),
            resource_version_uuid: None,
        }
    }

    fn registered(&mut self, m: SlaveRegisteredMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "registration") {
            return;
        }
        let known = self.state.info.id.as_ref().is_some_and(|id| *id != m.slave_id);
        if known {
            let (own, given) = (self.state.id(), m.slave_id.value);
            return self.exit(1, format!("the master calls this slave {given}, not {own}"), cx);
        }
        if self.registration.standing == Standing::Running {
            return;
        }
        self.state.info.id = Some(m.slave_id);
        self.settle(m.connection, cx);
    }

    fn reregistered(&mut self, m: SlaveReregisteredMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "re-registration") {
            return;
        }
        if self.state.info.id.as_ref() != Some(&m.slave_id) {
            let (own, given) = (self.state.id(), m.slave_id.value);
            return self.exit(1, format!("the master calls this slave {given}, not {own}"), cx);
        }
        self.settle(m.connection, cx);
        let now = cx.now();
        for reconciliation in m.reconciliations {
            let mut uuids = Vec::new();
            uuids.resize_with(reconciliation.statuses.len(), || cx.uuid().into_bytes());
            self.decide(cx, |state, fx| {
                let mut uuids = uuids.into_iter();
                let uuid = || uuids.next().unwrap_or_default();
                updates::reconcile(state, &reconciliation, now, uuid, fx);
            });
        }
    }

    /// The master knows this slave: what had to wait goes on.
    fn settle(&mut self, connection: Option<MasterSlaveConnection>, cx: &mut Ctx<Self>) {
        let seconds = connection.and_then(|connection| connection.total_ping_timeout_seconds);
        let timeout = seconds.and_then(protos::duration::from_secs_f64);
        self.registration.registered(timeout);
        self.state.master = self.registration.master.clone();
        let id = self.state.id();
        slog::info!(cx.log(), "registered"; "id" => %id);
        let work_dir = &self.state.config.work_dir;
        let info = checkpoint::encode(&self.state.info);
        let written = cx.disk().write(&paths::slave_info(work_dir, &id), info);
        let linked =
            cx.disk().symlink(&paths::meta_slave(work_dir, &id), &paths::latest_slave(work_dir));
        cx.defer(async move { written.await.and(linked.await) }, |slave, stored, cx| {
            if let Err(error) = stored {
                slave.exit(1, format!("cannot remember this slave's id: {error}"), cx);
            }
        });
        self.manage(|manager, cx| manager.resume(cx));
        self.watch_pings(cx);
        if let Some(master) = &self.state.master {
            let message = UpdateSlaveMessage { slave_id: id.wire(), ..Default::default() };
            cx.send(master, &message);
        }
    }

    fn ping(&mut self, m: PingSlaveMessage, cx: &mut Ctx<Self>) {
        cx.reply(&PongSlaveMessage {});
        if self.registration.standing != Standing::Running {
            return;
        }
        if m.connected {
            self.registration.epoch += 1;
            self.watch_pings(cx);
        } else {
            slog::warn!(cx.log(), "the master takes this slave for disconnected");
            self.follow(self.registration.master.clone(), cx);
        }
    }

    fn watch_pings(&mut self, cx: &mut Ctx<Self>) {
        let epoch = self.registration.epoch;
        cx.after(self.registration.ping_timeout, move |slave, cx| {
            let silent = slave.registration.epoch == epoch;
            if silent && slave.registration.standing == Standing::Running {
                slog::warn!(cx.log(), "the master is silent: registering again");
                slave.follow(slave.registration.master.clone(), cx);
            }
        });
    }

    fn is_from_master(&self, cx: &Ctx<Self>, what: &str) -> bool {
        let from_master = self.registration.is_master(cx.from());
        if !from_master {
            slog::warn!(cx.log(), "ignored: not from the master";
                "what" => what, "from" => %cx.from());
        }
        from_master
    }
}

/// What this slave can do, as masters are told.
fn capabilities() -> Vec<mesos::slave_info::Capability> {
    let own = [Capability::MultiRole, Capability::HierarchicalRole];
    own.map(|own| mesos::slave_info::Capability { r#type: Some(own.into()) }).to_vec()
}

/// Orders of the master.
impl Slave {
    fn shutdown(&mut self, m: ShutdownMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "shutdown") {
            return;
        }
        self.registration.standing = Standing::Terminating;
        self.decide(cx, shutdown::shut_down_all);
        let reason = format!("the master told this slave to shut down: {}", m.message());
        let grace = self.state.config.executor_shutdown_grace;
        let wait = if self.state.frameworks.is_empty() { Duration::ZERO } else { grace };
        cx.after(wait, move |slave, cx| slave.exit(1, reason, cx));
    }

    fn run_task(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        let standing = self.registration.standing == Standing::Running;
        if !self.is_from_master(cx, "task") || !standing {
            return;
        }
        let fresh = Fresh {
            container: ContainerId::new(cx.uuid().to_string()),
            uuid: cx.uuid().into_bytes(),
            now: cx.now(),
        };
        self.decide(cx, |state, fx| run_task::run_task(state, m, &fresh, fx));
    }

    fn run_task_group(&mut self, m: RunTaskGroupMessage, cx: &mut Ctx<Self>) {
        let tasks = m.task_group.tasks.len();
        slog::warn!(cx.log(), "task group dropped: it needs an executor of the v1 API";
            "tasks" => tasks);
    }

    fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        if self.is_from_master(cx, "kill") {
            let (uuid, now) = (cx.uuid().into_bytes(), cx.now());
            self.decide(cx, |state, fx| kill::kill(state, &m, uuid, now, fx));
        }
    }

    fn shutdown_executor(&mut self, m: ShutdownExecutorMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "shutdown of an executor") {
            return;
        }
        let (framework, executor) =
            (m.framework_id.unwrap_or_default(), m.executor_id.unwrap_or_default());
        let (framework, executor) = (FrameworkId::from(framework), ExecutorId::from(executor));
        self.decide(cx, |state, fx| {
            shutdown::shut_down_executor(state, &framework, &executor, fx);
        });
    }

    fn shutdown_framework(&mut self, m: ShutdownFrameworkMessage, cx: &mut Ctx<Self>) {
        if self.is_from_master(cx, "shutdown of a framework") {
            let id = FrameworkId::from(m.framework_id);
            self.decide(cx, |state, fx| shutdown::shut_down_framework(state, &id, fx));
        }
    }

    fn update_framework(&mut self, m: UpdateFrameworkMessage, cx: &mut Ctx<Self>) {
        if !self.is_from_master(cx, "update of a framework") {
            return;
        }
        let id = FrameworkId::from(m.framework_id);
        if let Some(framework) = self.state.frameworks.get_mut(&id) {
            framework.pid = m.pid.as_deref().and_then(|pid| pid.parse().ok());
            framework.info = m.framework_info.unwrap_or_else(|| framework.info.clone());
            // Its scheduler may have missed what was in flight.
            self.manage(|manager, cx| manager.resume(cx));
        }
    }

    fn framework_message(&mut self, m: FrameworkToExecutorMessage, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| messages::to_executor(state, &m, fx));
    }

    fn acknowledge_update(&mut self, m: StatusUpdateAcknowledgementMessage, cx: &mut Ctx<Self>) {
        if self.is_from_master(cx, "acknowledgement") {
            let (framework, task) = (FrameworkId::from(m.framework_id), TaskId::from(m.task_id));
            self.carry_out(Effect::Acknowledge(framework, task, m.uuid), cx);
        }
    }

    fn checkpoint_resources(&mut self, m: CheckpointResourcesMessage, cx: &mut Ctx<Self>) {
        slog::debug!(cx.log(), "checkpointed resources noted"; "count" => m.resources.len());
    }
}

/// Executors.
impl Slave {
    fn register_executor(&mut self, m: RegisterExecutorMessage, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        self.decide(cx, |state, fx| executors::register(state, &from, &m, fx));
    }

    fn reregister_executor(&mut self, m: ReregisterExecutorMessage, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        self.decide(cx, |state, fx| executors::reregister(state, &from, &m, fx));
    }

    fn status_update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        self.decide(cx, |state, fx| updates::from_executor(state, &from, m, fx));
    }

    fn executor_message(&mut self, m: ExecutorToFrameworkMessage, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| messages::to_framework(state, &m, fx));
    }

    /// Sends an update to the master, with the newest state that is known.
    fn forward(&mut self, mut update: StatusUpdate, cx: &mut Ctx<Self>) {
        let Some(master) = self.state.master.clone() else { return };
        let framework = FrameworkId::from(&update.framework_id);
        let task = TaskId::from(&update.status.task_id);
        let latest = updates::latest_state(&mut self.state, &framework, &task);
        update.latest_state = latest.or(Some(update.status.state));
        let pid = Some(cx.pid().to_string());
        cx.send(&master, &StatusUpdateMessage { update, pid });
    }

    fn launch(&mut self, framework_id: FrameworkId, executor_id: ExecutorId, cx: &mut Ctx<Self>) {
        let slave = self.state.id();
        let Some(framework) = self.state.frameworks.get(&framework_id) else { return };
        let Some(executor) = framework.executors.get(&executor_id) else { return };
        let config = &self.state.config;
        let command = executor.info.command.clone().unwrap_or_default();
        let user = command.user.clone().unwrap_or_else(|| framework.info.user.clone());
        let user = Some(user).filter(|user| config.switch_user && !user.is_empty());
        let container = executor.container.clone();
        let run =
            paths::meta_run(&config.work_dir, &slave, &framework_id, &executor_id, &container);
        let container_config = ContainerConfig {
            environment: environment::of(config, cx.pid(), &slave, framework, executor),
            resources: executor.resources(),
            executor_info: executor.info.clone(),
            command,
            task_info: executor.queued.front().filter(|_| executor.generated).cloned(),
            directory: executor.directory.clone(),
            user: user.clone().filter(|_| nix::unistd::geteuid().is_root()),
            pid_checkpoint: framework.checkpoints().then(|| run.join("pids/forked.pid")),
        };
        let runs = paths::runs(&config.work_dir, &slave, &framework_id, &executor_id);
        let (disk, directory) = (cx.disk(), container_config.directory.clone());
        if let Some(files) = &self.files {
            let (real, latest) = (directory.clone(), runs.join("latest"));
            let short = format!("/frameworks/{framework_id}/executors/{executor_id}/runs/latest");
            files.tell(move |files, _| {
                files.attach(&latest.display().to_string(), real.clone());
                files.attach(&short, real.clone());
                files.attach(&real.display().to_string(), real);
            });
        }
        let owner = container_config.user.as_deref().and_then(owner);
        let containerizer = self.containerizer.clone();
        let id = container.clone();
        let launched = async move {
            let prepared = async {
                disk.create_dir(&directory).await?;
                if let Some((uid, gid)) = owner {
                    disk.chown(&directory, uid, gid).await?;
                }
                disk.symlink(&directory, &runs.join("latest")).await
            };
            let failed = |error: libprocess::disk::DiskError| ContainerError::Launch {
                id: id.clone(),
                reason: error.to_string(),
            };
            prepared.await.map_err(failed)?;
            containerizer.launch(&id, container_config).await
        };
        let timeout = self.state.config.executor_registration_timeout;
        let (f, e, c) = (framework_id.clone(), executor_id.clone(), container.clone());
        let reminder = Reminder::ExecutorRegistration(f, e, c);
        cx.after(timeout, move |slave, cx| slave.reminded(reminder, cx));
        cx.defer(launched, move |slave, launched, cx| {
            slave.launched(framework_id, executor_id, container, launched, cx);
        });
    }

    fn launched(
        &mut self,
        framework: FrameworkId,
        executor: ExecutorId,
        container: ContainerId,
        launched: Result<(), ContainerError>,
        cx: &mut Ctx<Self>,
    ) {
        match launched {
            Ok(()) => {
                let ended = self.containerizer.wait(&container);
                cx.defer(ended, move |slave, ended, cx| {
                    let (termination, launch_failed) = (ended.unwrap_or_default(), false);
                    let end = End { framework, executor, container, termination, launch_failed };
                    slave.terminated(end, cx);
                });
            }
            Err(error) => {
                slog::warn!(cx.log(), "launch failed"; "reason" => %error);
                let message = error.to_string();
                let termination = Termination { message, ..Termination::default() };
                let launch_failed = true;
                let end = End { framework, executor, container, termination, launch_failed };
                self.terminated(end, cx);
            }
        }
    }

    fn terminated(&mut self, end: End, cx: &mut Ctx<Self>) {
        let now = cx.now();
        let known = self.state.executor(&end.framework, &end.executor);
        let tasks = known.map_or(0, |executor| executor.launched.len() + executor.queued.len());
        let mut uuids = Vec::new();
        uuids.resize_with(tasks, || cx.uuid().into_bytes());
        self.decide(cx, |state, fx| {
            let mut uuids = uuids.into_iter();
            let uuid = || uuids.next().unwrap_or_default();
            terminated::terminated(state, &end, now, uuid, fx);
        });
    }
}

/// The user's numeric id and group; none when there is no such user.
fn owner(user: &str) -> Option<(u32, u32)> {
    let user = nix::unistd::User::from_name(user).ok()??;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

/// Deciding and doing.
impl Slave {
    fn decide(&mut self, cx: &mut Ctx<Self>, decide: impl FnOnce(&mut State, &mut Effects)) {
        let mut fx = Effects::default();
        decide(&mut self.state, &mut fx);
        for effect in fx.0 {
            self.carry_out(effect, cx);
        }
    }

    fn manage(
        &self,
        call: impl FnOnce(&mut StatusUpdateManager, &mut Ctx<StatusUpdateManager>) + Send + 'static,
    ) {
        if let Some(updates) = &self.updates {
            updates.tell(call);
        }
    }

    fn carry_out(&mut self, effect: Effect, cx: &mut Ctx<Self>) {
        match effect {
            Effect::Send { to, name, body } => cx.send_raw(&to, name, body),
            Effect::Link(pid) => cx.link(&pid),
            Effect::Write(path, bytes) => {
                let written = cx.disk().write(&path, bytes);
                cx.defer(written, |slave, written, cx| {
                    if let Err(error) = written {
                        slave.exit(1, format!("cannot write a checkpoint: {error}"), cx);
                    }
                });
            }
            Effect::Launch(framework, executor) => self.launch(framework, executor, cx),
            Effect::Resize { framework, executor, container, resources } => {
                let resized = self.containerizer.update(&container, resources);
                cx.defer(resized, move |slave, resized, cx| {
                    if let Err(error) = resized {
                        // Its end, if that is why, is told by the containerizer.
                        slog::warn!(cx.log(), "resize failed"; "reason" => %error);
                    }
                    slave.decide(cx, |state, fx| {
                        run_task::hand_over(state, &framework, &executor, fx);
                    });
                });
            }
            Effect::Destroy(container) => {
                let destroyed = self.containerizer.destroy(&container);
                cx.defer(destroyed, |_, destroyed, cx| {
                    if let Err(error) = destroyed {
                        slog::warn!(cx.log(), "destroy failed"; "reason" => %error);
                    }
                });
            }
            Effect::Update { update, path, executor } => self.store(*update, path, executor, cx),
            Effect::Acknowledge(framework, task, uuid) => {
                self.acknowledge(framework, task, uuid, cx);
            }
            Effect::Remind(delay, reminder) => {
                cx.after(delay, move |slave, cx| slave.reminded(reminder, cx));
            }
            Effect::ForgetUpdates(framework) => {
                self.manage(move |manager, _| manager.forget(&framework));
            }
            Effect::Refused(reason) => {
                slog::warn!(cx.log(), "refused"; "from" => %cx.from(), "reason" => reason);
            }
            Effect::Count(metric) => cx.node().metrics().counter(metric).increment(),
            Effect::Exit(code, reason) => self.exit(code, reason, cx),
        }
    }

    /// Hands an update to its stream; the executor is told once it is safe.
    fn store(
        &mut self,
        update: StatusUpdate,
        path: Option<std::path::PathBuf>,
        executor: Option<Pid>,
        cx: &mut Ctx<Self>,
    ) {
        let Some(updates) = &self.updates else { return };
        let framework = FrameworkId::from(&update.framework_id);
        let task = TaskId::from(&update.status.task_id);
        let uuid = update.uuid.clone().unwrap_or_default();
        let stored = updates.ask_later(move |manager, cx| manager.update(update, path, cx));
        cx.defer(stored, move |slave, stored, cx| match (stored, executor) {
            (Ok(Ok(Err(error))), _) => {
                slave.exit(1, format!("cannot write an update: {error}"), cx);
            }
            (Ok(Ok(Ok(()))), Some(executor)) => slave.decide(cx, |state, fx| {
                updates::acknowledge_executor(state, &executor, &framework, &task, &uuid, fx);
            }),
            _ => {}
        });
    }

    fn acknowledge(
        &mut self,
        framework: FrameworkId,
        task: TaskId,
        uuid: bytes::Bytes,
        cx: &mut Ctx<Self>,
    ) {
        let Some(updates) = &self.updates else { return };
        let (f, t) = (framework.clone(), task.clone());
        let done = updates.ask_later(move |manager, cx| manager.acknowledge(f, t, uuid, cx));
        cx.defer(done, move |slave, done, _| {
            if let Ok(Ok(Acknowledged::Closed)) = done {
                updates::closed(&mut slave.state, &framework, &task);
            }
        });
    }

    fn reminded(&mut self, reminder: Reminder, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| match &reminder {
            Reminder::ExecutorRegistration(framework, executor, container) => {
                executors::registration_timed_out(state, framework, executor, container, fx);
            }
            Reminder::ExecutorShutdown(framework, executor, container) => {
                shutdown::shutdown_timed_out(state, framework, executor, container, fx);
            }
        });
    }

    fn exit(&mut self, code: i32, reason: String, cx: &mut Ctx<Self>) {
        self.registration.standing = Standing::Terminating;
        slog::error!(cx.log(), "slave ends"; "reason" => &reason);
        (self.state.config.on_exit)(code, reason);
        cx.stop();
    }
}
