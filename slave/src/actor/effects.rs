//! Deciding and doing.

use futures::FutureExt;
use futures::channel::oneshot;
use libprocess::{Ctx, Pid, Time};
use protos::ids::{FrameworkId, TaskId};
use protos::mesos::internal::*;

use super::Slave;
use crate::calls::{executors, run_task, shutdown, updates};
use crate::containerizer::ContainerError;
use crate::effects::{Effect, Effects, Reminder};
use crate::registration::Standing;
use crate::state::State;
use crate::status_updates::{Acknowledged, StatusUpdateManager};

impl Slave {
    /// Sends an update to the master, with the newest state that is known.
    pub(super) fn forward(&mut self, update: &StatusUpdate, cx: &mut Ctx<Self>) {
        let Some(master) = self.state.master.clone() else { return };
        let framework = FrameworkId::from(&update.framework_id);
        let task = TaskId::from(&update.status.task_id);
        let latest = updates::latest_state(&mut self.state, &framework, &task);
        let mut update = update.clone();
        update.latest_state = latest.or(Some(update.status.state));
        let pid = Some(cx.pid().to_string());
        cx.send(&master, &StatusUpdateMessage { update, pid });
    }

    pub(super) fn decide(
        &mut self,
        cx: &mut Ctx<Self>,
        decide: impl FnOnce(&mut State, &mut Effects),
    ) {
        let mut fx = Effects::default();
        decide(&mut self.state, &mut fx);
        for effect in fx.0 {
            self.carry_out(effect, cx);
        }
    }

    pub(super) fn manage(
        &self,
        call: impl FnOnce(&mut StatusUpdateManager, &mut Ctx<StatusUpdateManager>) + Send + 'static,
    ) {
        if let Some(updates) = &self.updates {
            updates.tell(call);
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect, cx: &mut Ctx<Self>) {
        match effect {
            Effect::Send { to, name, body } => cx.send_raw(&to, name.into(), body),
            Effect::Link(pid) => cx.link(&pid),
            Effect::Write(path, bytes) => {
                let (done, written_one) = oneshot::channel::<()>();
                // A disk keeps the order: when the last write is done, all are.
                self.last_write = written_one.map(drop).boxed().shared();
                let written = cx.disk().write(&path, bytes);
                cx.defer(written, move |slave, written, cx| {
                    let _ = done.send(());
                    if let Err(error) = written {
                        slave.exit(1, format!("cannot write a checkpoint: {error}"), cx);
                    }
                });
            }
            Effect::Resources(change) => self.change_resources(change, cx),
            Effect::Launch(framework, executor) => self.launch(framework, executor, cx),
            Effect::Resize { framework, executor, container, allocation } => {
                self.show_volumes(&framework, &executor);
                let resized = self.containerizer.update(&container, allocation);
                let written = self.last_write.clone();
                // An executor gets no task before its checkpoint is written.
                let resized = async move {
                    written.await;
                    resized.await
                };
                cx.defer(resized, move |slave, resized, cx| {
                    slave.decide(cx, |state, fx| match resized {
                        // The end of an unknown one is told by the containerizer.
                        Ok(()) | Err(ContainerError::Unknown(_)) => {
                            run_task::hand_over(state, &framework, &executor, fx);
                        }
                        Err(error) => {
                            let (f, e, why) = (&framework, &executor, error.to_string());
                            executors::resize_failed(state, f, e, &container, &why, fx);
                        }
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
            Effect::Collect(paths) => {
                let now = cx.now();
                self.collect(paths.into_iter().map(|path| (path, now)).collect(), now);
            }
            Effect::Keep(paths) => {
                if let Some(gc) = &self.gc {
                    gc.tell(move |gc, _| gc.keep(&paths));
                }
            }
            Effect::Note(what) => slog::info!(cx.log(), "{}", what),
            Effect::Refused(reason) => {
                slog::warn!(cx.log(), "refused"; "from" => %cx.from(), "reason" => reason);
            }
            Effect::Count(metric) => cx.node().metrics().counter(metric).increment(),
            Effect::Exit(code, reason) => self.exit(code, reason, cx),
        }
    }

    /// Has directories removed once they are old; those in use are left out.
    pub(super) fn collect(&self, mut paths: Vec<(std::path::PathBuf, Time)>, now: Time) {
        paths.retain(|(path, _)| !self.state.uses(path));
        if let Some(gc) = &self.gc {
            // Nothing was changed in the future, whatever the clock once said.
            let paths: Vec<_> = paths.into_iter().map(|(path, at)| (path, at.min(now))).collect();
            gc.tell(move |gc, _| gc.collect(paths));
        }
    }

    /// Hands an update to its stream; the executor is told once it is safe.
    pub(super) fn store(
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

    pub(super) fn acknowledge(
        &mut self,
        framework: FrameworkId,
        task: TaskId,
        uuid: bytes::Bytes,
        cx: &mut Ctx<Self>,
    ) {
        let Some(updates) = &self.updates else { return };
        let (f, t) = (framework.clone(), task.clone());
        let done = updates.ask_later(move |manager, cx| manager.acknowledge(f, t, uuid, cx));
        cx.defer(done, move |slave, done, cx| {
            if let Ok(Ok(Acknowledged::Closed)) = done {
                slave.decide(cx, |state, fx| updates::closed(state, &framework, &task, fx));
            }
        });
    }

    pub(super) fn reminded(&mut self, reminder: Reminder, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx| match &reminder {
            Reminder::ExecutorRegistration(framework, executor, container) => {
                executors::registration_timed_out(state, framework, executor, container, fx);
            }
            Reminder::ExecutorShutdown(framework, executor, container) => {
                shutdown::shutdown_timed_out(state, framework, executor, container, fx);
            }
        });
    }

    pub(super) fn exit(&mut self, code: i32, reason: String, cx: &mut Ctx<Self>) {
        self.registration.standing = Standing::Terminating;
        slog::error!(cx.log(), "slave ends"; "reason" => &reason);
        (self.state.config.on_exit)(code, reason);
        cx.stop();
    }
}
