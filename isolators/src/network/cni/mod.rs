//! `network/cni`: networks of their own for containers that name one, by plugins of the container
//! network interface.

pub mod config;
mod etc;
mod namespace;
pub mod plugin;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::channel::oneshot;
use libprocess::{Ctx, Process, Routes};
use procfs::process::Process as OsProcess;
use protos::ids::ContainerId;
use protos::mesos::{ContainerStatus, NetworkInfo, ResourceStatistics};

use self::config::Network;
use self::plugin::{Attachment, World};
use self::state::{Joined, Place};
use crate::filesystem::mounts;
use crate::front::{IsolatorProcess, Later, now, statistics};
use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::setup::{self, ContainerSetup, Recovered};

#[derive(Debug, Clone)]
struct Container {
    pid: Option<u32>,
    hostname: String,
    joined: Vec<Joined>,
}

/// The isolator's actor.
pub struct Cni {
    work_dir: PathBuf,
    root: PathBuf,
    /// Plugins and configurations; None when containers can only have the host's network.
    directories: Option<(String, PathBuf)>,
    networks: BTreeMap<String, Network>,
    measures: bool,
    has_launcher: bool,
    /// Containers with networks of their own.
    containers: BTreeMap<ContainerId, Container>,
}

impl Cni {
    /// As the flags say.
    ///
    /// # Errors
    /// When only one directory is given, a configuration is wrong, or root's rights are missing.
    pub fn new(options: &Options) -> Result<Self, String> {
        let directories = match (&options.network_cni_plugins_dir, &options.network_cni_config_dir)
        {
            (None, None) => None,
            (Some(plugins), Some(configs)) => Some((plugins.clone(), configs.clone())),
            _ => {
                return Err("--network_cni_plugins_dir and --network_cni_config_dir go \
                                together"
                    .to_owned());
            }
        };
        let mut networks = BTreeMap::new();
        if let Some((plugins, configs)) = &directories {
            if !options.is_root {
                return Err("networks need root's rights".to_owned());
            }
            networks = config::read(configs)?;
            for network in networks.values() {
                check(network, plugins)?;
            }
        }
        let above = match options.network_cni_root_dir_persist {
            true => &options.work_dir,
            false => &options.runtime_dir,
        };
        Ok(Self {
            work_dir: options.work_dir.clone(),
            root: above.join("isolators/network/cni"),
            directories,
            networks,
            measures: options.network_cni_metrics,
            has_launcher: options.linux_launcher,
            containers: BTreeMap::new(),
        })
    }

    /// The networks that a container asks for. Configurations may be newer than the slave.
    fn asked(&mut self, infos: &[NetworkInfo]) -> Result<Vec<Joined>, String> {
        let named = infos.iter().filter(|info| info.name.is_some());
        let interfaces = plugin::interfaces(named.clone().map(NetworkInfo::name))?;
        let mut joined = Vec::new();
        for info in named {
            let name = info.name();
            let Some((plugins, configs)) = &self.directories else {
                return Err(format!("network '{name}' is not known: there are none here"));
            };
            if !self.networks.contains_key(name) {
                self.networks = config::read(configs)?;
            }
            let network = self.networks.get(name);
            let network = network.ok_or_else(|| format!("network '{name}' is not known"))?;
            check(network, plugins)?;
            joined.push(Joined {
                network: network.clone(),
                interface: interfaces.get(name).cloned().unwrap_or_default(),
                info: info.clone(),
                result: None,
            });
        }
        Ok(joined)
    }

    fn launch(&mut self, id: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let none = Vec::new();
        let info = setup.container_info.as_ref();
        let joined = self.asked(info.map_or(&none, |info| &info.network_infos))?;
        if setup.is_debug || (setup::parent(id).is_some() && joined.is_empty()) {
            return Ok(self.join_parent(id));
        }
        if joined.is_empty() {
            return Ok(etc::of_host(setup));
        }
        if !self.has_launcher {
            return Err("a network of its own needs --launcher=linux".to_owned());
        }
        let place = Place::of(&self.root, id.as_str());
        let told =
            |error: std::io::Error| format!("cannot prepare '{}': {error}", self.root.display());
        std::fs::create_dir_all(&place.0).map_err(told)?;
        // Before anything is attached, so that nothing is ever forgotten.
        place.claim(&self.work_dir).and_then(|()| place.write(&joined)).map_err(told)?;
        let hostname = info.and_then(|info| info.hostname.clone());
        let hostname = hostname.unwrap_or_else(|| id.as_str().to_owned());
        let mut info = LaunchInfo {
            clone_namespaces: vec![launch::CLONE_NEWNET, launch::CLONE_NEWUTS, launch::CLONE_NEWNS],
            // Its address is not known yet, and the host's is not there.
            environment: Some(launch::variable("LIBPROCESS_IP", "0.0.0.0")),
            ..LaunchInfo::default()
        };
        if setup.rootfs.is_none() {
            info.mounts.push(launch::propagation("/", launch::MS_SLAVE | launch::MS_REC));
        }
        for name in etc::FILES {
            let file = place.etc(name);
            std::fs::write(&file, "").map_err(told)?;
            info.mounts.extend(etc::shown(setup, name, &file));
        }
        self.containers.insert(id.clone(), Container { pid: None, hostname, joined });
        Ok(info)
    }

    /// What shares its parent's network enters that.
    fn join_parent(&self, id: &ContainerId) -> LaunchInfo {
        let mut above = setup::parent(id);
        while let Some(id) = above {
            if self.containers.contains_key(&id) {
                return LaunchInfo {
                    enter_namespaces: vec![launch::CLONE_NEWNET, launch::CLONE_NEWUTS],
                    ..LaunchInfo::default()
                };
            }
            above = setup::parent(&id);
        }
        LaunchInfo::default()
    }

    fn attachment(&self, id: &str, joined: &Joined) -> Attachment {
        let place = Place::of(&self.root, id);
        Attachment {
            container: id.to_owned(),
            network: joined.network.clone(),
            interface: joined.interface.clone(),
            info: protos::json::to_json(&joined.info),
            namespace: place.namespace(),
            directory: place.0,
            plugins: self.directories.as_ref().map(|(it, _)| it.clone()).unwrap_or_default(),
        }
    }

    fn attach(&mut self, id: &ContainerId, pid: u32, cx: &mut Ctx<Self>) -> Later<()> {
        let place = Place::of(&self.root, id.as_str());
        let Some(container) = self.containers.get_mut(id) else { return now(Ok(())) };
        container.pid = Some(pid);
        let container = container.clone();
        if let Err(reason) = enter(&place, pid, &container.hostname) {
            return now(Err(reason));
        }
        let attachments: Vec<Attachment> =
            container.joined.iter().map(|joined| self.attachment(id.as_str(), joined)).collect();
        let world = World { subprocesses: cx.subprocesses(), disk: cx.disk() };
        let attaching = async move {
            let mut results = Vec::new();
            for attachment in &attachments {
                results.push(plugin::add(&world, attachment).await?);
            }
            Ok(results)
        };
        // The actor learns of the results before anybody else does.
        let (sender, receiver) = oneshot::channel();
        let id = id.clone();
        cx.defer(attaching, move |this, attached: Result<Vec<_>, String>, _| {
            let noted = attached.and_then(|results| this.attached(&id, results));
            // Who asked may have lost interest.
            let _ = sender.send(noted);
        });
        async move { receiver.await.unwrap_or_else(|_| Err("the isolator is gone".to_owned())) }
            .boxed()
    }

    fn attached(
        &mut self,
        id: &ContainerId,
        results: Vec<serde_json::Value>,
    ) -> Result<(), String> {
        let Some(container) = self.containers.get_mut(id) else {
            return Err("it is gone".to_owned());
        };
        for (joined, result) in container.joined.iter_mut().zip(results) {
            joined.result = Some(result);
        }
        let place = Place::of(&self.root, id.as_str());
        let told = |error: std::io::Error| format!("cannot write '{}': {error}", place.0.display());
        place.write(&container.joined).map_err(told)?;
        let results = || container.joined.iter().filter_map(|joined| joined.result.as_ref());
        let addresses: Vec<_> = results().flat_map(plugin::addresses).collect();
        let resolv = results().find_map(plugin::resolv_conf);
        let resolv = resolv
            .unwrap_or_else(|| std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
        let hosts = plugin::hosts(&container.hostname, &addresses);
        let hostname = format!("{}\n", container.hostname);
        for (name, text) in etc::FILES.into_iter().zip([hosts, hostname, resolv]) {
            // The same file as before: it may be mounted already.
            std::fs::write(place.etc(name), text).map_err(told)?;
        }
        Ok(())
    }

    /// Detaches a container from its networks and forgets it.
    fn detach(&self, id: &str, joined: Vec<Joined>, cx: &Ctx<Self>) -> Later<()> {
        let place = Place::of(&self.root, id);
        let calls: Vec<_> = joined
            .into_iter()
            .rev()
            .map(|joined| (self.attachment(id, &joined), joined.result))
            .collect();
        let world = World { subprocesses: cx.subprocesses(), disk: cx.disk() };
        let detaching = async move {
            let mut failure = Ok(());
            for (attachment, result) in calls {
                let detached = plugin::del(&world, &attachment, result.as_ref()).await;
                failure = failure.and(detached);
            }
            // What cannot be detached stays known, so that the next slave tries again.
            failure?;
            let namespace = place.namespace();
            if namespace.exists() {
                // It is no mount when the container never came so far.
                let _ = mounts::detach(&namespace);
            }
            match std::fs::remove_dir_all(&place.0) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(format!("cannot remove '{}': {error}", place.0.display()))
                }
                _ => Ok(()),
            }
        };
        detaching.boxed()
    }
}

/// Every plugin of a network must be there.
fn check(network: &Network, plugins: &str) -> Result<(), String> {
    for plugin in &network.plugins {
        let kind = plugin.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
        if plugin::find(plugins, kind).is_none() {
            let name = &network.name;
            return Err(format!("network '{name}' needs the plugin '{kind}', which is not there"));
        }
    }
    Ok(())
}

/// Prepares the network namespace of a new process.
fn enter(place: &Place, pid: u32, hostname: &str) -> Result<(), String> {
    let told = |error: std::io::Error| format!("cannot enter its network: {error}");
    if namespace::is_on_host(pid).map_err(told)? {
        return Err("it was started in the host's network".to_owned());
    }
    namespace::keep(pid, &place.namespace()).map_err(told)?;
    namespace::bring_loopback_up(&place.namespace()).map_err(told)?;
    namespace::name_host(pid, hostname).map_err(told)
}

impl Process for Cni {
    fn routes(_: &mut Routes<Self>) {}
}

impl IsolatorProcess for Cni {
    const NAME: &'static str = "network/cni";

    fn recover(&mut self, container: &Recovered, _: &mut Ctx<Self>) -> Result<(), String> {
        let joined = Place::of(&self.root, container.id.as_str()).read();
        if !joined.is_empty() {
            let pid = Some(container.pid);
            let hostname = container.id.as_str().to_owned();
            self.containers.insert(container.id.clone(), Container { pid, hostname, joined });
        }
        Ok(())
    }

    fn recovered(&mut self, cx: &mut Ctx<Self>) {
        if self.directories.is_none() {
            return;
        }
        let Ok(entries) = std::fs::read_dir(&self.root) else { return };
        for entry in entries.filter_map(Result::ok) {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if self.containers.contains_key(&ContainerId::new(name.as_str())) {
                continue;
            }
            let place = Place(entry.path());
            if place.is_foreign(&self.work_dir) {
                continue;
            }
            let joined = place.read();
            let detached = self.detach(&name, joined, cx);
            cx.defer(detached, move |_, detached, cx| {
                if let Err(reason) = detached {
                    slog::warn!(cx.log(), "orphan's networks are left";
                        "container" => name, "reason" => reason);
                }
            });
        }
    }

    fn prepare(
        &mut self,
        container: &ContainerId,
        setup: &Arc<ContainerSetup>,
        _: &mut Ctx<Self>,
    ) -> Later<LaunchInfo> {
        if self.containers.contains_key(container) {
            return now(Err("it is prepared already".to_owned()));
        }
        now(self.launch(container, setup))
    }

    fn isolate(&mut self, container: &ContainerId, pid: u32, cx: &mut Ctx<Self>) -> Later<()> {
        self.attach(container, pid, cx)
    }

    fn usage(
        &mut self,
        container: &ContainerId,
        cx: &mut Ctx<Self>,
    ) -> Result<ResourceStatistics, String> {
        let mut used = statistics(cx);
        let pid = self.containers.get(container).and_then(|container| container.pid);
        let Some(pid) = pid.filter(|_| self.measures).and_then(|pid| i32::try_from(pid).ok())
        else {
            return Ok(used);
        };
        let table = OsProcess::new(pid).and_then(|process| process.dev_status());
        let table = table.map_err(|error| error.to_string())?;
        let devices = || table.values().filter(|device| device.name != "lo");
        used.net_rx_packets = Some(devices().map(|device| device.recv_packets).sum());
        used.net_rx_bytes = Some(devices().map(|device| device.recv_bytes).sum());
        used.net_rx_errors = Some(devices().map(|device| device.recv_errs).sum());
        used.net_rx_dropped = Some(devices().map(|device| device.recv_drop).sum());
        used.net_tx_packets = Some(devices().map(|device| device.sent_packets).sum());
        used.net_tx_bytes = Some(devices().map(|device| device.sent_bytes).sum());
        used.net_tx_errors = Some(devices().map(|device| device.sent_errs).sum());
        used.net_tx_dropped = Some(devices().map(|device| device.sent_drop).sum());
        Ok(used)
    }

    fn status(&mut self, container: &ContainerId) -> Result<ContainerStatus, String> {
        let container = self.containers.get(container);
        let joined = container.iter().flat_map(|container| &container.joined);
        let network_infos = joined.map(Joined::status).collect();
        Ok(ContainerStatus { network_infos, ..ContainerStatus::default() })
    }

    fn cleanup(&mut self, container: &ContainerId, cx: &mut Ctx<Self>) -> Later<()> {
        match self.containers.remove(container) {
            Some(known) => self.detach(container.as_str(), known.joined, cx),
            None => now(Ok(())),
        }
    }
}
