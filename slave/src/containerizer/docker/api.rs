//! Docker's daemon, as containerizer and executor speak to it: by its socket, through bollard.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, KillContainerOptionsBuilder,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::DockerError;
use super::plan::{DockerLimits, Plan};

/// Stopping and waiting take as long as they take.
const PATIENCE: Duration = Duration::from_secs(30 * 24 * 3600);
/// What docker answers at once, unless it hangs: nobody is held up by that for longer.
const SOON: Duration = Duration::from_secs(30);
/// The time that docker is given for a stop that we will end ourselves.
const LONG: i32 = 7 * 24 * 3600;

type Done<T> = Result<T, DockerError>;

async fn soon<T, E: Into<DockerError>>(asked: impl Future<Output = Result<T, E>>) -> Done<T> {
    within(SOON, asked).await
}

async fn within<T, E: Into<DockerError>>(
    limit: Duration,
    asked: impl Future<Output = Result<T, E>>,
) -> Done<T> {
    let late = |_| Err(DockerError::Failed(format!("no answer within {limit:?}")));
    tokio::time::timeout(limit, asked).await.map_or_else(late, |done| done.map_err(Into::into))
}

/// What is known of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Docker's id.
    pub id: String,
    /// The first process, while it runs.
    pub pid: Option<u32>,
    /// It runs.
    pub running: bool,
    /// The exit code, when it has ended.
    pub exit: i64,
    /// It ended for want of memory.
    pub out_of_memory: bool,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// As docker tells it, without its environment.
    pub document: String,
}

/// A connection to the daemon; made when it is needed.
#[derive(Debug, Clone)]
pub struct Api {
    socket: PathBuf,
    docker: std::sync::Arc<OnceCell<Docker>>,
}

impl Api {
    /// For the daemon that listens there (flag `docker_socket`).
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), docker: Default::default() }
    }

    async fn docker(&self) -> Done<&Docker> {
        let connect = || async {
            let path = self.socket.display().to_string();
            let docker = Docker::connect_with_unix(&path, PATIENCE.as_secs(), API_DEFAULT_VERSION)?;
            // The daemon may be older than this program.
            docker.negotiate_version().await
        };
        let connected = self.docker.get_or_try_init(connect).await;
        connected.map_err(|error| {
            DockerError::Failed(format!("cannot reach {}: {error}", self.socket.display()))
        })
    }

    /// Has an image there; `credential` is `user:password`.
    pub async fn pull(&self, image: &str, force: bool, credential: Option<&str>) -> Done<()> {
        let docker = self.docker().await?;
        if !force && docker.inspect_image(image).await.is_ok() {
            return Ok(());
        }
        let credential = credential.and_then(|it| it.split_once(':'));
        let credential = credential.map(|(user, password)| DockerCredentials {
            username: Some(user.to_owned()),
            password: Some(password.to_owned()),
            ..Default::default()
        });
        // Without a tag, docker would pull all of them.
        let last = image.rsplit('/').next().unwrap_or(image);
        let tagged =
            if last.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") };
        let options = CreateImageOptionsBuilder::default().from_image(&tagged).build();
        let mut progress = docker.create_image(Some(options), None, credential);
        while let Some(step) = progress.next().await {
            step?;
        }
        Ok(())
    }

    /// Makes a container; it does not run yet.
    pub async fn create(&self, plan: &Plan) -> Done<()> {
        let docker = self.docker().await?;
        let body = serde_json::from_value(body(plan));
        let body = body.map_err(|error| DockerError::Failed(error.to_string()))?;
        let options = CreateContainerOptionsBuilder::default().name(&plan.name).build();
        docker.create_container(Some(options), body).await?;
        Ok(())
    }

    /// Lets it run.
    pub async fn start(&self, name: &str) -> Done<()> {
        Ok(self.docker().await?.start_container(name, None).await?)
    }

    /// Asks it to end, as its image wants to be asked, and does not press.
    pub async fn ask_to_stop(&self, name: &str) -> Done<()> {
        let options = StopContainerOptionsBuilder::default().t(LONG).build();
        Ok(self.docker().await?.stop_container(name, Some(options)).await?)
    }

    /// Asks it to end, and kills it after a while.
    pub async fn stop(&self, name: &str, grace: Duration) -> Done<()> {
        let secs = i32::try_from(grace.as_secs()).unwrap_or(LONG);
        let options = StopContainerOptionsBuilder::default().t(secs).build();
        Ok(self.docker().await?.stop_container(name, Some(options)).await?)
    }

    /// Kills it.
    pub async fn kill(&self, name: &str) -> Done<()> {
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        soon(self.docker().await?.kill_container(name, Some(options))).await
    }

    /// Removes it, running or not.
    pub async fn remove(&self, name: &str) -> Done<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        Ok(self.docker().await?.remove_container(name, Some(options)).await?)
    }

    /// Waits for its end; its exit code.
    pub async fn wait(&self, name: &str) -> Done<i64> {
        use bollard::errors::Error;
        let mut ended = Box::pin(self.docker().await?.wait_container(name, None));
        match ended.next().await {
            Some(Ok(response)) => Ok(response.status_code),
            // An exit code other than 0 is an error to the library.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(error.into()),
            None => Ok(self.inspect(name).await?.exit),
        }
    }

    /// What it writes, from its start to its end: true for standard error.
    pub async fn output(&self, name: &str) -> Done<BoxStream<'static, Done<(bool, Bytes)>>> {
        let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).build();
        let stream = self.docker().await?.logs(name, Some(options));
        let piece = |output: LogOutput| match output {
            LogOutput::StdErr { message } => (true, message),
            LogOutput::StdOut { message }
            | LogOutput::StdIn { message }
            | LogOutput::Console { message } => (false, message),
        };
        Ok(stream.map_ok(piece).map_err(DockerError::from).boxed())
    }

    /// What is known of it.
    pub async fn inspect(&self, name: &str) -> Done<Inspected> {
        let found = soon(self.docker().await?.inspect_container(name, None)).await?;
        let mut document =
            serde_json::to_value(found).map_err(|error| DockerError::Failed(error.to_string()))?;
        let inspected = inspected(&document);
        // Secrets may be there.
        if let Some(config) = document.get_mut("Config").and_then(Value::as_object_mut) {
            config.remove("Env");
        }
        let document = Value::Array(vec![document]).to_string();
        Ok(Inspected { document, ..inspected })
    }

    /// Names of containers, running or not, with that label.
    pub async fn list(&self, label: &str) -> Done<Vec<String>> {
        let filters = [("label", vec![label])].into_iter().collect();
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = soon(self.docker().await?.list_containers(Some(options))).await?;
        let names = found.into_iter().flat_map(|container| container.names.unwrap_or_default());
        Ok(names.map(|name| name.trim_start_matches('/').to_owned()).collect())
    }

    /// Lets it use something else from now on.
    pub async fn update(&self, name: &str, limits: DockerLimits) -> Done<()> {
        let body = serde_json::from_value(limits_body(limits));
        let body = body.map_err(|error| DockerError::Failed(error.to_string()))?;
        soon(self.docker().await?.update_container(name, body)).await
    }

    /// Runs a command in it; its exit code.
    pub async fn exec(&self, name: &str, argv: Vec<String>, env: Vec<String>) -> Done<i64> {
        let docker = self.docker().await?;
        let told = json!({"Cmd": argv, "Env": env, "AttachStdout": true, "AttachStderr": true});
        let options = serde_json::from_value::<bollard::models::ExecConfig>(told);
        let options = options.map_err(|error| DockerError::Failed(error.to_string()))?;
        let made = docker.create_exec(name, options).await?;
        let started = docker.start_exec(&made.id, None::<StartExecOptions>).await?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                piece?;
            }
        }
        Ok(docker.inspect_exec(&made.id).await?.exit_code.unwrap_or(-1))
    }
}

fn inspected(document: &Value) -> Inspected {
    let state = &document["State"];
    let networks = document["NetworkSettings"]["Networks"].as_object();
    let mut addresses: Vec<String> = networks
        .into_iter()
        .flatten()
        .filter_map(|(_, network)| network["IPAddress"].as_str().map(str::to_owned))
        .filter(|address| !address.is_empty())
        .collect();
    addresses.sort();
    let pid = state["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    Inspected {
        id: document["Id"].as_str().unwrap_or_default().to_owned(),
        pid: pid.filter(|pid| *pid > 0),
        running: state["Running"].as_bool().unwrap_or(false),
        exit: state["ExitCode"].as_i64().unwrap_or(-1),
        out_of_memory: state["OOMKilled"].as_bool().unwrap_or(false),
        addresses,
        document: String::new(),
    }
}

fn limits_body(limits: DockerLimits) -> Value {
    let mut body = json!({});
    let mut set = |name: &str, value: Option<i64>| {
        if let Some(value) = value {
            body[name] = value.into();
        }
    };
    set("CpuShares", limits.cpu_shares);
    set("CpuQuota", limits.cpu_quota);
    set("CpuPeriod", limits.cpu_quota.map(|_| 100_000));
    set("Memory", limits.memory);
    set("MemoryReservation", limits.memory_reservation);
    // Swap is not counted unless somebody says so; docker refuses a limit above an old one's.
    set("MemorySwap", limits.memory.map(|_| -1));
    body
}

/// What is sent to make a container.
fn body(plan: &Plan) -> Value {
    let extra = &plan.extra;
    let mut host = limits_body(plan.limits);
    host["Binds"] = json!(plan.binds);
    host["NetworkMode"] = json!(plan.network);
    host["Privileged"] = json!(plan.privileged);
    let (mut bindings, mut exposed) = (json!({}), json!({}));
    for (host_port, port, protocol) in &plan.ports {
        bindings[format!("{port}/{protocol}")] = json!([{"HostPort": host_port.to_string()}]);
        exposed[format!("{port}/{protocol}")] = json!({});
    }
    host["PortBindings"] = bindings;
    let optional = [
        ("Dns", json!(extra.dns)),
        ("DnsSearch", json!(extra.dns_search)),
        ("ExtraHosts", json!(extra.hosts)),
        ("CapAdd", json!(extra.cap_add)),
        ("CapDrop", json!(extra.cap_drop)),
        ("GroupAdd", json!(extra.groups)),
        ("SecurityOpt", json!(extra.security)),
        ("Sysctls", json!(extra.sysctls)),
        ("Tmpfs", json!(extra.tmpfs)),
        ("PidMode", json!(extra.pid)),
        ("IpcMode", json!(extra.ipc)),
        ("CpusetCpus", json!(extra.cpuset)),
        ("ShmSize", json!(extra.shm_size)),
        ("PidsLimit", json!(extra.pids_limit)),
    ];
    for (name, value) in optional {
        let is_empty = value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(|it| it.is_empty());
        if !is_empty {
            host[name] = value;
        }
    }
    if let Some(swap) = extra.memory_swap {
        host["MemorySwap"] = swap.into();
    }
    host["ReadonlyRootfs"] = extra.read_only.into();
    host["Init"] = extra.init.into();
    let ulimit =
        |(name, soft, hard): &(String, i64, i64)| json!({"Name": name, "Soft": soft, "Hard": hard});
    host["Ulimits"] = extra.ulimits.iter().map(ulimit).collect();
    let device = |(host, inside, allowed): &(String, String, String)| json!({"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": allowed});
    host["Devices"] = extra.devices.iter().map(device).collect();
    if let Some(driver) = &extra.log_driver {
        host["LogConfig"] = json!({"Type": driver, "Config": extra.log_options});
    }
    let mut body = json!({"Image": plan.image, "Env": plan.env, "Labels": plan.labels,
        "ExposedPorts": exposed, "AttachStdout": true, "AttachStderr": true});
    if !plan.cmd.is_empty() {
        body["Cmd"] = json!(plan.cmd);
    }
    let set = [
        ("Entrypoint", plan.entrypoint.as_ref().map(|it| json!(it))),
        ("Hostname", plan.hostname.as_ref().map(|it| json!(it))),
        ("User", extra.user.as_ref().map(|it| json!(it))),
        ("WorkingDir", extra.workdir.as_ref().map(|it| json!(it))),
    ];
    for (name, value) in set {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    body["HostConfig"] = host;
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_told_in_dockers_words() {
        let plan = Plan {
            name: "n".to_owned(),
            image: "i".to_owned(),
            cmd: vec!["c".to_owned()],
            ports: vec![(31000, 80, "tcp".to_owned())],
            limits: DockerLimits { cpu_shares: Some(2), ..DockerLimits::default() },
            ..Plan::default()
        };
        let body = body(&plan);
        assert_eq!(body["Image"], "i");
        assert_eq!(body["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "31000");
        assert_eq!(body["HostConfig"]["CpuShares"], 2);
        assert!(body["HostConfig"].get("Memory").is_none() && body.get("User").is_none());
        serde_json::from_value::<bollard::models::ContainerCreateBody>(body).unwrap();
    }

    #[test]
    fn containers_are_understood_as_docker_tells_of_them() {
        let document = json!({"Id": "x", "State": {"Pid": 7, "Running": true, "ExitCode": 0},
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"},
                "none": {"IPAddress": ""}}}});
        let inspected = inspected(&document);
        assert_eq!((inspected.pid, inspected.running), (Some(7), true));
        assert_eq!(inspected.addresses, ["172.17.0.2"]);
    }
    #[tokio::test]
    async fn daemon_that_hangs_holds_nobody_up() {
        let hangs = within(Duration::ZERO, std::future::pending::<Done<()>>()).await;
        assert_eq!(hangs.unwrap_err().to_string(), "docker: no answer within 0ns");
        assert_eq!(soon(std::future::ready(Done::Ok(7))).await, Ok(7));
    }
}
