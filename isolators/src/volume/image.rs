//! `volume/image`: there is nobody here who provides images; a volume that needs one is refused.

use protos::ids::ContainerId;

use crate::launch::LaunchInfo;
use crate::preparer::Preparer;
use crate::setup::ContainerSetup;

/// The isolator.
#[derive(Debug, Default)]
pub struct ImageVolumes;

impl Preparer for ImageVolumes {
    const NAME: &'static str = "volume/image";

    fn launch(&self, _: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        match setup.volumes().iter().find(|volume| volume.image.is_some()) {
            None => Ok(LaunchInfo::default()),
            Some(volume) => Err(format!(
                "volume at '{}' needs an image, and no image provider is there",
                volume.container_path
            )),
        }
    }
}
