//! `volume/host_path`: a file or directory of the host is seen in the container.

use std::path::{Component, Path, PathBuf};

use protos::ids::ContainerId;
use protos::mesos::{Volume, mount_propagation, volume};

use super::persistent::is_writable;
use super::target::{place, text};
use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::preparer::Preparer;
use crate::setup::ContainerSetup;

/// The isolator.
#[derive(Debug)]
pub struct HostPath {
    sandbox_directory: PathBuf,
    /// Below these, missing paths are made.
    made: Vec<PathBuf>,
}

impl HostPath {
    /// As the flags say.
    pub fn new(options: &Options) -> Self {
        let made = options.host_path_volume_force_creation.as_deref().unwrap_or_default();
        let made = made.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        Self { sandbox_directory: options.sandbox_directory.clone(), made }
    }

    fn check(&self, path: &Path) -> Result<(), String> {
        if path.components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(format!("host path '{}' leads upwards", path.display()));
        }
        if path.exists() {
            return Ok(());
        }
        if !self.made.iter().any(|allowed| path.starts_with(allowed)) {
            return Err(format!("host path '{}' does not exist", path.display()));
        }
        std::fs::create_dir_all(path)
            .map_err(|error| format!("cannot create host path '{}': {error}", path.display()))
    }
}

/// The host path of a volume, in the old or the new way; None when it is of another kind.
fn source(volume: &Volume) -> Result<Option<PathBuf>, String> {
    let path = match &volume.source {
        None => volume.host_path.clone().filter(|path| path.starts_with('/')),
        Some(source) if source.r#type() == volume::source::Type::HostPath => {
            let host_path = source.host_path.as_ref().ok_or("a volume lacks its host path")?;
            let propagation = host_path.mount_propagation.unwrap_or_default();
            if propagation.mode() == mount_propagation::Mode::Bidirectional {
                return Err(format!(
                    "volume of '{}': mounts of containers cannot reach the host",
                    host_path.path
                ));
            }
            if !host_path.path.starts_with('/') {
                return Err(format!("host path '{}' is not absolute", host_path.path));
            }
            Some(host_path.path.clone())
        }
        Some(_) => None,
    };
    Ok(path.map(PathBuf::from))
}

impl Preparer for HostPath {
    const NAME: &'static str = "volume/host_path";

    fn launch(&self, _: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let mut info = LaunchInfo::default();
        for volume in setup.volumes() {
            let Some(source) = source(volume)? else { continue };
            self.check(&source)?;
            let target = place(setup, &self.sandbox_directory, &volume.container_path)?;
            let is_on_host =
                setup.rootfs.is_none() && Path::new(&volume.container_path).is_absolute();
            if is_on_host && !target.exists() {
                // Making it would leave it on the host.
                return Err(format!("container path '{}' does not exist", target.display()));
            }
            let target = text(&target);
            info.mounts.push(launch::bind(text(&source), target.clone(), true));
            if !is_writable(volume) {
                info.mounts.push(launch::read_only(target));
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
    use protos::mesos::{ContainerInfo, MountPropagation};

    use super::*;

    fn setup(host: &Path, container: &str, mode: volume::Mode) -> ContainerSetup {
        let volume = Volume {
            container_path: container.to_owned(),
            host_path: Some(text(host)),
            mode: mode as i32,
            ..Volume::default()
        };
        let info = ContainerInfo { volumes: vec![volume], ..ContainerInfo::default() };
        ContainerSetup {
            container_info: Some(info),
            directory: "/sandbox".into(),
            ..ContainerSetup::default()
        }
    }

    fn launched(options: &Options, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        HostPath::new(options).launch(&ContainerId::new("c"), setup)
    }

    #[test]
    fn host_path_volumes_are_bound_and_made_read_only() {
        let host = tempfile::tempdir().unwrap();
        let setup = setup(host.path(), "data", volume::Mode::Ro);
        let info = launched(&Options::default(), &setup).unwrap();
        let bound = launch::bind(text(host.path()), "/sandbox/data", true);
        assert_eq!(info.mounts, [bound, launch::read_only("/sandbox/data")]);
        assert_eq!(info.clone_namespaces, [launch::CLONE_NEWNS]);
    }

    #[test]
    fn host_path_that_is_missing_is_made_only_where_allowed() {
        let host = tempfile::tempdir().unwrap();
        let missing = host.path().join("a/b");
        let setup = setup(&missing, "data", volume::Mode::Rw);
        assert!(launched(&Options::default(), &setup).unwrap_err().contains("does not exist"));
        let allowed = format!("/none:{}", host.path().display());
        let options =
            Options { host_path_volume_force_creation: Some(allowed), ..Options::default() };
        assert_eq!(launched(&options, &setup).unwrap().mounts.len(), 1);
        assert!(missing.is_dir());
    }

    #[test]
    fn host_path_volumes_never_make_directories_on_the_host() {
        let host = tempfile::tempdir().unwrap();
        let setup = setup(host.path(), "/none-such/at/all", volume::Mode::Rw);
        assert!(launched(&Options::default(), &setup).unwrap_err().contains("container path"));
    }

    #[test]
    fn host_path_propagation_to_the_host_is_refused() {
        let mode = mount_propagation::Mode::Bidirectional as i32;
        let host_path = volume::source::HostPath {
            path: "/".to_owned(),
            mount_propagation: Some(MountPropagation { mode: Some(mode) }),
        };
        let volume = Volume {
            source: Some(volume::Source {
                r#type: Some(volume::source::Type::HostPath as i32),
                host_path: Some(host_path),
                ..volume::Source::default()
            }),
            ..Volume::default()
        };
        assert!(source(&volume).is_err());
    }
}
