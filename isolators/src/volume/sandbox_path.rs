//! `volume/sandbox_path`: a directory of the own or the parent's sandbox is seen at another path.

use std::path::{Component, Path, PathBuf};

use protos::ids::ContainerId;
use protos::mesos::{Volume, volume};

use super::persistent::is_writable;
use super::target::{place, text};
use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::{self, ContainerSetup};

/// The isolator.
#[derive(Debug)]
pub struct SandboxPath {
    sandbox_directory: PathBuf,
    /// Binds where it can; else it links.
    binds: bool,
}

impl SandboxPath {
    /// As the flags say; `binds` when containers have mount namespaces.
    pub fn new(options: &Options, binds: bool) -> Self {
        Self { sandbox_directory: options.sandbox_directory.clone(), binds }
    }
}

/// The directory that a volume shows; None when it is of another kind.
fn source(
    id: &ContainerId,
    setup: &ContainerSetup,
    volume: &Volume,
) -> Result<Option<PathBuf>, String> {
    let (is_parents, path) = match &volume.source {
        None => match &volume.host_path {
            Some(path) if !path.starts_with('/') => (false, path.clone()),
            _ => return Ok(None),
        },
        Some(source) if source.r#type() == volume::source::Type::SandboxPath => {
            let sandbox_path = source.sandbox_path.as_ref();
            let sandbox_path = sandbox_path.ok_or("a volume lacks its sandbox path")?;
            let is_parents = match sandbox_path.r#type() {
                volume::source::sandbox_path::Type::Self_ => false,
                volume::source::sandbox_path::Type::Parent => true,
                volume::source::sandbox_path::Type::Unknown => {
                    return Err("a sandbox path is neither the own nor the parent's".to_owned());
                }
            };
            (is_parents, sandbox_path.path.clone())
        }
        Some(_) => return Ok(None),
    };
    let relative = Path::new(&path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("sandbox path '{path}' leads out of the sandbox"));
    }
    if !is_parents {
        return Ok(Some(setup.directory.join(relative)));
    }
    // A nested sandbox is at `containers/<id>` in its parent's.
    let parent = setup.directory.parent().and_then(Path::parent);
    match (setup::parent(id), parent) {
        (Some(_), Some(parent)) => Ok(Some(parent.join(relative))),
        _ => Err("only nested containers have a parent's sandbox".to_owned()),
    }
}

/// Makes the directory for the container's user, unless there is something.
fn make(source: &Path, setup: &ContainerSetup) -> Result<(), String> {
    if source.exists() {
        return Ok(());
    }
    let told = |error: std::io::Error| format!("cannot create '{}': {error}", source.display());
    std::fs::create_dir_all(source).map_err(told)?;
    match setup.user {
        Some((uid, gid)) => std::os::unix::fs::chown(source, Some(uid), Some(gid)).map_err(told),
        None => Ok(()),
    }
}

impl Preparer for SandboxPath {
    const NAME: &'static str = "volume/sandbox_path";

    fn launch(&self, id: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let mut info = LaunchInfo::default();
        for volume in setup.volumes() {
            let Some(source) = source(id, setup, volume)? else { continue };
            make(&source, setup)?;
            let container_path = Path::new(&volume.container_path);
            let target = place(setup, &self.sandbox_directory, &volume.container_path)?;
            if !self.binds {
                if container_path.is_absolute() || setup.rootfs.is_some() {
                    return Err(format!(
                        "container path '{}' needs the isolator 'filesystem/linux'",
                        container_path.display()
                    ));
                }
                info.file_operations.push(launch::symlink(text(&source), text(&target)));
                continue;
            }
            if container_path.is_absolute() && setup.rootfs.is_none() && !target.exists() {
                return Err(format!("container path '{}' does not exist", target.display()));
            }
            info.mounts.push(launch::bind(text(&source), text(&target), true));
            if !is_writable(volume) {
                info.mounts.push(launch::read_only(text(&target)));
            }
        }
        if !info.mounts.is_empty() {
            info.clone_namespaces.push(launch::CLONE_NEWNS);
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use protos::mesos::ContainerInfo;

    use super::*;

    fn setup(
        directory: &Path,
        kind: volume::source::sandbox_path::Type,
        path: &str,
    ) -> ContainerSetup {
        let sandbox_path =
            volume::source::SandboxPath { r#type: Some(kind as i32), path: path.to_owned() };
        let volume = Volume {
            container_path: "seen".to_owned(),
            mode: volume::Mode::Rw as i32,
            source: Some(volume::Source {
                r#type: Some(volume::source::Type::SandboxPath as i32),
                sandbox_path: Some(sandbox_path),
                ..volume::Source::default()
            }),
            ..Volume::default()
        };
        let info = ContainerInfo { volumes: vec![volume], ..ContainerInfo::default() };
        ContainerSetup {
            directory: directory.to_owned(),
            container_info: Some(info),
            ..ContainerSetup::default()
        }
    }

    use volume::source::sandbox_path::Type;

    #[test]
    fn sandbox_path_of_the_parent_is_bound_or_linked() {
        let sandbox = tempfile::tempdir().unwrap();
        let nested = sandbox.path().join("containers/n");
        let setup = setup(&nested, Type::Parent, "shared");
        let (source, target) = (sandbox.path().join("shared"), nested.join("seen"));
        let options = Options::default();
        let id = ContainerId::new("c.n");
        let bound = SandboxPath::new(&options, true).launch(&id, &setup).unwrap();
        assert_eq!(bound.mounts, [launch::bind(text(&source), text(&target), true)]);
        assert!(source.is_dir());
        let linked = SandboxPath::new(&options, false).launch(&id, &setup).unwrap();
        assert_eq!(linked.file_operations, [launch::symlink(text(&source), text(&target))]);
    }

    #[test]
    fn sandbox_path_stays_in_the_sandbox() {
        let sandbox = tempfile::tempdir().unwrap();
        let isolator = SandboxPath::new(&Options::default(), true);
        let id = ContainerId::new("c");
        for path in ["../x", "/etc"] {
            let setup = setup(sandbox.path(), Type::Self_, path);
            assert!(isolator.launch(&id, &setup).is_err(), "{path}");
        }
        assert!(isolator.launch(&id, &setup(sandbox.path(), Type::Parent, "x")).is_err());
        assert!(isolator.launch(&id, &setup(sandbox.path(), Type::Self_, "x")).is_ok());
    }
}
