//! `filesystem/linux`: a container has mounts of its own: its image as root, its sandbox, its
//! persistent volumes.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libprocess::{Ctx, Process, Routes};
use nix::sys::stat::fstat;
use protos::ids::ContainerId;
use protos::mesos::{Resource, Volume};

use super::beneath::{Beneath, BeneathError, shown};
use super::table::Mount;
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
    /// Volumes that are mounted in the sandbox.
    mounted: BTreeMap<PathBuf, Mounted>,
}

struct Mounted {
    /// What is shown there; None where an earlier slave mounted it.
    source: Option<PathBuf>,
    /// By which it is found again: its path is in the container's hands.
    id: u64,
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
        let container = self.containers.get(id).ok_or("it is not prepared")?;
        let setup = container.setup.clone();
        let mut gone: BTreeMap<PathBuf, u64> =
            container.mounted.iter().map(|(path, mounted)| (path.clone(), mounted.id)).collect();
        let volumes = ContainerSetup::from(allocation.clone()).persistent_volumes();
        let mut added = Vec::new();
        for (resource, volume) in volumes {
            let path = PathBuf::from(&volume.container_path);
            if path.is_absolute() {
                continue;
            }
            let source = self.source(&resource, &volume)?;
            let is_there = |known: &Mounted| known.source.as_ref().is_none_or(|it| *it == source);
            if container.mounted.get(&path).is_some_and(is_there) {
                gone.remove(&path);
                continue;
            }
            added.push((path, source, resource, volume));
        }
        if gone.is_empty() && added.is_empty() {
            return Ok(());
        }
        let sandbox = Beneath::sandbox(id, &setup.directory).map_err(|error| error.to_string())?;
        for (path, mount) in gone {
            mounts::take_away(&sandbox, mount).map_err(|error| error.to_string())?;
            if let Some(container) = self.containers.get_mut(id) {
                container.mounted.remove(&path);
            }
        }
        for (path, source, resource, volume) in added {
            make_volume(&source, &resource, &setup)?;
            let target = sandbox.make(&path).map_err(|error| error.to_string())?;
            let mount = self.mount(&sandbox, &path, &target, &source, is_writable(&volume))?;
            if let Some(container) = self.containers.get_mut(id) {
                container.mounted.insert(path, Mounted { source: Some(source), id: mount });
            }
        }
        Ok(())
    }

    /// Mounts a volume on a directory of a sandbox, and answers the mount's number. The container may
    /// by now have put something else in the directory's place.
    fn mount(
        &self,
        sandbox: &Beneath,
        path: &Path,
        target: &OwnedFd,
        source: &Path,
        is_writable: bool,
    ) -> Result<u64, String> {
        let told = |error: std::io::Error| format!("cannot mount '{}': {error}", source.display());
        let mounted = match is_writable {
            true => mounts::bind(source, &shown(target)),
            false => mounts::bind_read_only(source, &shown(target), &self.stage),
        };
        mounted.map_err(told)?;
        let there = sandbox.find(path).map_err(|error| error.to_string())?;
        let seen = fstat(&there).map_err(|errno| told(errno.into()))?;
        let wanted = source.metadata().map_err(told)?;
        if (seen.st_dev, seen.st_ino) != (wanted.dev(), wanted.ino()) {
            return Err(format!("'{}' was moved while it was mounted on", path.display()));
        }
        mounts::id(&there).map_err(told)
    }

    /// A container is known until nothing is mounted for it: who forgets it has its sandbox removed,
    /// and must not find volumes in there.
    fn unmount(&mut self, id: &ContainerId) -> Result<(), String> {
        let Some(container) = self.containers.get(id) else { return Ok(()) };
        if !container.setup.directory.as_os_str().is_empty() {
            match Beneath::sandbox(id, &container.setup.directory) {
                Ok(sandbox) => clear(&sandbox)?,
                // What is not there has no mounts; a nested one that was moved is its parent's.
                Err(error) if error.is_elsewhere() => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.containers.remove(id);
        Ok(())
    }

    /// Unmounts what is in sandboxes of no known container.
    fn unmount_orphans(&self, log: &slog::Logger) -> Result<(), BeneathError> {
        let real = |directory: &Path| directory.canonicalize().unwrap_or(directory.to_owned());
        let known: Vec<PathBuf> =
            self.containers.values().map(|it| real(&it.setup.directory)).collect();
        let slaves = Beneath::open(&self.work_dir.join("slaves"), Path::new(""))?;
        let present = mounts::within(&slaves)?;
        for mount in orphans(mounts::uppermost(&present), &known) {
            let point = mount.point.display();
            slog::info!(log, "unmounting an orphan's volume"; "path" => %point);
            if let Err(error) = mounts::take_away(&slaves, mount.id) {
                slog::warn!(log, "an orphan's volume is left"; "path" => %point,
                    "reason" => %error);
            }
        }
        Ok(())
    }
}

/// Unmounts all that is mounted in a sandbox.
fn clear(sandbox: &Beneath) -> Result<(), String> {
    let told = |error: BeneathError| error.to_string();
    let present = mounts::within(sandbox).map_err(told)?;
    // The last one may hide others.
    for mount in mounts::uppermost(&present).into_iter().rev() {
        mounts::take_away(sandbox, mount.id).map_err(told)?;
    }
    Ok(())
}

/// Mounts in sandboxes of no known container. None while the sandbox of one is not known.
fn orphans<'a>(present: Vec<&'a Mount>, known: &[PathBuf]) -> Vec<&'a Mount> {
    if known.iter().any(|sandbox| sandbox.as_os_str().is_empty()) {
        return Vec::new();
    }
    let is_orphan = |mount: &&Mount| !known.iter().any(|sandbox| mount.point.starts_with(sandbox));
    present.into_iter().filter(is_orphan).collect()
}

/// What an earlier slave mounted in a sandbox.
fn found(id: &ContainerId, sandbox: &Path) -> Result<BTreeMap<PathBuf, Mounted>, BeneathError> {
    let sandbox = match Beneath::sandbox(id, sandbox) {
        Err(error) if error.is_elsewhere() => return Ok(BTreeMap::new()),
        sandbox => sandbox?,
    };
    let (present, real) = (mounts::within(&sandbox)?, sandbox.real()?);
    let mut mounted = BTreeMap::new();
    for mount in mounts::uppermost(&present) {
        if let Ok(path) = mount.point.strip_prefix(&real) {
            // Where it comes from is not told: it is taken for what is wanted there.
            mounted.insert(path.to_owned(), Mounted { source: None, id: mount.id });
        }
    }
    Ok(mounted)
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
        let mounted = match setup.directory.as_os_str().is_empty() {
            true => BTreeMap::new(),
            false => found(&container.id, &setup.directory).map_err(|error| error.to_string())?,
        };
        self.containers.insert(container.id.clone(), Container { setup, mounted });
        Ok(())
    }

    fn recovered(&mut self, cx: &mut Ctx<Self>) {
        match self.unmount_orphans(cx.log()) {
            Err(error) if !error.is_elsewhere() => {
                slog::warn!(cx.log(), "volumes of orphans are not known"; "reason" => %error);
            }
            _ => {}
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
mod tests;
