//! `filesystem/posix`: containers see the host's files; persistent volumes are links in the sandbox.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use libprocess::disk::Disk;
use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;

use super::beneath::Beneath;
use crate::front::{IsolatorProcess, Later, now};
use crate::launch::LaunchInfo;
use crate::options::Options;
use crate::setup::{Allocation, ContainerSetup, Recovered};
use crate::volume::persistent;

/// A link in a sandbox, and the volume it leads to.
type Links = BTreeMap<PathBuf, PathBuf>;

struct Container {
    directory: PathBuf,
    user: Option<(u32, u32)>,
    links: Links,
}

/// The isolator's actor.
pub struct FilesystemPosix {
    work_dir: PathBuf,
    containers: BTreeMap<ContainerId, Container>,
}

impl FilesystemPosix {
    /// As the flags say.
    pub fn new(options: &Options) -> Self {
        Self { work_dir: options.work_dir.clone(), containers: BTreeMap::new() }
    }

    fn change(&mut self, id: &ContainerId, allocation: &Allocation, cx: &Ctx<Self>) -> Later<()> {
        let Some(container) = self.containers.get_mut(id) else {
            return now(Err("it is not prepared".to_owned()));
        };
        let wanted = match links(&self.work_dir, allocation) {
            Ok(wanted) => wanted,
            Err(reason) => return now(Err(reason)),
        };
        let changes = changes(&container.links, &wanted);
        container.links = wanted;
        if changes.added.is_empty() && changes.removed.is_empty() {
            return now(Ok(()));
        }
        let place = Place {
            id: id.clone(),
            sandbox: container.directory.clone(),
            user: container.user,
            disk: cx.disk(),
            log: cx.log().clone(),
        };
        place.apply(changes).boxed()
    }
}

/// The links that a container is to have.
fn links(work_dir: &Path, allocation: &Allocation) -> Result<Links, String> {
    let setup = ContainerSetup::from(allocation.clone());
    let mut links = Links::new();
    for (resource, volume) in setup.persistent_volumes() {
        let path = PathBuf::from(&volume.container_path);
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || path.as_os_str().is_empty() {
            return Err(format!(
                "persistent volume at '{}': only paths inside the sandbox can be linked",
                path.display()
            ));
        }
        let Some(source) = persistent::host_path(work_dir, &resource) else {
            return Err(format!("persistent volume at '{}' is on no usable disk", path.display()));
        };
        links.insert(path, source);
    }
    Ok(links)
}

#[derive(Debug, PartialEq, Eq)]
struct Changes {
    added: Links,
    removed: Links,
}

fn changes(present: &Links, wanted: &Links) -> Changes {
    let copied = |(path, source): (&PathBuf, &PathBuf)| (path.clone(), source.clone());
    let added = wanted.iter().filter(|(path, source)| present.get(*path) != Some(source));
    let removed = present.iter().filter(|(path, _)| !wanted.contains_key(*path));
    Changes { added: added.map(copied).collect(), removed: removed.map(copied).collect() }
}

/// Where links change.
struct Place {
    id: ContainerId,
    sandbox: PathBuf,
    user: Option<(u32, u32)>,
    disk: Arc<dyn Disk>,
    log: slog::Logger,
}

fn told<E: std::fmt::Display>(error: E) -> String {
    error.to_string()
}

impl Place {
    async fn apply(self, changes: Changes) -> Result<(), String> {
        let sandbox = match is_hosts(&*self.disk).await {
            true => Some(Beneath::sandbox(&self.id, &self.sandbox).map_err(told)?),
            false => None,
        };
        for (path, source) in changes.removed {
            match &sandbox {
                Some(sandbox) => self.unlink(sandbox, &path, &source)?,
                None => self.disk.remove(&self.sandbox.join(path)).await.map_err(told)?,
            }
        }
        for (path, source) in changes.added {
            self.disk.create_dir(&source).await.map_err(told)?;
            if let Some((uid, gid)) = self.user {
                self.disk.chown(&source, uid, gid).await.map_err(told)?;
            }
            match &sandbox {
                Some(sandbox) => sandbox.link(&path, &source).map_err(told)?,
                None => {
                    self.disk.symlink(&source, &self.sandbox.join(path)).await.map_err(told)?;
                }
            }
        }
        Ok(())
    }

    fn unlink(&self, sandbox: &Beneath, path: &Path, source: &Path) -> Result<(), String> {
        if !sandbox.unlink(path, source).map_err(told)? {
            slog::warn!(self.log, "the link to a volume is not where it was made";
                "container" => %self.id, "path" => %path.display());
        }
        Ok(())
    }
}

/// Whether a node's disk is the host's, whose sandboxes are in the hands of what runs in them. In
/// simulated ones nobody but the slave makes links, and there are no descriptors.
async fn is_hosts(disk: &dyn Disk) -> bool {
    let itself = Path::new("/proc/self");
    disk.canonicalize(itself).await.ok() == itself.canonicalize().ok()
}

impl Process for FilesystemPosix {
    fn routes(_: &mut Routes<Self>) {}
}

impl IsolatorProcess for FilesystemPosix {
    const NAME: &'static str = "filesystem/posix";

    fn recover(&mut self, container: &Recovered, _: &mut Ctx<Self>) -> Result<(), String> {
        let Recovered { id, setup, .. } = container;
        let links = links(&self.work_dir, &setup.allocation)?;
        let (directory, user) = (setup.directory.clone(), setup.user);
        self.containers.insert(id.clone(), Container { directory, user, links });
        Ok(())
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
        if setup.rootfs.is_some() {
            return now(Err("an image needs the isolator 'filesystem/linux'".to_owned()));
        }
        let (directory, user) = (setup.directory.clone(), setup.user);
        let known = Container { directory, user, links: Links::new() };
        self.containers.insert(container.clone(), known);
        let changed = self.change(container, &setup.allocation, cx);
        async move { changed.await.map(|()| LaunchInfo::default()) }.boxed()
    }

    fn update(
        &mut self,
        container: &ContainerId,
        allocation: &Allocation,
        cx: &mut Ctx<Self>,
    ) -> Later<()> {
        self.change(container, allocation, cx)
    }

    fn cleanup(&mut self, container: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
        self.containers.remove(container);
        now(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use protos::resources::Resources;

    use super::*;

    fn table(entries: &[(&str, &str)]) -> Links {
        entries.iter().map(|(path, source)| (path.into(), source.into())).collect()
    }

    #[test]
    fn filesystem_posix_changes_are_what_differs() {
        let present = table(&[("a", "/1"), ("b", "/2"), ("c", "/3")]);
        let wanted = table(&[("a", "/1"), ("b", "/9"), ("d", "/4")]);
        let changes = changes(&present, &wanted);
        assert_eq!(changes.added, table(&[("b", "/9"), ("d", "/4")]));
        assert_eq!(changes.removed, table(&[("c", "/3")]));
    }

    fn volume(path: &str) -> Allocation {
        let text = r#"[{"name":"disk","type":"SCALAR","scalar":{"value":10},
            "reservations":[{"type":"STATIC","role":"r"}],
            "disk":{"persistence":{"id":"v"},
                    "volume":{"container_path":"PATH","mode":"RW"}}}]"#;
        let resources = Resources::parse(&text.replace("PATH", path), "*").unwrap();
        resources.into()
    }

    #[test]
    fn filesystem_posix_links_lead_to_volumes() {
        let links = links(Path::new("/work"), &volume("data")).unwrap();
        assert_eq!(links, table(&[("data", "/work/volumes/roles/r/v")]));
    }

    #[test]
    fn filesystem_posix_links_stay_in_the_sandbox() {
        for path in ["/etc", "../x", "a/../../b", ""] {
            assert!(links(Path::new("/work"), &volume(path)).is_err(), "{path}");
        }
    }
}
