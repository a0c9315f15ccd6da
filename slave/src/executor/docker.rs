//! The task of an executor as a container of docker's: what the binary `mesos-docker-executor` runs.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use clap::{ArgAction, Parser};
use futures::future::{BoxFuture, join};
use futures::stream::StreamExt;
use libprocess::subprocess::{Command, Ended, ExitStatus};
use protos::mesos::{self, ContainerStatus, NetworkInfo, network_info};
use protos::resources::Resources;

use super::Settings;
use super::checks::Seen;
use super::runner::{Os, Runner, Started};
use super::task::{SIGKILL, SIGTERM};
use crate::containerizer::docker::{Api, DockerError, Surroundings, labels, plan};

/// The program's flags.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "mesos-docker-executor",
    rename_all = "snake_case",
    about = "Runs the docker container of a task and reports on it to the slave"
)]
pub(crate) struct DockerFlags {
    /// Name of the container
    #[arg(long)]
    pub(crate) container: String,
    /// The docker program; not needed
    #[arg(long, default_value = "docker")]
    pub(crate) docker: String,
    /// Socket of the docker daemon
    #[arg(long, default_value = "/var/run/docker.sock")]
    pub(crate) docker_socket: PathBuf,
    /// The sandbox, on the host
    #[arg(long)]
    pub(crate) sandbox_directory: PathBuf,
    /// Where the container sees it
    #[arg(long)]
    pub(crate) mapped_directory: PathBuf,
    /// Directory of the other programs; not needed
    #[arg(long)]
    pub(crate) launcher_dir: Option<String>,
    /// Accepted; the grace period of the task's kill policy counts
    #[arg(long)]
    pub(crate) stop_timeout: Option<String>,
    /// Variables for the container, as a JSON object
    #[arg(long, value_parser = variables)]
    pub(crate) task_environment: Option<Variables>,
    /// CPUs are limits, too
    #[arg(long, default_value_t = false, action = ArgAction::Set)]
    pub(crate) cgroups_enable_cfs: bool,
    /// Name servers, as JSON; not served
    #[arg(long)]
    pub(crate) default_container_dns: Option<String>,
    /// Directory with persistent volumes
    #[arg(long, hide = true)]
    pub(crate) work_dir: Option<PathBuf>,
    /// Run this TaskInfo, of JSON, and end with it, without a word to any slave
    #[arg(long, hide = true, value_parser = task)]
    pub(crate) run: Option<Box<mesos::TaskInfo>>,
}

/// Variables by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Variables(pub(crate) BTreeMap<String, String>);

fn variables(text: &str) -> Result<Variables, String> {
    serde_json::from_str(text).map(Variables).map_err(|error| error.to_string())
}

fn task(text: &str) -> Result<Box<mesos::TaskInfo>, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    protos::json::from_json(&value).map(Box::new).map_err(|error| error.to_string())
}

/// Runs a task as a container.
pub(crate) struct DockerRunner {
    api: Api,
    flags: DockerFlags,
    /// The container's own address, once it runs and has one.
    address: Arc<Mutex<Option<IpAddr>>>,
}

impl DockerRunner {
    /// For the container that flags name.
    pub(crate) fn new(flags: DockerFlags) -> Self {
        Self { api: Api::new(&flags.docker_socket), flags, address: Arc::default() }
    }

    fn surroundings(&self, task: &mesos::TaskInfo) -> Result<Surroundings, String> {
        let resources = Resources::from_wire(&task.resources).map_err(|error| error.to_string())?;
        let mut environment = self.flags.task_environment.clone().unwrap_or_default().0;
        let role = task.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.clone());
        environment.extend(role.map(|role| ("MESOS_ALLOCATION_ROLE".to_owned(), role)));
        let limit = |name: &str| task.limits.get(name).map(|scalar| scalar.value);
        let limits = isolators::Limits { cpus: limit("cpus"), mem: limit("mem") };
        let work_dir = self.flags.work_dir.clone();
        Ok(Surroundings {
            name: self.flags.container.clone(),
            sandbox: self.flags.sandbox_directory.clone(),
            mapped: self.flags.mapped_directory.clone(),
            environment,
            allocation: isolators::Allocation { resources, limits },
            cfs: self.flags.cgroups_enable_cfs,
            labels: labels(work_dir.as_deref()),
            work_dir,
        })
    }

    /// Makes the container, starts it, and copies its output to this program's own.
    pub(super) fn run(
        &self,
        task: &mesos::TaskInfo,
        also: BTreeMap<String, String>,
    ) -> BoxFuture<'static, Result<Started, String>> {
        let planned = self.surroundings(task).and_then(|mut around| {
            around.environment.extend(also);
            let container = task.container.as_ref().ok_or("the task has no container")?;
            let command = task.command.clone();
            // A task without a command runs what its image does.
            let none = mesos::CommandInfo { shell: Some(false), ..Default::default() };
            plan(container, &command.unwrap_or(none), &around)
        });
        let (api, address) = (self.api.clone(), self.address.clone());
        Box::pin(async move {
            let plan = planned?;
            let name = plan.name.clone();
            let told = |error: DockerError| error.to_string();
            api.create(&plan).await.map_err(told)?;
            if let Err(error) = api.start(&name).await {
                // It never ran: nobody needs what is left of it.
                let _ = api.remove(&name).await;
                return Err(error.to_string());
            }
            let found = api.inspect(&name).await.map_err(told)?;
            let own = found.addresses.first().and_then(|text| text.parse().ok());
            *address.lock().unwrap_or_else(PoisonError::into_inner) = own;
            let status = own.map(|_| status(&found.addresses));
            let data = Some(Bytes::from(found.document));
            let ended = ended(api, name);
            Ok(Started { pid: None, status, data, ended: Box::pin(ended) })
        })
    }
}

fn status(addresses: &[String]) -> ContainerStatus {
    let address = |text: &String| network_info::IpAddress {
        ip_address: Some(text.clone()),
        ..Default::default()
    };
    let info = NetworkInfo {
        ip_addresses: addresses.iter().map(address).collect(),
        ..NetworkInfo::default()
    };
    ContainerStatus { network_infos: vec![info], ..ContainerStatus::default() }
}

async fn ended(api: Api, name: String) -> Ended {
    let copied = async {
        let Ok(mut output) = api.output(&name).await else { return };
        while let Some(Ok((is_error, bytes))) = output.next().await {
            // Output that nobody takes is lost; the container goes on.
            let _ = match is_error {
                true => std::io::stderr().write_all(&bytes),
                false => {
                    std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush())
                }
            };
        }
    };
    let (code, ()) = join(api.wait(&name), copied).await;
    // Docker says 128 and the signal's number for who was killed.
    let status = code.ok().map(|code| match code {
        129..=192 => ExitStatus::signalled(i32::try_from(code - 128).unwrap_or(SIGKILL)),
        code => ExitStatus::exited(u8::try_from(code & 0xff).unwrap_or(1)),
    });
    Ended { status, stdout: Bytes::new(), stderr: Bytes::new() }
}

impl DockerRunner {
    /// Asks the container to end, and does not press.
    pub(super) async fn ask_to_stop(&self) -> Result<(), String> {
        let asked = self.api.ask_to_stop(&self.flags.container).await;
        asked.or_else(DockerError::or_gone).map_err(|error| error.to_string())
    }
}

impl Runner for DockerRunner {
    fn noun(&self) -> &'static str {
        "Container"
    }

    fn command(&self, _: &mesos::TaskInfo, _: &Settings) -> Result<Command, String> {
        Ok(Command::default())
    }

    fn start(
        &self,
        _: Command,
        task: &mesos::TaskInfo,
        _: Os,
    ) -> BoxFuture<'static, Result<Started, String>> {
        self.run(task, BTreeMap::new())
    }

    fn signal(&self, _: Option<u32>, signal: i32, _: Os) -> BoxFuture<'static, Result<(), String>> {
        let (api, name) = (self.api.clone(), self.flags.container.clone());
        Box::pin(async move {
            let done = match signal {
                SIGTERM => api.ask_to_stop(&name).await,
                _ => match api.inspect(&name).await {
                    Ok(found) if found.running => api.kill(&name).await,
                    _ => Ok(()),
                },
            };
            done.or_else(DockerError::or_gone).map_err(|error| error.to_string())
        })
    }

    fn check(
        &self,
        info: &mesos::CommandInfo,
        _: &mesos::TaskInfo,
        _: &Settings,
        _: Os,
    ) -> BoxFuture<'static, Result<Seen, String>> {
        let (api, name, info) = (self.api.clone(), self.flags.container.clone(), info.clone());
        Box::pin(async move {
            let value = info.value.clone().ok_or("the command has no value")?;
            let argv = match info.shell.unwrap_or(true) {
                true => vec!["/bin/sh".to_owned(), "-c".to_owned(), value],
                false if info.arguments.is_empty() => vec![value],
                false => info.arguments.clone(),
            };
            let variables = info.environment.iter().flat_map(|it| &it.variables);
            let env = variables.map(|it| format!("{}={}", it.name, it.value())).collect();
            let code = api.exec(&name, argv, env).await.map_err(|error| error.to_string())?;
            Ok(Seen::Exited(i32::try_from(code).unwrap_or(-1)))
        })
    }

    fn host(&self, v6: bool) -> IpAddr {
        let own = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        let local = if v6 {
            IpAddr::from(std::net::Ipv6Addr::LOCALHOST)
        } else {
            IpAddr::from(std::net::Ipv4Addr::LOCALHOST)
        };
        own.unwrap_or(local)
    }
}
