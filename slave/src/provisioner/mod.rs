//! Roots of containers, made of images: a store of layers, what fills it, and what unpacks it.
//!
//! The actor keeps the books; a helper process pulls, unpacks and removes (`mesos-containerizer
//! image`). Images come from a directory of `docker save` archives or from a registry (flag
//! `docker_registry`), and become roots by copying or by overlay mounts (flag
//! `image_provisioner_backend`).

mod actor;
mod copy;
mod digest;
mod helper;
mod layer;
mod manifest;
mod pull;
pub mod reference;
mod registry;
mod rootfs;
mod store;

use std::str::FromStr;

pub use actor::{Front, Provisioner, ProvisionerOptions, start};
pub use helper::carry_out;

/// `user:password` for the registry of an image, of credentials in docker's form.
pub(crate) fn credential(image: &str, config: Option<&serde_json::Value>) -> Option<String> {
    registry::credential_of(&image.parse().ok()?, config?)
}

/// The variable by which the helper is told what to do.
pub(crate) const ORDER: &str = "MESOS_IMAGE_ORDER";

/// How layers become a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Every container gets a copy.
    Copy,
    /// Containers share layers, and write into a layer of their own.
    Overlay,
}

impl Backend {
    /// As the flag names it.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Copy => "copy",
            Backend::Overlay => "overlay",
        }
    }

    const fn layer_name(self) -> &'static str {
        match self {
            Backend::Copy => "rootfs",
            Backend::Overlay => "rootfs.overlay",
        }
    }

    /// The one that suits this host: overlay, if its kernel has it.
    pub fn of_host() -> Self {
        let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        match known.lines().any(|line| line.ends_with("\toverlay")) {
            true => Backend::Overlay,
            false => Backend::Copy,
        }
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "copy" => Ok(Backend::Copy),
            "overlay" => Ok(Backend::Overlay),
            other => Err(format!("backend '{other}' is not available: copy and overlay are")),
        }
    }
}
