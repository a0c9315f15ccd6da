//! The executor driver's actor: runs what [`Session`] decides.

use futures::channel::oneshot;
use libprocess::subprocess::Target;
use libprocess::{Ctx, Pid, Process, Routes};
use protos::ids::{SlaveId, TaskId};
use protos::mesos::TaskStatus;
use protos::mesos::internal::{
    ExecutorRegisteredMessage, ExecutorReregisteredMessage, FrameworkToExecutorMessage,
    KillTaskMessage, ReconnectExecutorMessage, RunTaskMessage, ShutdownExecutorMessage,
    StatusUpdateAcknowledgementMessage,
};

use super::session::{Effect, Event, Session};
use super::{Executor, ExecutorDriver, Status};

/// `SIGKILL`, which is 9 on every platform.
const SIGKILL: i32 = 9;

pub(super) struct ExecutorProcess {
    pub(super) session: Session,
    executor: Box<dyn Executor>,
    waiters: Vec<oneshot::Sender<Status>>,
}

impl Process for ExecutorProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .on(Self::registered)
            .on(Self::reregistered)
            .on(Self::reconnect)
            .on(Self::run_task)
            .on(Self::kill_task)
            .on(Self::acknowledged)
            .on(Self::message)
            .on(Self::shutdown);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let effects = self.session.start(cx.pid().clone());
        self.perform(effects, cx);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        let effects = self.session.exited(pid);
        self.perform(effects, cx);
    }

    fn finalize(&mut self, _cx: &mut Ctx<Self>) {
        self.release(Status::Stopped);
    }
}

impl ExecutorProcess {
    pub(super) fn new(session: Session, executor: Box<dyn Executor>) -> Self {
        Self { session, executor, waiters: Vec::new() }
    }

    fn registered(&mut self, m: ExecutorRegisteredMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.registered(m);
        self.perform(effects, cx);
    }

    fn reregistered(&mut self, m: ExecutorReregisteredMessage, cx: &mut Ctx<Self>) {
        let slave = SlaveId::from(&m.slave_id);
        let effects = self.session.reregistered(&slave, m.slave_info);
        self.perform(effects, cx);
    }

    fn reconnect(&mut self, m: ReconnectExecutorMessage, cx: &mut Ctx<Self>) {
        let slave = SlaveId::from(&m.slave_id);
        let effects = self.session.reconnect(cx.from(), &slave);
        self.perform(effects, cx);
    }

    fn run_task(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.run(m.task);
        self.perform(effects, cx);
    }

    fn kill_task(&mut self, m: KillTaskMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.kill(m.task_id.into(), m.kill_policy);
        self.perform(effects, cx);
    }

    fn acknowledged(&mut self, m: StatusUpdateAcknowledgementMessage, _cx: &mut Ctx<Self>) {
        self.session.acknowledged(&TaskId::from(&m.task_id), &m.uuid);
    }

    fn message(&mut self, m: FrameworkToExecutorMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.message(m.data);
        self.perform(effects, cx);
    }

    fn shutdown(&mut self, _m: ShutdownExecutorMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.shutdown();
        self.perform(effects, cx);
    }

    pub(super) fn update(&mut self, status: TaskStatus, cx: &mut Ctx<Self>) {
        let (uuid, now) = (cx.uuid(), cx.now().as_secs_f64());
        let effects = self.session.update(status, uuid, now);
        self.perform(effects, cx);
    }

    /// Ready when the driver is aborted or stopped.
    pub(super) fn ended(&mut self) -> oneshot::Receiver<Status> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.push(sender);
        if self.session.is_aborted() {
            self.release(Status::Aborted);
        }
        receiver
    }

    fn release(&mut self, status: Status) {
        for waiter in self.waiters.drain(..) {
            // Nobody waits any more: fine.
            let _ = waiter.send(status);
        }
    }

    pub(super) fn perform(&mut self, effects: Vec<Effect>, cx: &mut Ctx<Self>) {
        for effect in effects {
            match effect {
                Effect::Link(pid) => cx.link(&pid),
                Effect::Register(to, message) => cx.send(&to, &message),
                Effect::Reregister(to, message) => cx.send(&to, &message),
                Effect::Update(to, message) => cx.send(&to, &*message),
                Effect::Message(to, message) => cx.send(&to, &message),
                Effect::Tell(event) => self.tell(event, cx),
                Effect::AwaitSlave(connection) => {
                    let timeout = self.session.place().recovery_timeout;
                    cx.after(timeout, move |process, cx| {
                        let effects = process.session.waited(connection);
                        process.perform(effects, cx);
                    });
                }
                Effect::KillGroupLater => self.kill_group_later(cx),
                Effect::Abort => self.release(Status::Aborted),
                Effect::Note(text) => slog::info!(cx.log(), "{}", text),
            }
        }
    }

    /// A shut-down executor that lingers takes its process group with it.
    fn kill_group_later(&self, cx: &Ctx<Self>) {
        let (grace, host) = (self.session.place().shutdown_grace, cx.subprocesses());
        let (delay, log) = (cx.sleep(grace), cx.log().clone());
        cx.defer(
            async move {
                delay.await;
                // Group 0 is the caller's own.
                if let Err(error) = host.signal(Target::Group(0), SIGKILL) {
                    slog::error!(log, "cannot end the process group"; "reason" => %error);
                }
            },
            |_, (), _| (),
        );
    }

    fn tell(&mut self, event: Event, cx: &Ctx<Self>) {
        let driver = ExecutorDriver::new(cx.node().clone(), cx.handle());
        let executor = &mut self.executor;
        match event {
            Event::Registered(about) => {
                executor.registered(&driver, &about.0, &about.1, &about.2);
            }
            Event::Reregistered(slave) => executor.reregistered(&driver, &slave),
            Event::Disconnected => executor.disconnected(&driver),
            Event::Launch(task) => executor.launch_task(&driver, *task),
            Event::Kill(task, policy) => executor.kill_task(&driver, &task, policy.as_ref()),
            Event::Message(data) => executor.framework_message(&driver, data),
            Event::Shutdown => executor.shutdown(&driver),
            Event::Error(text) => executor.error(&driver, &text),
        }
    }
}
