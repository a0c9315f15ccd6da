//! `filesystem/linux`: a container has mounts of its own: its image as root, its sandbox, its
//! persistent volumes.

use std::collections::BTreeMap;
use std::os::unix::fs::chown;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::{Resource, Volume};

use super::{mounts, root};
use crate::front::{IsolatorProcess, Later, now};
use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::setup::{Allocation, ContainerSetup, Recovered};
use crate::volume::persistent::{self, is_writable};
use crate::volume::target::{place, text};

/// The gauge of containers with a root of their own.
const CONTAINERS_NEW_ROOTFS: &str = "containerizer/mesos/filesystem/containers_new_rootfs";

struct Container {
    setup: Arc<ContainerSetup>,
    /// Volumes that are mounted in the sandbox, with their sources; empty where they are not known.
    mounted: BTreeMap<PathBuf, PathBuf>,
}

/// The isolator's actor.
pub struct FilesystemLinux {
    work_dir: PathBuf,
    sandbox_directory: PathBuf,
    /// Where read-only mounts are made.
    stage: PathBuf,
    containers: BTreeMap<ContainerId, Container>,
}

impl FilesystemLinux {
    /// As the flags say. Makes the work directory a shared mount, so that volumes that are mounted
    /// later are seen in containers.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(options: &Options) -> Result<Self, String> {
        let work_dir = options.work_dir.clone();
        std::fs::create_dir_all(&work_dir).and_then(|()| mounts::share(&work_dir)).map_err(
            |error| format!("cannot make '{}' a shared mount: {error}", work_dir.display()),
        )?;
        let sandbox_directory = options.sandbox_directory.clone();
        let stage = options.runtime_dir.join("isolators/filesystem/linux/stage");
        Ok(Self { work_dir, sandbox_directory, stage, containers: BTreeMap::new() })
    }

    /// What the launcher mounts inside.
    fn launch(&self, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let mut info = LaunchInfo {
            clone_namespaces: vec![launch::CLONE_NEWNS],
            mounts: vec![launch::propagation("/", launch::MS_SLAVE | launch::MS_REC)],
            working_directory: Some(text(&setup.directory)),
            ..LaunchInfo::default()
        };
        if let Some(rootfs) = &setup.rootfs {
            root::fill(&mut info, rootfs);
            let inside = self.sandbox_directory.strip_prefix("/");
            let sandbox = rootfs.join(inside.unwrap_or(&self.sandbox_directory));
            info.mounts.push(launch::bind(text(&setup.directory), text(&sandbox), true));
            let own = setup.image.as_ref().and_then(|image| image.working_dir.clone());
            // An absolute one of the image is told by who reads its configuration.
            let own = own.is_some_and(|path| path.starts_with('/'));
            info.working_directory = (!own).then(|| text(&self.sandbox_directory));
        }
        for (resource, volume) in setup.persistent_volumes() {
            if !Path::new(&volume.container_path).is_absolute() {
                continue;
            }
            let source = self.source(&resource, &volume)?;
            let target = place(setup, &self.sandbox_directory, &volume.container_path)?;
            if setup.rootfs.is_none() && !target.exists() {
                return Err(format!("container path '{}' does not exist", target.display()));
            }
            make_volume(&source, &resource, setup)?;
            info.mounts.push(launch::bind(text(&source), text(&target), true));
            if !is_writable(&volume) {
                info.mounts.push(launch::read_only(text(&target)));
            }
        }
        Ok(info)
    }

    fn source(&self, resource: &Resource, volume: &Volume) -> Result<PathBuf, String> {
        persistent::host_path(&self.work_dir, resource).ok_or_else(|| {
            format!("persistent volume at '{}' is on no usable disk", volume.container_path)
        })
    }

    /// Mounts in the sandbox what is new, and takes away what is not wanted any more.
    fn change(&mut self, id: &ContainerId, allocation: &Allocation) -> Result<(), String> {
        let Some(container) = self.containers.get(id) else {
            return Err("it is not prepared".to_owned());
        };
        let setup = container.setup.clone();
        let mut gone = container.mounted.clone();
        let volumes = ContainerSetup::from(allocation.clone()).persistent_volumes();
        let mut added = Vec::new();
        for (resource, volume) in volumes {
            let path = PathBuf::from(&volume.container_path);
            if path.is_absolute() {
                continue;
            }
            let source = self.source(&resource, &volume)?;
            let is_there = |known: &PathBuf| *known == source || known.as_os_str().is_empty();
            if gone.get(&path).is_some_and(is_there) {
                gone.remove(&path);
                continue;
            }
            added.push((path, source, resource, volume));
        }
        for path in gone.into_keys() {
            let target = setup.directory.join(&path);
            mounts::detach(&target)
                .map_err(|error| format!("cannot unmount '{}': {error}", target.display()))?;
            self.forget(id, &path);
        }
        for (path, source, resource, volume) in added {
            make_volume(&source, &resource, &setup)?;
            let target = inside(&setup.directory, &path)?;
            let shown = match is_writable(&volume) {
                true => mounts::bind(&source, &target),
                false => mounts::bind_read_only(&source, &target, &self.stage),
            };
            shown.map_err(|error| format!("cannot mount '{}': {error}", target.display()))?;
            if let Some(container) = self.containers.get_mut(id) {
                container.mounted.insert(path, source);
            }
        }
        Ok(())
    }

    fn forget(&mut self, id: &ContainerId, path: &Path) {
        if let Some(container) = self.containers.get_mut(id) {
            container.mounted.remove(path);
        }
    }

    fn unmount(&mut self, id: &ContainerId) -> Result<(), String> {
        let Some(container) = self.containers.remove(id) else { return Ok(()) };
        if container.setup.directory.as_os_str().is_empty() {
            return Ok(());
        }
        let told = |error: std::io::Error| format!("cannot unmount its volumes: {error}");
        for point in mounts::below(&container.setup.directory).map_err(told)? {
            mounts::detach(&point).map_err(told)?;
        }
        Ok(())
    }
}

/// Mounts in sandboxes of no known container. None while the sandbox of one is not known.
fn orphans<'a>(points: &'a [PathBuf], known: &[&Path]) -> Vec<&'a Path> {
    if known.iter().any(|sandbox| sandbox.as_os_str().is_empty()) {
        return Vec::new();
    }
    let is_orphan = |point: &&PathBuf| !known.iter().any(|sandbox| point.starts_with(sandbox));
    points.iter().filter(is_orphan).map(PathBuf::as_path).collect()
}

/// Makes the directory of a volume; the first container that uses it gets it.
fn make_volume(source: &Path, resource: &Resource, setup: &ContainerSetup) -> Result<(), String> {
    let told = |error: std::io::Error| format!("cannot prepare '{}': {error}", source.display());
    let is_new = !source.exists();
    std::fs::create_dir_all(source).map_err(told)?;
    match setup.user {
        // What several containers share stays with the one that came first.
        Some((uid, gid)) if is_new || resource.shared.is_none() => {
            chown(source, Some(uid), Some(gid)).map_err(told)
        }
        _ => Ok(()),
    }
}

/// A directory of the sandbox to mount on; it is made if need be.
fn inside(sandbox: &Path, path: &Path) -> Result<PathBuf, String> {
    let leads_out = || format!("'{}' leads out of the sandbox", path.display());
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(leads_out());
    }
    let told = |error: std::io::Error| format!("cannot create '{}': {error}", path.display());
    let sandbox = sandbox.canonicalize().map_err(told)?;
    let target = sandbox.join(path);
    std::fs::create_dir_all(&target).map_err(told)?;
    // What runs in the sandbox may have put a link there.
    if target.canonicalize().map_err(told)? == target { Ok(target) } else { Err(leads_out()) }
}

impl Process for FilesystemLinux {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.node().metrics().gauge(CONTAINERS_NEW_ROOTFS, &cx.handle(), |this| {
            let with_root = this.containers.values().filter(|it| it.setup.rootfs.is_some());
            with_root.count() as f64
        });
    }
}

impl IsolatorProcess for FilesystemLinux {
    const NAME: &'static str = "filesystem/linux";

    fn recover(&mut self, container: &Recovered, _: &mut Ctx<Self>) -> Result<(), String> {
        let setup = Arc::new(container.setup.clone());
        let directory = &setup.directory;
        let points = match directory.as_os_str().is_empty() {
            true => Vec::new(),
            false => mounts::below(directory)
                .map_err(|error| format!("cannot tell what is mounted: {error}"))?,
        };
        // Where they come from is not told: they are taken for what is wanted there.
        let paths = points.iter().filter_map(|point| point.strip_prefix(directory).ok());
        let mounted = paths.map(|path| (path.to_owned(), PathBuf::new())).collect();
        self.containers.insert(container.id.clone(), Container { setup, mounted });
        Ok(())
    }

    fn recovered(&mut self, cx: &mut Ctx<Self>) {
        let known: Vec<&Path> =
            self.containers.values().map(|it| it.setup.directory.as_path()).collect();
        let points = mounts::below(&self.work_dir.join("slaves")).unwrap_or_default();
        for point in orphans(&points, &known) {
            slog::info!(cx.log(), "unmounting an orphan's volume"; "path" => %point.display());
            if let Err(error) = mounts::detach(point) {
                slog::warn!(cx.log(), "an orphan's volume is left";
                    "path" => %point.display(), "reason" => %error);
            }
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
        let known = Container { setup: setup.clone(), mounted: BTreeMap::new() };
        self.containers.insert(container.clone(), known);
        let changed = self.change(container, &setup.allocation);
        now(changed.and_then(|()| self.launch(setup)))
    }

    fn update(
        &mut self,
        container: &ContainerId,
        allocation: &Allocation,
        _: &mut Ctx<Self>,
    ) -> Later<()> {
        now(self.change(container, allocation))
    }

    fn cleanup(&mut self, container: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
        now(self.unmount(container))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isolator() -> FilesystemLinux {
        FilesystemLinux {
            work_dir: "/work".into(),
            sandbox_directory: "/mnt/mesos/sandbox".into(),
            stage: "/stage".into(),
            containers: BTreeMap::new(),
        }
    }

    #[test]
    fn filesystem_linux_without_image_keeps_mounts_to_itself() {
        let setup = ContainerSetup { directory: "/sandbox".into(), ..ContainerSetup::default() };
        let info = isolator().launch(&setup).unwrap();
        assert_eq!(info.clone_namespaces, [launch::CLONE_NEWNS]);
        assert_eq!(info.mounts.len(), 1);
        assert_eq!(info.mounts[0].flags(), launch::MS_SLAVE | launch::MS_REC);
        assert_eq!(info.working_directory(), "/sandbox");
        assert_eq!(info.rootfs, None);
    }

    #[test]
    fn filesystem_linux_with_image_shows_the_sandbox_in_it() {
        let setup = ContainerSetup {
            directory: "/sandbox".into(),
            rootfs: Some("/image".into()),
            ..ContainerSetup::default()
        };
        let info = isolator().launch(&setup).unwrap();
        assert_eq!(info.rootfs(), "/image");
        assert_eq!(info.working_directory(), "/mnt/mesos/sandbox");
        let sandbox = info.mounts.iter().find(|mount| mount.source() == "/sandbox").unwrap();
        assert_eq!(sandbox.target, "/image/mnt/mesos/sandbox");
        assert!(info.mounts.iter().any(|mount| mount.target == "/image/proc"));
    }

    #[test]
    fn filesystem_linux_orphans_are_mounts_of_no_known_sandbox() {
        let points = ["/w/slaves/s/a/data", "/w/slaves/s/b/data"].map(PathBuf::from);
        let known = Path::new("/w/slaves/s/a");
        assert_eq!(orphans(&points, &[known]), [Path::new("/w/slaves/s/b/data")]);
        assert!(orphans(&points, &[known, Path::new("")]).is_empty());
    }

    #[test]
    fn filesystem_linux_mount_points_stay_in_the_sandbox() {
        let sandbox = tempfile::tempdir().unwrap();
        let real = sandbox.path().canonicalize().unwrap();
        assert_eq!(inside(sandbox.path(), Path::new("a/b")).unwrap(), real.join("a/b"));
        std::os::unix::fs::symlink("/tmp", sandbox.path().join("out")).unwrap();
        assert!(inside(sandbox.path(), Path::new("out")).is_err());
        assert!(inside(sandbox.path(), Path::new("../x")).is_err());
    }
}
