//! Containers: started for executors, and what their end means.

use std::path::Path;

use futures::future::BoxFuture;
use libprocess::Ctx;
use libprocess::disk::DiskError;
use protos::ids::{ExecutorId, FrameworkId};

use super::{Slave, shown};
use crate::calls::terminated::{self, End};
use crate::containerizer::{ContainerConfig, ContainerError, Termination};
use crate::effects::Reminder;
use crate::state::{Executor, ExecutorState, Framework};
use crate::{environment, paths};

/// A sandbox is its user's alone: other users' tasks neither read nor list it.
const SANDBOX_MODE: u32 = 0o750;

impl Slave {
    pub(super) fn launch(
        &mut self,
        framework_id: FrameworkId,
        executor_id: ExecutorId,
        cx: &mut Ctx<Self>,
    ) {
        let slave = self.state.id();
        let Some(framework) = self.state.frameworks.get(&framework_id) else { return };
        let Some(executor) = framework.executors.get(&executor_id) else { return };
        let config = &self.state.config;
        let command = executor.info.command.clone().unwrap_or_default();
        let user = executor.runs_as(framework, config.switch_user);
        let container = executor.container.clone();
        let run =
            paths::meta_run(&config.work_dir, &slave, &framework_id, &executor_id, &container);
        let container_config = ContainerConfig {
            environment: environment::of(config, cx.pid(), &slave, framework, executor),
            allocation: executor.allocation(config.cgroups_enable_cfs),
            executor_info: executor.info.clone(),
            command,
            task_info: executor.queued.front().filter(|_| executor.generated).cloned(),
            directory: executor.directory.clone(),
            user: user.clone().filter(|_| nix::unistd::geteuid().is_root()),
            pid_checkpoint: framework.checkpoints().then(|| run.join("pids/forked.pid")),
        };
        let runs = paths::runs(&config.work_dir, &slave, &framework_id, &executor_id);
        let (disk, directory) = (cx.disk(), container_config.directory.clone());
        self.show(framework, executor, &runs);
        let owner = container_config.user.as_deref().and_then(owner);
        // All are asked for at once: a disk keeps the order. The container is prepared meanwhile; it
        // does not run before its process is written down, which comes after all of this.
        let made = disk.create_dir(&directory);
        let closed = disk.chmod(&directory, SANDBOX_MODE);
        let owned = owner.map(|(uid, gid)| disk.chown(&directory, uid, gid));
        let links = [
            framework.checkpoints().then(|| disk.symlink(&run, &run.with_file_name("latest"))),
            Some(disk.symlink(&directory, &runs.join("latest"))),
        ];
        let linked = futures::future::try_join_all(links.into_iter().flatten());
        cx.defer(linked, |slave, linked, cx| {
            if let Err(error) = linked {
                slave.exit(1, format!("cannot write a checkpoint: {error}"), cx);
            }
        });
        let prepared = async move {
            made.await?;
            closed.await?;
            match owned {
                Some(owned) => owned.await,
                None => Ok(()),
            }
        };
        let timeout = self.state.config.executor_registration_timeout;
        let (f, e, c) = (framework_id.clone(), executor_id.clone(), container.clone());
        let reminder = Reminder::ExecutorRegistration(f, e, c);
        cx.after(timeout, move |slave, cx| slave.reminded(reminder, cx));
        cx.defer(prepared, move |slave, prepared: Result<(), DiskError>, cx| {
            let end = End::of(framework_id, executor_id, container);
            slave.prepared(end, prepared, container_config, cx);
        });
    }

    /// Lets operators read an executor's sandbox, under the names that they know.
    fn show(&self, framework: &Framework, executor: &Executor, runs: &Path) {
        let Some(files) = &self.files else { return };
        let real = executor.directory.clone();
        let shown = shown::names(runs, &framework.id, &executor.id, &real);
        let user = executor.user(framework);
        shown.iter().for_each(|path| self.sandboxes.note(path, user));
        files.tell(move |files, _| {
            shown.iter().for_each(|path| files.attach(path, real.clone()));
        });
        self.show_volumes(&framework.id, &executor.id);
    }

    /// As for executors that are launched, for those of an earlier slave.
    pub(super) fn show_recovered(&self) {
        let (work_dir, slave) = (&self.state.config.work_dir, self.state.id());
        for framework in self.state.frameworks.values().chain(&self.state.completed) {
            for executor in framework.completed.iter().chain(framework.executors.values()) {
                let runs = paths::runs(work_dir, &slave, &framework.id, &executor.id);
                self.show(framework, executor, &runs);
            }
        }
    }

    /// The sandbox is there: the container is started unless nobody wants it any more.
    fn prepared(
        &mut self,
        mut end: End,
        prepared: Result<(), DiskError>,
        config: ContainerConfig,
        cx: &mut Ctx<Self>,
    ) {
        if let Err(error) = prepared {
            end.launch_failed = true;
            end.termination.message = error.to_string();
            return self.terminated(end, cx);
        }
        let executor = self.state.executor(&end.framework, &end.executor);
        let wanted = executor.is_some_and(|executor| {
            executor.container == end.container && executor.state == ExecutorState::Registering
        });
        if !wanted {
            return self.terminated(end, cx);
        }
        let launched = self.containerizer.launch(&end.container, config);
        // Asked for at once: a container that is gone in a moment would be unknown afterwards.
        let ended = self.containerizer.wait(&end.container);
        cx.defer(launched, move |slave, launched, cx| slave.launched(end, launched, ended, cx));
    }

    fn launched(
        &mut self,
        mut end: End,
        launched: Result<(), ContainerError>,
        ended: BoxFuture<'static, Option<Termination>>,
        cx: &mut Ctx<Self>,
    ) {
        match launched {
            Ok(()) => cx.defer(ended, move |slave, ended, cx| {
                end.termination = ended.unwrap_or_default();
                slave.terminated(end, cx);
            }),
            Err(error) => {
                slog::warn!(cx.log(), "launch failed"; "reason" => %error);
                end.termination.message = error.to_string();
                end.launch_failed = true;
                self.terminated(end, cx);
            }
        }
    }

    pub(super) fn terminated(&mut self, end: End, cx: &mut Ctx<Self>) {
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
        self.hide_volumes(&end.framework, &end.executor, &end.container);
        self.leave_if_idle(cx);
    }
}

/// The user's numeric id and group; none when there is no such user.
fn owner(user: &str) -> Option<(u32, u32)> {
    let user = nix::unistd::User::from_name(user).ok()??;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}
