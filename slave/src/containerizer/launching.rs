//! The stages of a launch.

use std::sync::Arc;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, select};
use isolators::docker::runtime::DockerRuntime;
use isolators::images::{Images, Provisioned};
use isolators::preparer::Preparer;
use isolators::{ContainerSetup, IsolatorError, LaunchInfo};
use libprocess::Ctx;
use protos::ids::ContainerId;
use protos::mesos;

use super::launcher::{self, Forked, Spec};
use super::mesos_containerizer::{Container, MesosContainerizer};
use super::states::State;
use super::{ContainerConfig, ContainerError, Termination, command_task, served};
use crate::fetcher::FetchRequest;

/// One launch on its way through the stages.
pub(super) struct Launch {
    id: ContainerId,
    config: ContainerConfig,
    user: Option<(u32, u32)>,
    info: LaunchInfo,
    /// The command task has a root that its executor does not enter.
    keep_root: bool,
    rootfs: bool,
    reply: oneshot::Sender<Result<(), ContainerError>>,
}

impl MesosContainerizer {
    pub(super) fn launch(
        &mut self,
        id: ContainerId,
        mut config: ContainerConfig,
        reply: oneshot::Sender<Result<(), ContainerError>>,
        cx: &mut Ctx<Self>,
    ) {
        if self.containers.contains_key(&id) {
            let _ = reply.send(Err(ContainerError::Exists(id)));
            return;
        }
        let user = match config.user.as_deref().map(launcher::user).transpose() {
            Ok(user) => user,
            Err(reason) => {
                self.remember(&id, Termination { message: reason.clone(), ..Default::default() });
                let _ = reply.send(Err(ContainerError::Launch { id, reason }));
                return;
            }
        };
        let asked = match &mut config.task_info {
            Some(task) => &mut task.container,
            None => &mut config.executor_info.container,
        };
        if asked.is_none() {
            *asked = self.default_container.clone().map(Box::new);
        }
        let mut container = Container::new(
            State::Provisioning,
            config.allocation.clone(),
            config.directory.clone(),
        );
        let image = image(&config).cloned();
        let (keep_root, rootfs) = (false, false);
        let launch = Launch {
            id: id.clone(),
            config,
            user,
            info: LaunchInfo::default(),
            keep_root,
            rootfs,
            reply,
        };
        let Some(image) = image else {
            self.containers.insert(id, container);
            return self.prepare(launch, None, cx);
        };
        let (cancel, cancelled) = oneshot::channel::<()>();
        container.cancel = Some(cancel);
        self.containers.insert(id.clone(), container);
        let Some(images) = &self.images else {
            let reason = "it needs an image, and no image provider is there (flag image_providers)";
            return self.failed(launch, reason.to_owned(), cx);
        };
        let made = select(images.provision(&id, &image), cancelled);
        let made = made.map(|made| match made {
            Either::Left((made, _)) => made,
            Either::Right(_) => Err("destroyed while its image was provided".to_owned()),
        });
        cx.defer(made, move |this, made, cx| match made {
            Ok(made) => this.prepare(launch, Some(made), cx),
            Err(reason) => this.failed(launch, reason, cx),
        });
    }

    fn prepare(&mut self, mut launch: Launch, made: Option<Provisioned>, cx: &mut Ctx<Self>) {
        if !self.step(&launch.id, State::Preparing) {
            return self.failed(launch, "destroyed before it was prepared".to_owned(), cx);
        }
        let mut setup = setup(&launch.config, launch.user);
        let has = |name: &str| self.isolators.iter().any(|isolator| isolator.name() == name);
        if let Some(reason) = served::objection(&setup, has) {
            return self.failed(launch, reason, cx);
        }
        launch.rootfs = made.is_some();
        if let Some(made) = made {
            setup.rootfs = Some(made.rootfs);
            // Without who reads it, what the image says of itself counts for nothing.
            let read = self.isolators.iter().any(|isolator| isolator.name() == DockerRuntime::NAME);
            setup.image = Some(made.config).filter(|_| read);
            let sandbox = self.sandbox_directory.display().to_string();
            launch.config.environment.insert("MESOS_SANDBOX".to_owned(), sandbox);
        }
        let setup = Arc::new(setup);
        let id = launch.id.clone();
        let preparing: Vec<_> =
            self.isolators.iter().map(|i| i.prepare(&id, setup.clone())).collect();
        // In their order, one after the other: a later one may build on what an earlier one made.
        let prepared = async move {
            let mut parts = Vec::new();
            for part in preparing {
                parts.push(part.await?);
            }
            Ok(parts)
        };
        cx.defer(prepared, move |this, parts, cx| this.prepared(launch, parts, cx));
    }

    fn prepared(
        &mut self,
        mut launch: Launch,
        parts: Result<Vec<LaunchInfo>, IsolatorError>,
        cx: &mut Ctx<Self>,
    ) {
        let parts = match parts {
            Ok(parts) => parts,
            Err(error) => return self.failed(launch, error.to_string(), cx),
        };
        for part in parts {
            if let Err(error) = isolators::launch::merge(&mut launch.info, part) {
                return self.failed(launch, error.to_string(), cx);
            }
        }
        if launch.rootfs && launch.config.task_info.is_some() {
            let info = std::mem::take(&mut launch.info);
            launch.info = command_task::split(info, &mut launch.config, &self.launcher_dir);
            launch.keep_root = true;
        } else if let Some(environment) = launch.info.task_environment.take() {
            command_task::tell(
                &LaunchInfo { environment: Some(environment), ..LaunchInfo::default() },
                &mut launch.config,
            );
        }
        if !self.step(&launch.id, State::Fetching) {
            return self.failed(launch, "destroyed while it was prepared".to_owned(), cx);
        }
        let request = FetchRequest {
            container: launch.id.clone(),
            directory: launch.config.directory.clone(),
            uris: launch.config.command.uris.clone(),
            user: launch.user,
        };
        if request.uris.is_empty() {
            return self.fetched(launch, cx);
        }
        let fetching = self.fetcher.ask_later(move |fetcher, cx| fetcher.fetch(request, cx));
        cx.defer(fetching, move |this, fetched, cx| match fetched {
            Ok(Ok(())) => this.fetched(launch, cx),
            Ok(Err(error)) => this.failed(launch, error.to_string(), cx),
            Err(gone) => this.failed(launch, gone.to_string(), cx),
        });
    }

    fn fetched(&mut self, launch: Launch, cx: &mut Ctx<Self>) {
        if !self.step(&launch.id, State::Isolating) {
            return self.failed(launch, "destroyed while it fetched".to_owned(), cx);
        }
        let (config, info) = (launch.config.clone(), launch.info.clone());
        let (user, keep_root) = (launch.user, launch.keep_root);
        let spec = Spec { id: launch.id.clone(), config, user, info, keep_root };
        let starting = self.launcher.fork(spec, cx.subprocesses());
        cx.defer(starting, move |this, started, cx| match started {
            Ok(child) => this.started(launch, child, cx),
            Err(reason) => this.failed(launch, reason, cx),
        });
    }

    /// The first process is there, and waits: its id is written down and it is isolated, then it
    /// goes. A slave that dies before takes it along; one that dies later finds it again.
    fn started(&mut self, launch: Launch, child: Forked, cx: &mut Ctx<Self>) {
        let (id, pid) = (launch.id.clone(), child.pid);
        if let Some(container) = self.containers.get_mut(&id) {
            container.pid = Some(pid);
        }
        let ended = id.clone();
        cx.defer(child.ended, move |this, end, cx| this.ended(&ended, end, cx));
        let written = launch.config.pid_checkpoint.as_ref().map(|path| {
            // Asked for here: a disk keeps the order.
            cx.disk().write(path, pid.to_string().into())
        });
        let isolating: Vec<_> = self.isolators.iter().map(|i| i.isolate(&id, pid)).collect();
        let go = child.go;
        let isolated = async move {
            if let Some(written) = written {
                written.await.map_err(|error| error.to_string())?;
            }
            let isolated = futures::future::try_join_all(isolating).await;
            isolated.map_err(|error| error.to_string())?;
            go().await
        };
        cx.defer(isolated, move |this, isolated, cx| match isolated {
            Ok(()) if this.step(&launch.id, State::Running) => {
                this.watch(&launch.id, cx);
                let _ = launch.reply.send(Ok(()));
                this.finish_if_ended(&launch.id, cx);
            }
            Ok(()) => this.failed(launch, "destroyed while it was started".to_owned(), cx),
            Err(reason) => this.failed(launch, reason, cx),
        });
    }

    /// A container that exceeds a limit is destroyed.
    pub(super) fn watch(&mut self, id: &ContainerId, cx: &mut Ctx<Self>) {
        for isolator in &self.isolators {
            let (watched, id) = (isolator.watch(id), id.clone());
            cx.defer(watched, move |this, limitation, cx| {
                let Some(limitation) = limitation else { return };
                let Some(container) = this.containers.get_mut(&id) else { return };
                slog::info!(cx.log(), "container exceeds a limit";
                    "container" => %id, "reason" => limitation.message().lines().next());
                container.limitation.get_or_insert(limitation);
                this.destroy(&id, cx);
            });
        }
    }

    /// A stage failed: what runs is killed, then the container is cleaned up.
    fn failed(&mut self, launch: Launch, reason: String, cx: &mut Ctx<Self>) {
        slog::warn!(cx.log(), "container launch failed";
            "container" => %launch.id, "reason" => &reason);
        let Launch { id, reply, .. } = launch;
        if let Some(container) = self.containers.get_mut(&id) {
            container.failure = Some(reason.clone());
            container.state = State::Destroying;
        }
        self.kill(&id, cx);
        let _ = reply.send(Err(ContainerError::Launch { id, reason }));
    }
}

/// The image that a container is to be made of.
fn image(config: &ContainerConfig) -> Option<&mesos::Image> {
    let asked = match &config.task_info {
        Some(task) => task.container.as_ref(),
        None => config.executor_info.container.as_ref(),
    };
    asked?.mesos.as_ref()?.image.as_ref()
}

/// What isolators are told of a container.
fn setup(config: &ContainerConfig, user: Option<(u32, u32)>) -> ContainerSetup {
    let task = config.task_info.as_ref();
    let asked = task.map_or(&config.executor_info.container, |task| &task.container);
    ContainerSetup {
        allocation: config.allocation.clone(),
        directory: config.directory.clone(),
        user,
        container_info: asked.as_deref().cloned(),
        command: config.command.clone(),
        task_command: task.and_then(|task| task.command.clone()),
        is_command_task: task.is_some(),
        ..ContainerSetup::default()
    }
}
