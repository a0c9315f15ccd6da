//! Where roots of containers come from: the contract with who provides images.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use protos::docker::spec::v1::image_manifest::Config;
use protos::ids::ContainerId;
use protos::mesos;

/// A root that was made of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Provisioned {
    /// The root, on the host. It goes with its container.
    pub rootfs: PathBuf,
    /// How the image wants to be run.
    pub config: Config,
}

/// Makes roots of images.
pub trait Images: Send + Sync {
    /// Makes a root for a container; errors are reasons. It is removed when the container is
    /// cleaned up, by who made the container.
    fn provision(
        &self,
        container: &ContainerId,
        image: &mesos::Image,
    ) -> BoxFuture<'static, Result<Provisioned, String>>;
}

/// Who provides images; nobody unless the flag `image_providers` says so.
#[derive(Clone, Default)]
pub struct Provider(pub Option<Arc<dyn Images>>);

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Provider" } else { "None" })
    }
}
