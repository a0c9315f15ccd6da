//! `volume/image`: an image becomes a volume: its files are seen at a path of the container.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::Image;

use super::persistent::is_writable;
use super::target::{place, text};
use crate::front::{IsolatorProcess, Later, now};
use crate::images::Provider;
use crate::launch::{self, LaunchInfo};
use crate::options::Options;
use crate::setup::{ContainerSetup, Recovered};

/// The isolator.
#[derive(Debug)]
pub struct ImageVolumes {
    sandbox_directory: PathBuf,
    provider: Provider,
}

/// One volume: the image, where it is mounted, and whether it may be written to.
type Wanted = (Image, PathBuf, bool);

impl ImageVolumes {
    /// As the flags say.
    pub fn new(options: &Options) -> Self {
        let sandbox_directory = options.sandbox_directory.clone();
        Self { sandbox_directory, provider: options.images.clone() }
    }

    fn wanted(&self, setup: &ContainerSetup) -> Result<Vec<Wanted>, String> {
        let mut wanted = Vec::new();
        for volume in setup.volumes() {
            let Some(image) = volume.image.clone() else { continue };
            let path = &volume.container_path;
            if self.provider.0.is_none() {
                return Err(format!(
                    "volume at '{path}' needs an image, and no image provider is there"
                ));
            }
            let target = place(setup, &self.sandbox_directory, path)?;
            if setup.rootfs.is_none() && Path::new(path).is_absolute() && !target.exists() {
                // Making it would leave it on the host.
                return Err(format!("container path '{path}' does not exist"));
            }
            wanted.push((image, target, is_writable(volume)));
        }
        Ok(wanted)
    }
}

impl Process for ImageVolumes {
    fn routes(_: &mut Routes<Self>) {}
}

impl IsolatorProcess for ImageVolumes {
    const NAME: &'static str = "volume/image";

    fn recover(&mut self, _: &Recovered, _: &mut Ctx<Self>) -> Result<(), String> {
        Ok(())
    }

    fn prepare(
        &mut self,
        container: &ContainerId,
        setup: &Arc<ContainerSetup>,
        _: &mut Ctx<Self>,
    ) -> Later<LaunchInfo> {
        let wanted = match self.wanted(setup) {
            Ok(wanted) if wanted.is_empty() => return now(Ok(LaunchInfo::default())),
            Ok(wanted) => wanted,
            Err(reason) => return now(Err(reason)),
        };
        let Some(images) = self.provider.0.clone() else { return now(Ok(LaunchInfo::default())) };
        let container = container.clone();
        Box::pin(async move {
            let mut info = LaunchInfo::default();
            info.clone_namespaces.push(launch::CLONE_NEWNS);
            for (image, target, writable) in wanted {
                let made = images.provision(&container, &image).await?;
                let target = text(&target);
                info.mounts.push(launch::bind(text(&made.rootfs), target.clone(), true));
                if !writable {
                    info.mounts.push(launch::read_only(target));
                }
            }
            Ok(info)
        })
    }

    fn cleanup(&mut self, _: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
        now(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::mesos::{ContainerInfo, Volume};

    #[test]
    fn image_volume_without_a_provider_is_refused() {
        let volume = Volume {
            container_path: "data".to_owned(),
            image: Some(Image::default()),
            ..Volume::default()
        };
        let info = ContainerInfo { volumes: vec![volume], ..ContainerInfo::default() };
        let setup = ContainerSetup { container_info: Some(info), ..ContainerSetup::default() };
        let isolator = ImageVolumes::new(&Options::default());
        assert!(isolator.wanted(&setup).unwrap_err().contains("no image provider"));
        assert_eq!(isolator.wanted(&ContainerSetup::default()), Ok(Vec::new()));
    }
}
