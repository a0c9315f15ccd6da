//! `network/ports`: a container on the host's network listens on ports of its own only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::Resource;
use protos::mesos::task_status::Reason;
use protos::mesos::value::{Range, Ranges, Type};
use protos::resources::Resources;

use super::sockets;
use crate::cgroups::{Hierarchies, Version};
use crate::front::{IsolatorProcess, Later, Limited, now};
use crate::launch::{LaunchInfo, Limitation};
use crate::options::Options;
use crate::setup::{self, Allocation, ContainerSetup, Recovered};
use crate::tree::Table;

struct Container {
    pid: Option<u32>,
    /// None until it is known, after a restart of the slave.
    allowed: Option<Vec<(u64, u64)>>,
    limited: Option<Limited>,
    limitation: Option<Limitation>,
}

/// The isolator's actor.
pub struct Ports {
    interval: Duration,
    enforces: bool,
    /// Only these are looked at; all when None.
    judged: Option<Vec<(u64, u64)>>,
    hierarchies: Option<Arc<Hierarchies>>,
    containers: BTreeMap<ContainerId, Container>,
}

impl Ports {
    /// As the flags say.
    ///
    /// # Errors
    /// When a range of ports cannot be read, or two flags give one.
    pub fn new(options: &Options) -> Result<Self, String> {
        let judged = match &options.container_ports_isolated_range {
            Some(_) if options.check_agent_port_range_only => {
                return Err("--check_agent_port_range_only and --container_ports_isolated_range \
                            exclude each other"
                    .to_owned());
            }
            Some(text) => {
                let read: Result<Resources, _> = format!("ports:{text}").parse();
                Some(read.map_err(|error| format!("'{text}' are no ports: {error}"))?.ports())
            }
            None => options.check_agent_port_range_only.then(|| options.agent_ports.clone()),
        };
        let hierarchies =
            Hierarchies::of_host(&options.cgroups_hierarchy, &options.cgroups_root).ok();
        Ok(Self {
            interval: options.container_ports_watch_interval,
            enforces: options.enforce_container_ports,
            judged,
            hierarchies: hierarchies.map(Arc::new),
            containers: BTreeMap::new(),
        })
    }

    fn add(&mut self, id: &ContainerId, setup: &ContainerSetup, pid: Option<u32>) {
        // One with a network of its own may listen where it likes, nested ones count as their
        // parent.
        let info = setup.container_info.as_ref();
        let is_elsewhere = info
            .is_some_and(|info| info.network_infos.iter().any(|network| network.name.is_some()));
        if is_elsewhere || setup::parent(id).is_some() {
            return;
        }
        let resources = &setup.allocation.resources;
        let is_known = pid.is_none() || !resources.is_empty();
        let allowed = is_known.then(|| resources.ports());
        let container = Container { pid, allowed, limited: None, limitation: None };
        self.containers.insert(id.clone(), container);
    }

    /// What runs in a container: its cgroup if the launcher made one, else its process tree.
    fn processes(&self, id: &ContainerId, pid: u32) -> Vec<u32> {
        let group = self.hierarchies.as_ref().map(|found| found.group(id));
        let members = group.map(|group| match group.version() {
            Version::V1 => group.processes("freezer"),
            Version::V2 => group.processes(""),
        });
        match members {
            Some(members) if !members.is_empty() => members,
            _ => {
                let table = Table::read();
                let members = table.members(pid);
                members.iter().filter_map(|stat| u32::try_from(stat.pid).ok()).collect()
            }
        }
    }

    fn look(&mut self, cx: &mut Ctx<Self>) {
        cx.after(self.interval, Self::look);
        let known: Vec<(ContainerId, u32)> = self
            .containers
            .iter()
            .filter_map(|(id, container)| Some((id.clone(), container.pid?)))
            .collect();
        if known.is_empty() {
            return;
        }
        let listening = sockets::listening();
        for (id, pid) in known {
            let used = sockets::ports(&self.processes(&id, pid), &listening);
            let Some(container) = self.containers.get_mut(&id) else { continue };
            let Some(allowed) = &container.allowed else { continue };
            let strange = strange(&used, allowed, self.judged.as_deref());
            if strange.is_empty() {
                continue;
            }
            let limitation = limitation(&strange);
            slog::warn!(cx.log(), "container listens where it may not";
                "container" => %id, "message" => limitation.message());
            if !self.enforces {
                continue;
            }
            match container.limited.take() {
                // Nobody is interested any more when the receiver is gone.
                Some(limited) => drop(limited.send(limitation)),
                None => container.limitation = Some(limitation),
            }
        }
    }
}

fn holds(ranges: &[(u64, u64)], port: u16) -> bool {
    ranges.iter().any(|(begin, end)| (*begin..=*end).contains(&port.into()))
}

/// Ports in use that are not the container's, of those that are judged.
fn strange(
    used: &BTreeSet<u16>,
    allowed: &[(u64, u64)],
    judged: Option<&[(u64, u64)]>,
) -> BTreeSet<u16> {
    let is_judged = |port: u16| judged.is_none_or(|ranges| holds(ranges, port));
    used.iter().copied().filter(|port| is_judged(*port) && !holds(allowed, *port)).collect()
}

fn limitation(ports: &BTreeSet<u16>) -> Limitation {
    let range = |port: &u16| Range { begin: (*port).into(), end: (*port).into() };
    let resource = Resource {
        name: "ports".to_owned(),
        r#type: Type::Ranges as i32,
        ranges: Some(Ranges { range: ports.iter().map(range).collect() }),
        role: Some("*".to_owned()),
        ..Resource::default()
    };
    let texts: Vec<String> = ports.iter().map(ToString::to_string).collect();
    Limitation {
        resources: vec![resource],
        message: Some(format!(
            "Container listens on ports [{}] that are not its own",
            texts.join(", ")
        )),
        reason: Some(Reason::ContainerLimitation as i32),
    }
}

impl Process for Ports {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.after(self.interval, Self::look);
    }
}

impl IsolatorProcess for Ports {
    const NAME: &'static str = "network/ports";

    fn recover(&mut self, container: &Recovered, _: &mut Ctx<Self>) -> Result<(), String> {
        self.add(&container.id, &container.setup, Some(container.pid));
        Ok(())
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
        self.add(container, setup, None);
        now(Ok(LaunchInfo::default()))
    }

    fn isolate(&mut self, container: &ContainerId, pid: u32, _: &mut Ctx<Self>) -> Later<()> {
        if let Some(container) = self.containers.get_mut(container) {
            container.pid = Some(pid);
        }
        now(Ok(()))
    }

    fn watch(&mut self, container: &ContainerId, limited: Limited, _: &mut Ctx<Self>) {
        let Some(container) = self.containers.get_mut(container) else { return };
        match container.limitation.take() {
            Some(limitation) => drop(limited.send(limitation)),
            None => container.limited = Some(limited),
        }
    }

    fn update(
        &mut self,
        container: &ContainerId,
        allocation: &Allocation,
        _: &mut Ctx<Self>,
    ) -> Later<()> {
        if let Some(container) = self.containers.get_mut(container) {
            container.allowed = Some(allocation.resources.ports());
        }
        now(Ok(()))
    }

    fn cleanup(&mut self, container: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
        self.containers.remove(container);
        now(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_outside_the_allocation_are_strange_where_they_are_judged() {
        let used = BTreeSet::from([22, 31000, 31005]);
        let allowed = [(31000, 31001)];
        assert_eq!(strange(&used, &allowed, None), BTreeSet::from([22, 31005]));
        let judged = [(31000, 32000)];
        assert_eq!(strange(&used, &allowed, Some(&judged)), BTreeSet::from([31005]));
    }

    #[test]
    fn ports_limitation_names_them() {
        let limitation = limitation(&BTreeSet::from([22, 80]));
        assert!(limitation.message().contains("[22, 80]"));
        assert_eq!(limitation.reason(), Reason::ContainerLimitation);
        assert_eq!(limitation.resources[0].ranges.as_ref().unwrap().range.len(), 2);
    }

    #[test]
    fn ports_flags_that_exclude_each_other_are_refused() {
        let mut options = Options {
            container_ports_isolated_range: Some("[31000-32000]".to_owned()),
            ..Options::default()
        };
        assert_eq!(Ports::new(&options).unwrap().judged.unwrap(), [(31000, 32000)]);
        options.check_agent_port_range_only = true;
        assert!(Ports::new(&options).is_err());
        options.check_agent_port_range_only = false;
        options.container_ports_isolated_range = Some("many".to_owned());
        assert!(Ports::new(&options).is_err());
    }
}
