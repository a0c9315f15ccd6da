//! What docker is asked to run, made of what the framework asks of the slave: data, without docker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protos::mesos::container_info::docker_info::Network;
use protos::mesos::{self, ContainerInfo, container_info, volume};
use protos::resources::Resources;

use super::parameters;
use crate::containerizer::served;

const MIN_SHARES: i64 = 2;
const SHARES: f64 = 1024.0;
/// Least memory that a container gets.
const MIN_MB: f64 = 32.0;
const PERIOD_US: f64 = 100_000.0;
const MIN_QUOTA_US: f64 = 1000.0;

/// A container as docker is to make it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The image is pulled even if it is there.
    pub force_pull: bool,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command; empty leaves it.
    pub cmd: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `host:container[:mode]`.
    pub binds: Vec<String>,
    /// `host`, `bridge`, `none`, or the name of a network.
    pub network: String,
    /// Host port, container port, protocol.
    pub ports: Vec<(u16, u16, String)>,
    /// All rights of the host.
    pub privileged: bool,
    /// Host name, where the network is not the host's.
    pub hostname: Option<String>,
    /// How much it may use.
    pub limits: DockerLimits,
    /// By which others find it.
    pub labels: BTreeMap<String, String>,
    /// What parameters ask for beside all that.
    pub extra: parameters::Extra,
}

/// How much a container may use, in docker's units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DockerLimits {
    /// Weight against other containers; 1024 for one CPU.
    pub cpu_shares: Option<i64>,
    /// Microseconds of CPU in each 100 ms.
    pub cpu_quota: Option<i64>,
    /// Bytes.
    pub memory: Option<i64>,
    /// Bytes that it is to keep when others want memory, where that is less.
    pub memory_reservation: Option<i64>,
}

impl DockerLimits {
    /// Of CPUs and memory in MB, with the upper limits that a task set, if any.
    pub fn of(allocation: &isolators::Allocation, cfs: bool) -> Self {
        let (cpus, mem) = (allocation.resources.cpus(), allocation.resources.mem());
        let bytes = |mb: f64| (mb.max(MIN_MB) * 1_048_576.0) as i64;
        let limit = allocation.limits;
        let quota = limit.cpus.or_else(|| cfs.then_some(cpus)).filter(|_| cpus > 0.0);
        // An infinite limit is none: docker's word for that is -1.
        let quota = quota.map(|cpus| match cpus.is_finite() {
            true => (cpus * PERIOD_US).max(MIN_QUOTA_US) as i64,
            false => -1,
        });
        let hard = limit.mem.unwrap_or(mem);
        let has_mem = mem > 0.0;
        Self {
            cpu_shares: (cpus > 0.0).then(|| ((cpus * SHARES) as i64).max(MIN_SHARES)),
            cpu_quota: quota,
            memory: has_mem.then(|| if hard.is_finite() { bytes(hard) } else { -1 }),
            memory_reservation: (has_mem && hard > mem).then(|| bytes(mem)),
        }
    }
}

/// What is not in the container's own description.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The container's name.
    pub name: String,
    /// The sandbox, on the host.
    pub sandbox: PathBuf,
    /// Where the container sees it.
    pub mapped: PathBuf,
    /// Variables that are set unless the command sets them.
    pub environment: BTreeMap<String, String>,
    /// What it may use; host ports must be among it.
    pub allocation: isolators::Allocation,
    /// CPUs are limits, too.
    pub cfs: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Directory with persistent volumes.
    pub work_dir: Option<PathBuf>,
}

/// Plans a container.
///
/// # Errors
/// Text with what cannot be had.
pub fn plan(
    container: &ContainerInfo,
    command: &mesos::CommandInfo,
    around: &Surroundings,
) -> Result<Plan, String> {
    if container.r#type() != container_info::Type::Docker {
        return Err("the container is none of docker's".to_owned());
    }
    let docker = container.docker.as_ref().ok_or("the container names no image")?;
    if served::asks_for_secrets(command) {
        return Err("docker shows a container's environment: no secret is put there".to_owned());
    }
    let network = network(container)?;
    let mut plan = Plan {
        name: around.name.clone(),
        image: docker.image.clone(),
        force_pull: docker.force_pull_image.unwrap_or(false),
        privileged: docker.privileged.unwrap_or(false),
        ports: ports(docker, &network, &around.allocation.resources)?,
        hostname: container.hostname.clone().filter(|_| network != "host"),
        limits: DockerLimits::of(&around.allocation, around.cfs),
        labels: around.labels.clone(),
        binds: binds(container, around)?,
        network,
        ..Plan::default()
    };
    run(&mut plan, command)?;
    plan.env = environment(command, around, plan.network == "host");
    for parameter in &docker.parameters {
        parameters::apply(&mut plan, &parameter.key, &parameter.value)?;
    }
    Ok(plan)
}

fn run(plan: &mut Plan, command: &mesos::CommandInfo) -> Result<(), String> {
    if command.shell.unwrap_or(true) {
        let value = command.value.clone().ok_or("the command is a shell line and has no value")?;
        plan.entrypoint = Some(vec!["/bin/sh".to_owned()]);
        plan.cmd = vec!["-c".to_owned(), value];
    } else {
        plan.cmd = command.value.iter().chain(&command.arguments).cloned().collect();
    }
    Ok(())
}

fn network(container: &ContainerInfo) -> Result<String, String> {
    let docker = container.docker.as_ref();
    let kind = docker.map_or(Network::Host, container_info::DockerInfo::network);
    Ok(match kind {
        Network::Host => "host".to_owned(),
        Network::Bridge => "bridge".to_owned(),
        Network::None => "none".to_owned(),
        Network::User => {
            let [info] = container.network_infos.as_slice() else {
                return Err("a network of the user's needs exactly one network info".to_owned());
            };
            info.name.clone().ok_or("the network has no name")?
        }
    })
}

fn ports(
    docker: &container_info::DockerInfo,
    network: &str,
    resources: &Resources,
) -> Result<Vec<(u16, u16, String)>, String> {
    if docker.port_mappings.is_empty() {
        return Ok(Vec::new());
    }
    if network == "host" || network == "none" {
        return Err(format!("ports cannot be mapped on the network '{network}'"));
    }
    let wire = resources.to_wire();
    let given: Vec<_> = wire
        .iter()
        .filter(|resource| resource.name == "ports")
        .flat_map(|resource| resource.ranges.iter().flat_map(|ranges| &ranges.range))
        .collect();
    let port =
        |number: u32| u16::try_from(number).map_err(|_| format!("port {number} cannot be mapped"));
    let mapped = docker.port_mappings.iter().map(|mapping| {
        let host = u64::from(mapping.host_port);
        if !given.iter().any(|range| (range.begin..=range.end).contains(&host)) {
            return Err(format!("host port {host} is not among the task's resources"));
        }
        let protocol = mapping.protocol.as_deref().unwrap_or("tcp").to_ascii_lowercase();
        match protocol.as_str() {
            "tcp" | "udp" => {
                Ok((port(mapping.host_port)?, port(mapping.container_port)?, protocol))
            }
            other => Err(format!("ports of protocol '{other}' cannot be mapped")),
        }
    });
    mapped.collect()
}

fn binds(container: &ContainerInfo, around: &Surroundings) -> Result<Vec<String>, String> {
    let sandbox = around.sandbox.display();
    let mut binds = vec![format!("{sandbox}:{}", around.mapped.display())];
    for wanted in &container.volumes {
        let path = &wanted.container_path;
        let host = match (&wanted.source, &wanted.host_path) {
            (None, Some(host)) => Some(host.clone()),
            (None, None) => None,
            (Some(source), _) if source.r#type() == volume::source::Type::HostPath => {
                source.host_path.as_ref().map(|host| host.path.clone())
            }
            (Some(source), _) if source.r#type() == volume::source::Type::DockerVolume => {
                let volume = source.docker_volume.as_ref();
                let own = |it: &volume::source::DockerVolume| {
                    it.driver.as_deref().is_some_and(|driver| driver != "local")
                        || it.driver_options.is_some()
                };
                if volume.is_some_and(own) {
                    return Err(format!("volume at '{path}': drivers of volumes are not used"));
                }
                volume.map(|volume| volume.name.clone())
            }
            (Some(source), _) => {
                let kind = source.r#type().as_str_name();
                return Err(format!("volume at '{path}': docker has none of kind {kind}"));
            }
        };
        let host = host.ok_or_else(|| format!("volume at '{path}' does not say what is there"))?;
        if path.is_empty() || [path, &host].iter().any(|text| text.contains(':')) {
            return Err(format!("volume at '{path}' of '{host}' cannot be mounted"));
        }
        let mode = if wanted.mode() == volume::Mode::Ro { "ro" } else { "rw" };
        binds.push(format!("{host}:{}:{mode}", seen_at(path, &around.mapped)));
    }
    let setup = isolators::ContainerSetup::from(around.allocation.clone());
    for (resource, wanted) in setup.persistent_volumes() {
        let root = around.work_dir.as_ref().ok_or("persistent volumes cannot be mounted here")?;
        let host = isolators::volume::persistent::host_path(root, &resource);
        let host = host.ok_or("a persistent volume is on no usable disk")?;
        let mode = if wanted.mode() == volume::Mode::Ro { "ro" } else { "rw" };
        let seen = seen_at(&wanted.container_path, &around.mapped);
        binds.push(format!("{}:{seen}:{mode}", host.display()));
    }
    Ok(binds)
}

/// Relative paths are those of the sandbox.
fn seen_at(path: &str, mapped: &Path) -> String {
    mapped.join(path).display().to_string()
}

fn environment(command: &mesos::CommandInfo, around: &Surroundings, on_host: bool) -> Vec<String> {
    let mut all = around.environment.clone();
    // What programs are found by is the image's affair.
    all.remove("PATH");
    if !on_host {
        // It has an address of its own.
        all.remove("LIBPROCESS_IP");
    }
    all.insert("MESOS_SANDBOX".to_owned(), around.mapped.display().to_string());
    all.insert("MESOS_CONTAINER_NAME".to_owned(), around.name.clone());
    for variable in command.environment.iter().flat_map(|it| &it.variables) {
        all.insert(variable.name.clone(), variable.value().to_owned());
    }
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::mesos::container_info::DockerInfo;
    use protos::mesos::container_info::docker_info::PortMapping;
    use protos::mesos::{CommandInfo, NetworkInfo, Parameter, Volume};

    fn container(docker: DockerInfo) -> ContainerInfo {
        let r#type = container_info::Type::Docker as i32;
        ContainerInfo { r#type, docker: Some(docker), ..ContainerInfo::default() }
    }

    fn image(network: Network) -> DockerInfo {
        DockerInfo {
            image: "busybox".to_owned(),
            network: Some(network as i32),
            ..DockerInfo::default()
        }
    }

    fn planned(container: &ContainerInfo, resources: &str) -> Result<Plan, String> {
        let value = Some("echo".to_owned());
        let command = CommandInfo { value, ..CommandInfo::default() };
        let around = Surroundings {
            name: "mesos-c".to_owned(),
            sandbox: "/sandbox".into(),
            mapped: "/mnt/s".into(),
            environment: [("PATH", "/x"), ("LIBPROCESS_IP", "1.2.3.4")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            allocation: resources.parse::<Resources>().unwrap().into(),
            ..Surroundings::default()
        };
        plan(container, &command, &around)
    }

    #[test]
    fn plan_of_a_shell_line_runs_it_in_the_sandbox_seen_inside() {
        let plan = planned(&container(image(Network::Host)), "cpus:0.5;mem:8").unwrap();
        assert_eq!(plan.entrypoint, Some(vec!["/bin/sh".to_owned()]));
        assert_eq!((plan.cmd, plan.network), (vec!["-c".into(), "echo".into()], "host".to_owned()));
        assert_eq!(plan.binds, ["/sandbox:/mnt/s"]);
        let env = ["LIBPROCESS_IP=1.2.3.4", "MESOS_CONTAINER_NAME=mesos-c", "MESOS_SANDBOX=/mnt/s"];
        assert_eq!(plan.env, env);
        let limits = DockerLimits {
            cpu_shares: Some(512),
            memory: Some(32 << 20),
            ..DockerLimits::default()
        };
        assert_eq!(plan.limits, limits);
    }

    #[test]
    fn plan_of_ports_takes_only_those_that_the_task_has() {
        let mapping = |host_port| PortMapping { host_port, container_port: 80, protocol: None };
        let mapped = |network, port| {
            container(DockerInfo { port_mappings: vec![mapping(port)], ..image(network) })
        };
        let resources = "cpus:1;ports:[31000-31001]";
        let plan = planned(&mapped(Network::Bridge, 31000), resources).unwrap();
        assert_eq!(plan.ports, [(31000, 80, "tcp".to_owned())]);
        assert!(planned(&mapped(Network::Bridge, 31002), resources).is_err());
        assert!(planned(&mapped(Network::Host, 31000), resources).is_err());
        assert!(planned(&mapped(Network::Bridge, 31000 + 65536), resources).is_err());
    }

    #[test]
    fn plan_of_a_users_network_needs_its_name() {
        let mut wanted = container(image(Network::User));
        assert!(planned(&wanted, "cpus:1").is_err());
        let name = Some("mine".to_owned());
        wanted.network_infos = vec![NetworkInfo { name, ..NetworkInfo::default() }];
        assert_eq!(planned(&wanted, "cpus:1").unwrap().network, "mine");
    }

    #[test]
    fn plan_of_volumes_and_parameters_says_what_docker_cannot_do() {
        let mut wanted = container(image(Network::Host));
        wanted.volumes = vec![Volume {
            container_path: "data".to_owned(),
            host_path: Some("/host".to_owned()),
            mode: volume::Mode::Ro as i32,
            ..Volume::default()
        }];
        assert_eq!(planned(&wanted, "cpus:1").unwrap().binds[1], "/host:/mnt/s/data:ro");
        wanted.volumes[0].host_path = Some("/a:/etc".to_owned());
        assert!(planned(&wanted, "cpus:1").is_err());
        wanted.volumes.clear();
        let parameter = |key: &str| Parameter { key: key.to_owned(), value: "x=1".to_owned() };
        wanted.docker.as_mut().unwrap().parameters = vec![parameter("label")];
        assert_eq!(planned(&wanted, "cpus:1").unwrap().labels["x"], "1");
        wanted.docker.as_mut().unwrap().parameters = vec![parameter("levitate")];
        assert!(planned(&wanted, "cpus:1").unwrap_err().contains("levitate"));
    }
}
