//! The stages of a launch.

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, select};
use isolators::LaunchInfo;
use libprocess::Ctx;
use protos::ids::ContainerId;
use protos::mesos::{self, CommandInfo};

use super::actor::{Container, DockerContainerizer, State, name};
use crate::containerizer::launcher::{self, Forked, Spec};
use crate::containerizer::{ContainerConfig, ContainerError, Termination};
use crate::fetcher::FetchRequest;
use crate::provisioner::credential;

/// One launch on its way through the stages.
pub(super) struct Launch {
    id: ContainerId,
    config: ContainerConfig,
    user: Option<(u32, u32)>,
    reply: oneshot::Sender<Result<(), ContainerError>>,
}

fn asked(config: &ContainerConfig) -> Option<&mesos::ContainerInfo> {
    match &config.task_info {
        Some(task) => task.container.as_deref(),
        None => config.executor_info.container.as_deref(),
    }
}

impl DockerContainerizer {
    pub(super) fn launch(
        &mut self,
        id: ContainerId,
        config: ContainerConfig,
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
        let container =
            Container::new(State::Fetching, config.allocation.clone(), config.directory.clone());
        self.containers.insert(id.clone(), container);
        let request = FetchRequest {
            container: id.clone(),
            directory: config.directory.clone(),
            uris: config.command.uris.clone(),
            user,
        };
        let launch = Launch { id, config, user, reply };
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
        if !self.step(&launch.id, State::Fetching, State::Pulling) {
            return self.failed(launch, "destroyed while it fetched".to_owned(), cx);
        }
        let docker = asked(&launch.config).and_then(|info| info.docker.clone());
        let Some(docker) = docker else {
            return self.failed(launch, "the container names no image".to_owned(), cx);
        };
        let credential = credential(&docker.image, self.options.config.as_ref());
        let api = self.api.clone();
        let pulling = async move {
            let force = docker.force_pull_image.unwrap_or(false);
            let pulled = api.pull(&docker.image, force, credential.as_deref()).await;
            pulled.map_err(|error| format!("cannot pull image '{}': {error}", docker.image))
        };
        let (cancel, cancelled) = oneshot::channel::<()>();
        if let Some(container) = self.containers.get_mut(&launch.id) {
            container.cancel = Some(cancel);
        }
        let pulled = select(pulling.boxed(), cancelled).map(|pulled| match pulled {
            Either::Left((pulled, _)) => pulled,
            Either::Right(_) => Err("destroyed while its image was pulled".to_owned()),
        });
        cx.defer(pulled, move |this, pulled, cx| match pulled {
            Ok(()) => this.pulled(launch, cx),
            Err(reason) => this.failed(launch, reason, cx),
        });
    }

    fn pulled(&mut self, mut launch: Launch, cx: &mut Ctx<Self>) {
        if !self.step(&launch.id, State::Pulling, State::Starting) {
            return self.failed(launch, "destroyed before it was started".to_owned(), cx);
        }
        launch.config.command = self.helper(&launch);
        let mut config = launch.config.clone();
        // The helper speaks to the daemon, as the slave does.
        config.user = None;
        let (user, info, keep_root) = (launch.user, LaunchInfo::default(), false);
        let spec = Spec { id: launch.id.clone(), config, user, info, keep_root };
        let starting = self.launcher.fork(spec, cx.subprocesses());
        cx.defer(starting, move |this, started, cx| match started {
            Ok(child) => this.started(launch, child, cx),
            Err(reason) => this.failed(launch, reason, cx),
        });
    }

    /// How the helper is called.
    fn helper(&self, launch: &Launch) -> CommandInfo {
        let options = &self.options;
        let told = [
            ("container", name(&launch.id)),
            ("docker_socket", options.socket.display().to_string()),
            ("sandbox_directory", launch.config.directory.display().to_string()),
            ("mapped_directory", options.mapped.display().to_string()),
            ("stop_timeout", protos::duration::print(options.stop_timeout)),
            ("cgroups_enable_cfs", options.cfs.to_string()),
            ("work_dir", options.work_dir.display().to_string()),
            ("task_environment", serde_json::json!(options.environment).to_string()),
        ];
        let mut arguments = options.executor.clone();
        arguments.extend(told.map(|(flag, value)| format!("--{flag}={value}")));
        if launch.config.task_info.is_none() {
            // A framework's own executor: it is what the container runs.
            let task = mesos::TaskInfo {
                name: launch.id.to_string(),
                task_id: mesos::TaskId { value: launch.id.to_string() },
                command: Some(CommandInfo { uris: Vec::new(), ..launch.config.command.clone() }),
                container: launch.config.executor_info.container.clone(),
                resources: launch.config.allocation.resources.to_wire(),
                ..Default::default()
            };
            arguments.push(format!("--run={}", protos::json::to_json(&task)));
        }
        CommandInfo {
            value: arguments.first().cloned(),
            arguments,
            shell: Some(false),
            ..CommandInfo::default()
        }
    }

    /// The helper is there, and waits until its id is written down.
    fn started(&mut self, launch: Launch, child: Forked, cx: &mut Ctx<Self>) {
        let (id, pid) = (launch.id.clone(), child.pid);
        if let Some(container) = self.containers.get_mut(&id) {
            container.pid = Some(pid);
        }
        let ended = id.clone();
        cx.defer(child.ended, move |this, end, cx| this.ended(&ended, end, cx));
        let written = launch.config.pid_checkpoint.as_ref();
        let written = written.map(|path| cx.disk().write(path, pid.to_string().into()));
        let go = child.go;
        let gone = async move {
            if let Some(written) = written {
                written.await.map_err(|error| error.to_string())?;
            }
            go().await
        };
        cx.defer(gone, move |this, gone, cx| match gone {
            Ok(()) if this.step(&launch.id, State::Starting, State::Running) => {
                let _ = launch.reply.send(Ok(()));
                this.finish_if_ended(&launch.id, cx);
            }
            Ok(()) => this.failed(launch, "destroyed while it was started".to_owned(), cx),
            Err(reason) => this.failed(launch, reason, cx),
        });
    }

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
