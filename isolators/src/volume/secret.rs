//! `volume/secret`: a secret is a file of the container that never touches a disk.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use protos::ids::ContainerId;
use protos::mesos::{Volume, volume};

use super::persistent::is_writable;
use super::target::{place, text};
use crate::filesystem::mounts;
use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::preparer::Preparer;
use crate::secret;
use crate::setup::ContainerSetup;

/// The isolator. Secrets of running containers are kept in memory, below the runtime directory.
#[derive(Debug)]
pub struct SecretVolumes {
    sandbox_directory: PathBuf,
    store: PathBuf,
}

impl SecretVolumes {
    /// As the flags say.
    ///
    /// # Errors
    /// When there can be no file system in memory.
    pub fn new(options: &Options) -> Result<Self, String> {
        let store = options.runtime_dir.join("secrets");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let store = mounts::memory(&store, flags, "mode=0700")
            .map_err(|error| format!("cannot prepare '{}': {error}", store.display()))?;
        Ok(Self { sandbox_directory: options.sandbox_directory.clone(), store })
    }

    fn write(
        &self,
        id: &ContainerId,
        index: usize,
        setup: &ContainerSetup,
        bytes: &[u8],
    ) -> std::io::Result<PathBuf> {
        let directory = self.store.join(id.as_str());
        std::fs::create_dir_all(&directory)?;
        let path = directory.join(index.to_string());
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o400).open(&path)?;
        file.write_all(bytes)?;
        if let Some((uid, gid)) = setup.user {
            chown(&path, Some(uid), Some(gid))?;
        }
        Ok(path)
    }
}

fn secret_of(volume: &Volume) -> Option<&protos::mesos::Secret> {
    let source = volume.source.as_ref()?;
    (source.r#type() == volume::source::Type::Secret).then_some(source.secret.as_ref()?)
}

impl Preparer for SecretVolumes {
    const NAME: &'static str = "volume/secret";

    fn launch(&self, id: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let mut info = LaunchInfo::default();
        for (index, volume) in setup.volumes().iter().enumerate() {
            let Some(secret) = secret_of(volume) else { continue };
            let told = |reason: String| {
                format!("secret for '{}' cannot be given: {reason}", volume.container_path)
            };
            let bytes = secret::resolve(secret).map_err(told)?;
            let written = self.write(id, index, setup, &bytes);
            let source = written.map_err(|error| told(error.to_string()))?;
            let container_path = Path::new(&volume.container_path);
            let target = place(setup, &self.sandbox_directory, &volume.container_path)?;
            if container_path.is_absolute() && setup.rootfs.is_none() && !target.exists() {
                return Err(told("that path does not exist".to_owned()));
            }
            info.mounts.push(launch::bind(text(&source), text(&target), false));
            if !is_writable(volume) {
                info.mounts.push(launch::read_only(text(&target)));
            }
        }
        if !info.mounts.is_empty() {
            info.clone_namespaces.push(launch::CLONE_NEWNS);
        }
        Ok(info)
    }

    fn recovered(&self, known: &BTreeSet<ContainerId>) {
        let entries = std::fs::read_dir(&self.store).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !known.contains(&ContainerId::new(name)) {
                // What cannot be removed now is tried again by the next slave.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    fn cleanup(&self, id: &ContainerId) -> Result<(), String> {
        let directory = self.store.join(id.as_str());
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("cannot remove '{}': {error}", directory.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use bytes::Bytes;
    use protos::mesos::{ContainerInfo, Secret, secret as wire};

    use super::*;

    fn setup() -> ContainerSetup {
        let secret = Secret {
            r#type: Some(wire::Type::Value as i32),
            value: Some(wire::Value { data: Bytes::from_static(b"s3cret") }),
            ..Secret::default()
        };
        let volume = Volume {
            container_path: "key".to_owned(),
            mode: volume::Mode::Ro as i32,
            source: Some(volume::Source {
                r#type: Some(volume::source::Type::Secret as i32),
                secret: Some(secret),
                ..volume::Source::default()
            }),
            ..Volume::default()
        };
        let info = ContainerInfo { volumes: vec![volume], ..ContainerInfo::default() };
        ContainerSetup {
            directory: "/sandbox".into(),
            container_info: Some(info),
            ..ContainerSetup::default()
        }
    }

    #[test]
    fn secret_volumes_are_private_files_that_end_with_the_container() {
        let directory = tempfile::tempdir().unwrap();
        let isolator = SecretVolumes {
            sandbox_directory: "/mnt/mesos/sandbox".into(),
            store: directory.path().to_owned(),
        };
        let id = ContainerId::new("c");
        let info = isolator.launch(&id, &setup()).unwrap();
        let file = directory.path().join("c/0");
        assert_eq!(std::fs::read(&file).unwrap(), b"s3cret");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o400);
        let bound = launch::bind(text(&file), "/sandbox/key", false);
        assert_eq!(info.mounts, [bound, launch::read_only("/sandbox/key")]);
        isolator.recovered(&BTreeSet::from([id.clone()]));
        assert!(file.exists());
        isolator.cleanup(&id).unwrap();
        assert!(!file.exists());
        isolator.cleanup(&id).unwrap();
        // Those of a container that ended while there was no slave.
        isolator.launch(&id, &setup()).unwrap();
        isolator.recovered(&BTreeSet::new());
        assert!(!file.exists());
    }

    /// A runtime directory whose mounts do not outlive the test.
    struct Runtime(tempfile::TempDir);

    impl Drop for Runtime {
        fn drop(&mut self) {
            for point in mounts::below(&self.0.path().canonicalize().unwrap()).unwrap() {
                let _ = mounts::detach(&point);
            }
        }
    }

    #[test]
    fn secret_volumes_are_seen_by_a_later_slave_through_a_link() {
        let runtime = Runtime(tempfile::tempdir().unwrap());
        let real = runtime.0.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = runtime.0.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let options = Options { runtime_dir: link.clone(), ..Options::default() };
        let id = ContainerId::new("c");
        SecretVolumes::new(&options).unwrap().launch(&id, &setup()).unwrap();
        let later = SecretVolumes::new(&options).unwrap();
        assert_eq!(mounts::below(&real).unwrap(), [real.join("secrets")]);
        assert_eq!(std::fs::read(link.join("secrets/c/0")).unwrap(), b"s3cret");
        later.cleanup(&id).unwrap();
        assert!(!real.join("secrets/c").exists());
    }
}
