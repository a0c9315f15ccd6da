//! The process `executor(1)`.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::subprocess::{Child, Command, Ended, Output, SubprocessError, Target};
use libprocess::{Ctx, Pid, Process, Routes, Timer};
use protos::ids::TaskId;
use protos::mesos;
use protos::mesos::TaskState;
use protos::mesos::framework_info::capability::Type as Capability;
use protos::mesos::internal::*;
use protos::mesos::task_status::{Reason, Source};
use protos::status;

use super::outcome::{Outcome, outcome};
use super::settings::Settings;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// From SIGTERM to SIGKILL when neither task nor kill says otherwise.
const DEFAULT_KILL_GRACE: Duration = Duration::from_secs(3);
/// What a shutdown keeps in hand for reaping and for the last update.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);
/// The slave has so long to acknowledge the terminal update.
const LAST_ACK: Duration = Duration::from_secs(60);

/// The one task, and how far it got.
struct Running {
    info: mesos::TaskInfo,
    /// The command's process once it is started; it leads a session.
    pid: Option<u32>,
    killed: bool,
    time_over: bool,
    /// Armed between SIGTERM and SIGKILL.
    escalation: Option<Timer>,
    /// When SIGKILL is due; a second kill may only make it sooner.
    escalation_due: Option<libprocess::Time>,
    ended: bool,
}

/// Runs the command of a command task and reports on it to the slave.
pub struct CommandExecutor {
    settings: Settings,
    slave: Pid,
    framework: Option<mesos::FrameworkInfo>,
    slave_id: Option<mesos::SlaveId>,
    task: Option<Running>,
    /// Updates that the slave has not stored yet, oldest first.
    unacknowledged: Vec<StatusUpdate>,
    /// The slave has stored an update: it knows the task.
    acknowledged: bool,
    shutting_down: bool,
    connected: bool,
}

impl CommandExecutor {
    /// An executor that has yet to be spawned.
    pub fn new(settings: Settings) -> Self {
        Self {
            slave: settings.slave.clone(),
            settings,
            framework: None,
            slave_id: None,
            task: None,
            unacknowledged: Vec::new(),
            acknowledged: false,
            shutting_down: false,
            connected: false,
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
        cx.link(&self.slave);
        let message = RegisterExecutorMessage {
            framework_id: self.settings.framework.wire(),
            executor_id: self.settings.executor.wire(),
        };
        cx.send(&self.slave, &message);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        if *pid != self.slave || self.shutting_down {
            return;
        }
        self.connected = false;
        if !self.settings.checkpoint {
            slog::info!(cx.log(), "slave is gone: shutting down");
            return self.shut_down(cx);
        }
        slog::info!(cx.log(), "slave is gone: waiting for it to recover");
        cx.after(self.settings.recovery_timeout, |executor, cx| {
            if !executor.connected {
                executor.shut_down(cx);
            }
        });
    }
}

/// Messages of the slave.
impl CommandExecutor {
    fn registered(&mut self, m: ExecutorRegisteredMessage, cx: &mut Ctx<Self>) {
        slog::info!(cx.log(), "registered"; "slave" => &m.slave_id.value);
        self.connected = true;
        self.framework = Some(m.framework_info);
        self.slave_id = Some(m.slave_id);
    }

    fn reregistered(&mut self, m: ExecutorReregisteredMessage, _: &mut Ctx<Self>) {
        self.connected = true;
        self.slave_id = Some(m.slave_id);
    }

    fn reconnect(&mut self, m: ReconnectExecutorMessage, cx: &mut Ctx<Self>) {
        self.slave = cx.from().clone();
        self.slave_id = Some(m.slave_id);
        cx.link(&self.slave);
        let known = self.task.iter().filter(|_| !self.acknowledged);
        let message = ReregisterExecutorMessage {
            executor_id: self.settings.executor.wire(),
            framework_id: self.settings.framework.wire(),
            tasks: known.map(|task| task.info.clone()).collect(),
            updates: self.unacknowledged.clone(),
        };
        cx.send(&self.slave, &message);
    }

    fn run_task(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        if self.task.is_some() || self.shutting_down {
            let why = "this executor runs one command only".to_owned();
            let (state, reason) = (TaskState::TaskFailed, None);
            let outcome = Outcome { state, reason, message: why };
            return self.update(&TaskId::from(&m.task.task_id), outcome, cx);
        }
        let id = TaskId::from(&m.task.task_id);
        let command = command(&m.task, &self.settings.environment);
        self.task = Some(Running {
            info: m.task,
            pid: None,
            killed: false,
            time_over: false,
            escalation: None,
            escalation_due: None,
            ended: false,
        });
        self.update(&id, Outcome::of(TaskState::TaskStarting), cx);
        match command {
            Err(reason) => self.failed(&reason, cx),
            Ok(command) => {
                let starting = cx.subprocesses().spawn(command);
                cx.defer(starting, Self::started);
            }
        }
    }

    fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        let policy = m.kill_policy.as_ref();
        let own = self.task.as_ref().and_then(|task| task.info.kill_policy.as_ref());
        let grace = policy.or(own).and_then(|policy| policy.grace_period.as_ref());
        let grace = grace.map_or(DEFAULT_KILL_GRACE, nanoseconds);
        self.kill(grace, true, cx);
    }

    fn acknowledge(&mut self, m: StatusUpdateAcknowledgementMessage, cx: &mut Ctx<Self>) {
        self.acknowledged = true;
        self.unacknowledged.retain(|update| update.uuid.as_ref() != Some(&m.uuid));
        let over = self.task.as_ref().is_some_and(|task| task.ended);
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

/// The command's life.
impl CommandExecutor {
    fn started(&mut self, started: Result<Child, SubprocessError>, cx: &mut Ctx<Self>) {
        let child = match started {
            Ok(child) => child,
            Err(error) => return self.failed(&format!("Failed to launch command: {error}"), cx),
        };
        let Some(task) = &mut self.task else { return };
        task.pid = Some(child.pid);
        let id = TaskId::from(&task.info.task_id);
        if let Some(limit) = &task.info.max_completion_time {
            cx.after(nanoseconds(limit), Self::time_is_over);
        }
        slog::info!(cx.log(), "command started"; "process" => child.pid);
        self.update(&id, Outcome::of(TaskState::TaskRunning), cx);
        cx.defer(child.ended, Self::ended);
        // A kill may have come while the command was being started.
        if self.task.as_ref().is_some_and(|task| task.killed) {
            self.signal(SIGTERM, cx);
        }
    }

    fn failed(&mut self, reason: &str, cx: &mut Ctx<Self>) {
        let Some(task) = &mut self.task else { return };
        task.ended = true;
        let id = TaskId::from(&task.info.task_id);
        let (state, message) = (TaskState::TaskFailed, reason.to_owned());
        self.update(&id, Outcome { state, reason: None, message }, cx);
        self.wait_for_last_ack(cx);
    }

    fn ended(&mut self, ended: Ended, cx: &mut Ctx<Self>) {
        let Some(task) = &mut self.task else { return };
        task.ended = true;
        if let Some(timer) = task.escalation.take() {
            cx.cancel(&timer);
        }
        let id = TaskId::from(&task.info.task_id);
        let (killed, time_over) = (task.killed, task.time_over);
        let outcome = outcome(ended.status, killed, time_over);
        slog::info!(cx.log(), "command ended"; "how" => &outcome.message);
        // Whatever the command left behind in its session goes with it.
        self.signal(SIGKILL, cx);
        self.update(&id, outcome, cx);
        self.wait_for_last_ack(cx);
    }

    fn wait_for_last_ack(&mut self, cx: &mut Ctx<Self>) {
        let limit = if self.shutting_down { SHUTDOWN_RESERVE } else { LAST_ACK };
        cx.after(limit, |_, cx| cx.stop());
    }

    fn time_is_over(&mut self, cx: &mut Ctx<Self>) {
        if let Some(task) = self.task.as_mut().filter(|task| !task.killed && !task.ended) {
            task.time_over = true;
            self.kill(Duration::ZERO, false, cx);
        }
    }

    /// SIGTERM now, SIGKILL after the grace period, both to the command's whole tree.
    fn kill(&mut self, grace: Duration, announce: bool, cx: &mut Ctx<Self>) {
        let due = cx.now() + grace;
        let Some(task) = self.task.as_mut().filter(|task| !task.ended) else { return };
        let first = !std::mem::replace(&mut task.killed, true);
        if !first && task.escalation_due.is_some_and(|earlier| earlier <= due) {
            return;
        }
        task.escalation_due = Some(due);
        let timer = cx.after(grace, |executor, cx| executor.signal(SIGKILL, cx));
        if let Some(old) = task.escalation.replace(timer) {
            cx.cancel(&old);
        }
        let id = TaskId::from(&task.info.task_id);
        if first {
            if announce && self.announces_kills() {
                self.update(&id, Outcome::of(TaskState::TaskKilling), cx);
            }
            self.signal(SIGTERM, cx);
        }
    }

    fn announces_kills(&self) -> bool {
        self.framework.as_ref().is_some_and(|info| {
            info.capabilities.iter().any(|c| c.r#type() == Capability::TaskKillingState)
        })
    }

    fn signal(&self, signal: i32, cx: &Ctx<Self>) {
        let Some(pid) = self.task.as_ref().and_then(|task| task.pid) else { return };
        if let Err(error) = cx.subprocesses().signal(Target::Tree(pid), signal) {
            slog::warn!(cx.log(), "cannot signal the command"; "reason" => %error);
        }
    }

    fn shut_down(&mut self, cx: &mut Ctx<Self>) {
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        match &self.task {
            Some(task) if !task.ended => {
                let grace = self.settings.shutdown_grace.saturating_sub(SHUTDOWN_RESERVE);
                self.kill(grace, true, cx);
                cx.after(self.settings.shutdown_grace, |executor, cx| {
                    executor.signal(SIGKILL, cx);
                    cx.stop();
                });
            }
            _ => cx.stop(),
        }
    }

    fn update(&mut self, id: &TaskId, outcome: Outcome, cx: &mut Ctx<Self>) {
        let mut status = status::of(id, outcome.state, cx.now().as_secs_f64())
            .source(Source::Executor)
            .executor(&self.settings.executor)
            .uuid(cx.uuid().into_bytes())
            .message(outcome.message);
        if let Some(reason) = outcome.reason {
            status = status.reason(reason);
        }
        let mut update = status.update(&self.settings.framework);
        update.slave_id = self.slave_id.clone();
        update.status.slave_id = self.slave_id.clone();
        self.unacknowledged.push(update.clone());
        let pid = Some(cx.pid().to_string());
        cx.send(&self.slave, &StatusUpdateMessage { update, pid });
    }
}

impl Outcome {
    fn of(state: TaskState) -> Self {
        Self { state, reason: None::<Reason>, message: String::new() }
    }
}

fn nanoseconds(duration: &mesos::DurationInfo) -> Duration {
    Duration::from_nanos(u64::try_from(duration.nanoseconds).unwrap_or(0))
}

/// The command of a task: a shell line, or a program with its whole argv.
fn command(
    task: &mesos::TaskInfo,
    inherited: &BTreeMap<String, String>,
) -> Result<Command, String> {
    let info = task.command.as_ref().ok_or("the task has no command")?;
    let value = info.value.clone().ok_or("the command has no value")?;
    let (program, argv) = if info.shell.unwrap_or(true) {
        ("/bin/sh".to_owned(), vec!["sh".to_owned(), "-c".to_owned(), value])
    } else if info.arguments.is_empty() {
        (value.clone(), vec![value])
    } else {
        (value, info.arguments.clone())
    };
    let mut env = inherited.clone();
    for variable in info.environment.iter().flat_map(|environment| &environment.variables) {
        env.insert(variable.name.clone(), variable.value.clone().unwrap_or_default());
    }
    let role = task.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.clone());
    if let Some(role) = role {
        env.insert("MESOS_ALLOCATION_ROLE".to_owned(), role);
    }
    // The command talks to no slave by libprocess; a port of the executor's would be in its way.
    env.remove("LIBPROCESS_PORT");
    let (stdout, stderr) = (Output::Inherit, Output::Inherit);
    let (session, die_with_parent) = (true, true);
    Ok(Command {
        program,
        argv,
        env,
        stdout,
        stderr,
        session,
        die_with_parent,
        ..Command::default()
    })
}
