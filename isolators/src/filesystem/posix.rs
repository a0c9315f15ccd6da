//! `filesystem/posix`: containers see the host's files; persistent volumes are links in the sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use libprocess::disk::Disk;
use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;

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
        apply(cx.disk(), container.directory.clone(), container.user, changes).boxed()
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
    removed: BTreeSet<PathBuf>,
}

fn changes(present: &Links, wanted: &Links) -> Changes {
    let added = wanted.iter().filter(|(path, source)| present.get(*path) != Some(source));
    let removed = present.keys().filter(|path| !wanted.contains_key(*path));
    Changes {
        added: added.map(|(path, source)| (path.clone(), source.clone())).collect(),
        removed: removed.cloned().collect(),
    }
}

async fn apply(
    disk: Arc<dyn Disk>,
    sandbox: PathBuf,
    user: Option<(u32, u32)>,
    changes: Changes,
) -> Result<(), String> {
    let told = |error: libprocess::disk::DiskError| error.to_string();
    for path in changes.removed {
        disk.remove(&sandbox.join(path)).await.map_err(told)?;
    }
    for (path, source) in changes.added {
        disk.create_dir(&source).await.map_err(told)?;
        if let Some((uid, gid)) = user {
            disk.chown(&source, uid, gid).await.map_err(told)?;
        }
        let link = sandbox.join(path);
        if let Some(parent) = link.parent() {
            disk.create_dir(parent).await.map_err(told)?;
            // What runs in the sandbox may have put a link there that leads out of it.
            let real = disk.canonicalize(parent).await.map_err(told)?;
            if !real.starts_with(disk.canonicalize(&sandbox).await.map_err(told)?) {
                return Err(format!("{} leads out of the sandbox", link.display()));
            }
        }
        disk.symlink(&source, &link).await.map_err(told)?;
    }
    Ok(())
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
        assert_eq!(changes.removed, BTreeSet::from([PathBuf::from("c")]));
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
