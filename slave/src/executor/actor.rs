//! The process `executor(1)`.

use std::sync::Arc;
use std::time::Duration;

use libprocess::{Ctx, LinkMode, Pid, Process, Routes, Timer};
use protos::ids::TaskId;
use protos::mesos;
use protos::mesos::TaskState;
use protos::mesos::framework_info::capability::Type as Capability;
use protos::mesos::internal::*;
use protos::mesos::task_status::Source;
use protos::status;

use super::checks::{Health, check_status};
use super::outcome::Outcome;
use super::runner::{HostRunner, Runner, Started};
use super::settings::Settings;
use super::task::{CommandTask, Effect};

/// What a shutdown keeps in hand for reaping and for the last update.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);
/// From one attempt to register to the next.
const REGISTER_AGAIN: Duration = Duration::from_secs(1);
/// The slave has so long to acknowledge the terminal update.
const LAST_ACK: Duration = Duration::from_secs(60);

/// Runs the command of a command task and reports on it to the slave.
pub struct CommandExecutor {
    pub(super) settings: Settings,
    pub(super) runner: Arc<dyn Runner>,
    slave: Pid,
    framework: Option<mesos::FrameworkInfo>,
    slave_id: Option<mesos::SlaveId>,
    pub(super) task: Option<CommandTask>,
    /// How well it has been, if that is looked at.
    pub(super) health: Option<Health>,
    /// The last look found it so bad that it is being killed.
    pub(super) killed_as_unhealthy: bool,
    /// What was last seen of it.
    pub(super) check_status: Option<mesos::CheckStatusInfo>,
    /// The task's addresses, if it has some of its own.
    container_status: Option<mesos::ContainerStatus>,
    /// What is told with `TASK_RUNNING` beside.
    data: Option<bytes::Bytes>,
    /// The command's process once it is started; it leads a session.
    pid: Option<u32>,
    /// Armed between SIGTERM and SIGKILL.
    escalation: Option<Timer>,
    /// Updates that the slave has not stored yet, oldest first.
    unacknowledged: Vec<StatusUpdate>,
    /// The slave has stored an update: it knows the task.
    acknowledged: bool,
    shutting_down: bool,
    /// Armed while the slave is gone and may come back.
    recovery: Option<Timer>,
}

impl CommandExecutor {
    /// An executor that has yet to be spawned.
    pub fn new(settings: Settings) -> Self {
        Self::with_runner(settings, Arc::new(HostRunner))
    }

    /// One whose task runs in another way.
    pub(crate) fn with_runner(settings: Settings, runner: Arc<dyn Runner>) -> Self {
        Self {
            slave: settings.slave.clone(),
            settings,
            runner,
            container_status: None,
            data: None,
            framework: None,
            slave_id: None,
            task: None,
            health: None,
            killed_as_unhealthy: false,
            check_status: None,
            pid: None,
            escalation: None,
            unacknowledged: Vec::new(),
            acknowledged: false,
            shutting_down: false,
            recovery: None,
        }
    }
}

impl Process for CommandExecutor {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::registered)
            .on(Self::reregistered)
            .on(Self::reconnect)
            .on(Self::run_task)
            .on(Self::kill_task)
            .on(Self::acknowledge)
            .on(Self::framework_message)
            .on(Self::shutdown);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.register(cx);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        if *pid != self.slave || self.shutting_down {
            return;
        }
        if !self.settings.checkpoint {
            slog::info!(cx.log(), "slave is gone: shutting down");
            return self.shut_down(cx);
        }
        slog::info!(cx.log(), "slave is gone: waiting for it to recover");
        let limit = self.settings.recovery_timeout;
        let timer = cx.after(limit, |executor, cx| {
            slog::info!(cx.log(), "slave did not recover: shutting down");
            executor.shut_down(cx);
        });
        if let Some(old) = self.recovery.replace(timer) {
            cx.cancel(&old);
        }
    }
}

/// Messages of the slave.
impl CommandExecutor {
    /// Asks for the task until the slave answers: it may be restarting just now.
    fn register(&mut self, cx: &mut Ctx<Self>) {
        if self.slave_id.is_some() || self.shutting_down {
            return;
        }
        cx.link(&self.slave);
        let message = RegisterExecutorMessage {
            framework_id: self.settings.framework.wire(),
            executor_id: self.settings.executor.wire(),
        };
        cx.send(&self.slave, &message);
        cx.after(REGISTER_AGAIN, Self::register);
    }

    fn registered(&mut self, m: ExecutorRegisteredMessage, cx: &mut Ctx<Self>) {
        slog::info!(cx.log(), "registered"; "slave" => &m.slave_id.value);
        self.framework = Some(m.framework_info);
        self.slave_id = Some(m.slave_id);
    }

    fn reregistered(&mut self, m: ExecutorReregisteredMessage, cx: &mut Ctx<Self>) {
        slog::info!(cx.log(), "registered again"; "slave" => &m.slave_id.value);
        self.slave_id = Some(m.slave_id);
        if let Some(timer) = self.recovery.take() {
            cx.cancel(&timer);
        }
        if self.task.as_ref().is_some_and(CommandTask::is_over) {
            self.await_acknowledgement(cx);
        }
    }

    fn reconnect(&mut self, m: ReconnectExecutorMessage, cx: &mut Ctx<Self>) {
        self.slave = cx.from().clone();
        self.slave_id = Some(m.slave_id);
        // The connection to the slave's former life may not know yet that it is broken.
        cx.link_with(&self.slave, LinkMode::Reconnect);
        let known = self.task.iter().filter(|_| !self.acknowledged);
        let message = ReregisterExecutorMessage {
            executor_id: self.settings.executor.wire(),
            framework_id: self.settings.framework.wire(),
            tasks: known.map(|task| task.info().clone()).collect(),
            updates: self.unacknowledged.clone(),
        };
        cx.send(&self.slave, &message);
    }

    fn run_task(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        if self.task.is_some() || self.shutting_down {
            let message = "this executor runs one command only".to_owned();
            let outcome = Outcome { message, ..Outcome::of(TaskState::TaskFailed) };
            return self.update(&TaskId::from(&m.task.task_id), outcome, cx);
        }
        let command = self.runner.command(&m.task, &self.settings);
        self.check_status = m.task.check.as_ref().map(|check| check_status(check, None));
        let (task, effects) = CommandTask::launch(m.task, command);
        self.task = Some(task);
        self.apply(effects, cx);
    }

    fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        let id = TaskId::from(&m.task_id);
        let Some(task) = self.task.as_mut().filter(|task| task.id() == id) else {
            slog::warn!(cx.log(), "kill of an unknown task ignored";
                "task" => %id, "from" => %cx.from());
            return;
        };
        let grace = task.grace(m.kill_policy.as_ref());
        self.kill(grace, cx);
    }

    fn acknowledge(&mut self, m: StatusUpdateAcknowledgementMessage, cx: &mut Ctx<Self>) {
        self.acknowledged = true;
        self.unacknowledged.retain(|update| update.uuid.as_ref() != Some(&m.uuid));
        let over = self.task.as_ref().is_some_and(CommandTask::is_over);
        if over && self.unacknowledged.is_empty() {
            cx.stop();
        }
    }

    fn framework_message(&mut self, m: FrameworkToExecutorMessage, cx: &mut Ctx<Self>) {
        slog::info!(cx.log(), "message of the framework ignored"; "bytes" => m.data.len());
    }

    fn shutdown(&mut self, _: ShutdownExecutorMessage, cx: &mut Ctx<Self>) {
        self.shut_down(cx);
    }
}

/// The task's news, and what they make necessary.
impl CommandExecutor {
    /// Has something decided by the task, and does it.
    fn decide(&mut self, event: impl FnOnce(&mut CommandTask) -> Vec<Effect>, cx: &mut Ctx<Self>) {
        let effects = self.task.as_mut().map(event).unwrap_or_default();
        self.apply(effects, cx);
    }

    fn apply(&mut self, effects: Vec<Effect>, cx: &mut Ctx<Self>) {
        let Some(id) = self.task.as_ref().map(CommandTask::id) else { return };
        for effect in effects {
            match effect {
                Effect::Update(outcome) => self.update(&id, outcome, cx),
                Effect::Start(command) => {
                    let Some(task) = self.task.as_ref() else { continue };
                    let starting = self.runner.start(*command, task.info(), cx.subprocesses());
                    cx.defer(starting, Self::started);
                }
                Effect::Signal(signal) => self.signal(signal, cx),
                Effect::Grace(grace) => {
                    let timer = cx.after(grace, |executor, cx| {
                        executor.decide(CommandTask::grace_is_over, cx);
                    });
                    if let Some(old) = self.escalation.replace(timer) {
                        cx.cancel(&old);
                    }
                }
                Effect::LimitTime(limit) => {
                    cx.after(limit, |executor, cx| {
                        let now = cx.now();
                        executor.decide(|task| task.time_is_over(now), cx);
                    });
                }
                Effect::AwaitAcknowledgement => self.await_acknowledgement(cx),
            }
        }
    }

    /// The end has been told: it is to be acknowledged soon, unless the slave is gone and may come
    /// back for it.
    fn await_acknowledgement(&self, cx: &mut Ctx<Self>) {
        let limit = if self.shutting_down { SHUTDOWN_RESERVE } else { LAST_ACK };
        cx.after(limit, |executor, cx| {
            if executor.recovery.is_none() || executor.shutting_down {
                cx.stop();
            }
        });
    }

    fn started(&mut self, started: Result<Started, String>, cx: &mut Ctx<Self>) {
        let started = match started {
            Ok(started) => started,
            Err(error) => {
                let noun = self.runner.noun().to_lowercase();
                let reason = format!("Failed to launch {noun}: {error}");
                return self.decide(|task| task.failed(&reason), cx);
            }
        };
        slog::info!(cx.log(), "command started"; "process" => started.pid);
        self.pid = started.pid;
        self.container_status = started.status;
        self.data = started.data;
        self.decide(CommandTask::started, cx);
        self.data = None;
        self.start_checks(cx);
        cx.defer(started.ended, |executor, ended, cx| {
            slog::info!(cx.log(), "command ended"; "status" => ended.status.map(|it| it.raw));
            executor.decide(|task| task.ended(ended.status), cx);
        });
    }

    pub(super) fn kill(&mut self, grace: Duration, cx: &mut Ctx<Self>) {
        let (now, announce) = (cx.now(), self.announces_kills());
        self.decide(|task| task.kill(grace, now, announce), cx);
    }

    fn announces_kills(&self) -> bool {
        self.framework.as_ref().is_some_and(|info| {
            info.capabilities.iter().any(|c| c.r#type() == Capability::TaskKillingState)
        })
    }

    fn signal(&self, signal: i32, cx: &mut Ctx<Self>) {
        let signalled = self.runner.signal(self.pid, signal, cx.subprocesses());
        cx.defer(signalled, |_, signalled, cx| {
            if let Err(reason) = signalled {
                slog::warn!(cx.log(), "cannot signal the command"; "reason" => reason);
            }
        });
    }

    fn shut_down(&mut self, cx: &mut Ctx<Self>) {
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        if self.task.as_ref().is_none_or(CommandTask::is_over) {
            if self.unacknowledged.is_empty() {
                return cx.stop();
            }
            // The last update may still be under way; its acknowledgement ends the wait.
            cx.after(SHUTDOWN_RESERVE, |_, cx| cx.stop());
            return;
        }
        let limit = self.settings.shutdown_grace;
        self.kill(limit.saturating_sub(SHUTDOWN_RESERVE), cx);
        cx.after(limit, |executor, cx| {
            executor.decide(CommandTask::grace_is_over, cx);
            cx.stop();
        });
    }

    pub(super) fn update(&mut self, id: &TaskId, outcome: Outcome, cx: &mut Ctx<Self>) {
        let mut status = status::of(id, outcome.state, cx.now().as_secs_f64())
            .source(Source::Executor)
            .executor(&self.settings.executor)
            .uuid(cx.uuid().into_bytes())
            .message(outcome.message.replace("Command", self.runner.noun()));
        if let Some(reason) = outcome.reason {
            status = status.reason(reason);
        }
        let mut update = status.update(&self.settings.framework);
        update.slave_id = self.slave_id.clone();
        update.status.slave_id = self.slave_id.clone();
        let killed = outcome.state == TaskState::TaskKilled && self.killed_as_unhealthy;
        update.status.healthy = outcome.healthy.or(killed.then_some(false));
        update.status.check_status = self.check_status;
        update.status.container_status = self.container_status.clone();
        if outcome.state == TaskState::TaskRunning {
            update.status.data = self.data.take();
        }
        self.unacknowledged.push(update.clone());
        let pid = Some(cx.pid().to_string());
        cx.send(&self.slave, &StatusUpdateMessage { update, pid });
    }
}
