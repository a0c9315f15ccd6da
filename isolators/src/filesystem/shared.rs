//! `filesystem/shared`: paths that all containers share on the host, such as `/tmp`, lead into each
//! container's own sandbox.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Component, Path};

use protos::ids::ContainerId;

use crate::launch::{self, LaunchInfo};
use crate::preparer::Preparer;
use crate::setup::ContainerSetup;
use crate::volume::persistent::is_writable;
use crate::volume::target::text;

/// The isolator.
#[derive(Debug, Default)]
pub struct FilesystemShared;

/// Makes a directory of the sandbox that stands in for one of the host, with its owner and rights.
fn make(source: &Path, target: &Path) -> std::io::Result<()> {
    if source.exists() {
        return Ok(());
    }
    let like = target.metadata()?;
    std::fs::create_dir_all(source)?;
    std::fs::set_permissions(source, like.permissions())?;
    chown(source, Some(like.uid()), Some(like.gid()))
}

impl Preparer for FilesystemShared {
    const NAME: &'static str = "filesystem/shared";

    fn launch(&self, _: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        if setup.rootfs.is_some() {
            return Err("an image needs the isolator 'filesystem/linux'".to_owned());
        }
        let mut info = LaunchInfo::default();
        for volume in setup.volumes() {
            let Some(host_path) = &volume.host_path else { continue };
            let (source, target) = (Path::new(host_path), Path::new(&volume.container_path));
            if !target.is_absolute() || !target.is_dir() {
                return Err(format!("container path '{}' is no directory", target.display()));
            }
            let source = if source.is_absolute() {
                source.to_owned()
            } else {
                if !source.components().all(|part| matches!(part, Component::Normal(_))) {
                    return Err(format!("host path '{host_path}' leads out of the sandbox"));
                }
                let source = setup.directory.join(source);
                make(&source, target)
                    .map_err(|error| format!("cannot create '{}': {error}", source.display()))?;
                source
            };
            info.mounts.push(launch::bind(text(&source), text(target), true));
            if !is_writable(volume) {
                info.mounts.push(launch::read_only(text(target)));
            }
        }
        if !info.mounts.is_empty() {
            let whole = launch::propagation("/", launch::MS_SLAVE | launch::MS_REC);
            info.mounts.insert(0, whole);
            info.clone_namespaces.push(launch::CLONE_NEWNS);
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use protos::mesos::{ContainerInfo, Volume, volume};

    use super::*;

    fn asks(sandbox: &Path, host: &str, container: &str) -> Result<LaunchInfo, String> {
        let volume = Volume {
            host_path: Some(host.to_owned()),
            container_path: container.to_owned(),
            mode: volume::Mode::Rw as i32,
            ..Volume::default()
        };
        let setup = ContainerSetup {
            directory: sandbox.to_owned(),
            container_info: Some(ContainerInfo { volumes: vec![volume], ..Default::default() }),
            ..ContainerSetup::default()
        };
        FilesystemShared.launch(&ContainerId::new("c"), &setup)
    }

    #[test]
    fn filesystem_shared_paths_lead_into_the_sandbox() {
        let sandbox = tempfile::tempdir().unwrap();
        let info = asks(sandbox.path(), "tmp", "/tmp").unwrap();
        let own = sandbox.path().join("tmp");
        assert_eq!(info.mounts[1], launch::bind(text(&own), "/tmp", true));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&own), mode(Path::new("/tmp")));
    }

    #[test]
    fn filesystem_shared_paths_that_make_no_sense_are_refused() {
        let sandbox = tempfile::tempdir().unwrap();
        assert!(asks(sandbox.path(), "../tmp", "/tmp").is_err());
        assert!(asks(sandbox.path(), "tmp", "tmp").is_err());
        assert!(asks(sandbox.path(), "tmp", "/none-such").is_err());
    }
}
