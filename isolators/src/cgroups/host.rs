//! The actor that hosts one controller: it keeps the containers' cgroups, the controller says what
//! is written into them and read from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::{ContainerStatus, ResourceStatistics};

use super::{CgroupError, Controller, Group, Hierarchies, Version, hierarchies, killer};
use crate::front::{IsolatorProcess, Later, Limited, now, statistics};
use crate::launch::{LaunchInfo, Limitation};
use crate::setup::{self, Allocation, ContainerSetup, Recovered};

/// A container's place in the hierarchy.
enum Place {
    /// A cgroup of its own.
    Own(Group),
    /// Its parent's.
    Parent(Group),
    /// None: it was started by a slave that did not use this isolator.
    Nowhere,
}

struct Entry {
    place: Place,
    /// The kernel tells when it exceeds its limit.
    listens: bool,
    /// Who waits for a limitation.
    limited: Option<Limited>,
    /// One that came before anybody waited.
    limitation: Option<Limitation>,
}

/// The actor of one `cgroups/*` isolator.
pub struct CgroupIsolator<C> {
    pub(super) controller: C,
    hierarchies: Arc<Hierarchies>,
    destroy_timeout: Duration,
    /// Orphans with sandboxes elsewhere are another slave's; None when there is no other.
    work_dir: Option<PathBuf>,
    containers: BTreeMap<ContainerId, Entry>,
}

impl<C: Controller> CgroupIsolator<C> {
    /// Hosts a controller.
    ///
    /// # Errors
    /// When the kernel does not have what it needs.
    pub fn new(
        controller: C,
        hierarchies: Arc<Hierarchies>,
        destroy_timeout: Duration,
    ) -> Result<Self, CgroupError> {
        let needed = C::controllers(hierarchies.version());
        let needed = needed.ok_or_else(|| {
            CgroupError::Other(format!("{} does not exist in cgroups version 2", C::NAME))
        })?;
        if let Some(name) = needed.iter().find(|name| !hierarchies.offers(name)) {
            return Err(CgroupError::NotMounted((*name).to_owned()));
        }
        let (work_dir, containers) = (None, BTreeMap::new());
        Ok(Self { controller, hierarchies, destroy_timeout, work_dir, containers })
    }

    /// Leaves orphans alone whose sandboxes are not in this slave's work directory.
    #[must_use]
    pub fn within(self, work_dir: &Path) -> Self {
        Self { work_dir: Some(work_dir.to_owned()), ..self }
    }

    fn needed(&self) -> &'static [&'static str] {
        // `new` has refused a version without controllers.
        C::controllers(self.hierarchies.version()).unwrap_or_default()
    }

    /// Directories differ only where controllers are mounted apart.
    fn places(&self) -> Vec<&'static str> {
        let mut seen = Vec::new();
        let mut names = Vec::new();
        for name in self.needed() {
            if let Ok(point) = self.hierarchies.mount_point(name)
                && !seen.contains(&point)
            {
                seen.push(point);
                names.push(*name);
            }
        }
        names
    }

    /// Containers with cgroups of their own.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&ContainerId, &Group)> {
        self.containers.iter().filter_map(|(id, entry)| match &entry.place {
            Place::Own(group) => Some((id, group)),
            _ => None,
        })
    }

    fn own(&self, id: &ContainerId) -> Result<Option<&Group>, String> {
        match self.containers.get(id).map(|entry| &entry.place) {
            None => Err("it is not prepared".to_owned()),
            Some(Place::Own(group)) => Ok(Some(group)),
            Some(_) => Ok(None),
        }
    }

    fn listen(
        &mut self,
        id: &ContainerId,
        group: &Group,
        cx: &mut Ctx<Self>,
    ) -> Result<(), CgroupError> {
        if let Some(alarm) = self.controller.listen(group)? {
            let id = id.clone();
            if let Some(entry) = self.containers.get_mut(&id) {
                entry.listens = true;
            }
            cx.defer(alarm, move |this, is_exceeded, _| {
                if is_exceeded {
                    this.alarmed(&id);
                }
            });
        }
        Ok(())
    }

    fn alarmed(&mut self, id: &ContainerId) {
        let Ok(Some(group)) = self.own(id) else { return };
        let limitation = self.controller.limitation(group);
        let Some(entry) = self.containers.get_mut(id) else { return };
        match entry.limited.take() {
            // Nobody is interested any more when the receiver is gone.
            Some(limited) => drop(limited.send(limitation)),
            None => entry.limitation = Some(limitation),
        }
    }

    fn make(
        &mut self,
        id: &ContainerId,
        setup: &ContainerSetup,
        cx: &mut Ctx<Self>,
    ) -> Result<Place, CgroupError> {
        if let Some(parent) = shared_with(id, setup) {
            return Ok(Place::Parent(self.hierarchies.group(&parent)));
        }
        let group = self.hierarchies.group(id);
        for name in self.needed() {
            group.create(name)?;
            if let (Some((uid, gid)), Version::V1) = (setup.user, group.version()) {
                group.chown(name, uid, gid)?;
            }
        }
        self.controller.prepare(id, &group, setup)?;
        self.controller.update(id, &group, &setup.allocation)?;
        self.listen(id, &group, cx)?;
        Ok(Place::Own(group))
    }

    fn find(&mut self, known: &Recovered, cx: &mut Ctx<Self>) -> Result<Place, CgroupError> {
        if let Some(parent) = shared_with(&known.id, &known.setup) {
            return Ok(Place::Parent(self.hierarchies.group(&parent)));
        }
        let group = self.hierarchies.group(&known.id);
        if self.places().iter().any(|name| !group.exists(name)) {
            return Ok(Place::Nowhere);
        }
        self.controller.recover(&known.id, &group, &known.setup)?;
        self.listen(&known.id, &group, cx)?;
        Ok(Place::Own(group))
    }
}

/// The container whose cgroup a nested one shares.
fn shared_with(id: &ContainerId, setup: &ContainerSetup) -> Option<ContainerId> {
    let parent = setup::parent(id)?;
    let shares = setup.linux_info().is_none_or(|linux| linux.share_cgroups());
    (shares || setup.is_debug).then_some(parent)
}

impl<C: Controller> Process for CgroupIsolator<C> {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        C::started(self, cx);
    }
}

impl<C: Controller> IsolatorProcess for CgroupIsolator<C> {
    const NAME: &'static str = C::NAME;

    fn recover(&mut self, container: &Recovered, cx: &mut Ctx<Self>) -> Result<(), String> {
        let entry =
            Entry { place: Place::Nowhere, listens: false, limited: None, limitation: None };
        self.containers.insert(container.id.clone(), entry);
        let place = self.find(container, cx).map_err(|error| error.to_string())?;
        if let Some(entry) = self.containers.get_mut(&container.id) {
            entry.place = place;
        }
        Ok(())
    }

    fn recovered(&mut self, cx: &mut Ctx<Self>) {
        for name in self.places() {
            for id in self.hierarchies.containers(name) {
                if self.containers.contains_key(&id) || !hierarchies::is_container_like(&id) {
                    continue;
                }
                let group = self.hierarchies.group(&id);
                let work_dir = self.work_dir.as_deref();
                if work_dir.is_some_and(|own| killer::is_foreign(&group, name, own)) {
                    continue;
                }
                slog::info!(cx.log(), "destroying an orphan's cgroup";
                    "container" => %id, "controller" => name);
                let node = cx.node().clone();
                let destroyed = killer::destroy(node, group, name.to_owned(), self.destroy_timeout);
                cx.defer(destroyed, move |_, destroyed, cx| {
                    if let Err(error) = destroyed {
                        slog::warn!(cx.log(), "orphan's cgroup is left";
                            "container" => %id, "reason" => %error);
                    }
                });
            }
        }
    }

    fn prepare(
        &mut self,
        container: &ContainerId,
        setup: &Arc<ContainerSetup>,
        cx: &mut Ctx<Self>,
    ) -> Later<LaunchInfo> {
        if self.containers.contains_key(container) {
            return now(Err("it is prepared already".to_owned()));
        }
        // The entry is there even after a failure, so that cleaning up finds what was made.
        let group = self.hierarchies.group(container);
        let entry =
            Entry { place: Place::Own(group), listens: false, limited: None, limitation: None };
        self.containers.insert(container.clone(), entry);
        let made = self.make(container, setup, cx).map(|place| {
            if let Some(entry) = self.containers.get_mut(container) {
                entry.place = place;
            }
            LaunchInfo::default()
        });
        now(made.map_err(|error| error.to_string()))
    }

    fn isolate(&mut self, container: &ContainerId, pid: u32, _: &mut Ctx<Self>) -> Later<()> {
        let Some(entry) = self.containers.get(container) else {
            return now(Err("it is not prepared".to_owned()));
        };
        let (Place::Own(group) | Place::Parent(group)) = &entry.place else { return now(Ok(())) };
        let is_own = matches!(entry.place, Place::Own(_));
        let assigned = self.places().into_iter().try_for_each(|name| group.assign(name, pid));
        let isolated = match assigned {
            Ok(()) if is_own => self.controller.isolate(container, group, pid),
            other => other,
        };
        now(isolated.map_err(|error| error.to_string()))
    }

    fn watch(&mut self, container: &ContainerId, limited: Limited, _: &mut Ctx<Self>) {
        let Some(entry) = self.containers.get_mut(container) else { return };
        match entry.limitation.take() {
            Some(limitation) => drop(limited.send(limitation)),
            None if entry.listens => entry.limited = Some(limited),
            // There is nothing to wait for.
            None => {}
        }
    }

    fn update(
        &mut self,
        container: &ContainerId,
        allocation: &Allocation,
        _: &mut Ctx<Self>,
    ) -> Later<()> {
        let updated = self.own(container).map(Option::<&Group>::cloned).and_then(|group| {
            let Some(group) = group else { return Ok(()) };
            let updated = self.controller.update(container, &group, allocation);
            updated.map_err(|error| error.to_string())
        });
        now(updated)
    }

    fn usage(
        &mut self,
        container: &ContainerId,
        cx: &mut Ctx<Self>,
    ) -> Result<ResourceStatistics, String> {
        let mut used = statistics(cx);
        if let Some(group) = self.own(container)?.cloned() {
            let read = self.controller.usage(container, &group, &mut used);
            read.map_err(|error| error.to_string())?;
        }
        Ok(used)
    }

    fn status(&mut self, container: &ContainerId) -> Result<ContainerStatus, String> {
        let mut status = ContainerStatus::default();
        if self.own(container)?.is_some() {
            self.controller.status(container, &mut status);
        }
        Ok(status)
    }

    fn cleanup(&mut self, container: &ContainerId, cx: &mut Ctx<Self>) -> Later<()> {
        let Some(entry) = self.containers.remove(container) else { return now(Ok(())) };
        self.controller.cleanup(container);
        let Place::Own(group) = entry.place else { return now(Ok(())) };
        let (node, limit) = (cx.node().clone(), self.destroy_timeout);
        let places = self.places();
        let cleaned = async move {
            for name in places {
                let destroyed =
                    killer::destroy(node.clone(), group.clone(), name.to_owned(), limit);
                destroyed.await.map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        cleaned.boxed()
    }
}

#[cfg(test)]
mod tests;
