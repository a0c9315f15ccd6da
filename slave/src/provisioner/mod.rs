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
mod zstd;

use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::fetcher::ours;

pub use actor::{Front, Provisioner, ProvisionerOptions, start};
pub use helper::carry_out;

/// `user:password` for the registry of an image, of credentials in docker's form.
pub(crate) fn credential(image: &str, config: Option<&serde_json::Value>) -> Option<String> {
    registry::credential_of(&image.parse().ok()?, config?)
}

/// Images have programs that become root for whoever runs them: nobody but the slave gets at them by
/// the host's paths. Containers need none of these, as a root is mounted before it is entered.
const PRIVATE: u32 = 0o700;

/// Makes the directories of images and of roots, for the slave alone.
///
/// # Errors
/// Text naming the flag whose directory belongs to somebody else, or could be led astray by others.
pub fn prepare(options: &ProvisionerOptions) -> Result<(), String> {
    ours::make(&options.store, PRIVATE)
        .map_err(|error| format!("flag 'docker_store_dir': {error}"))?;
    let told = |error: &dyn std::fmt::Display| format!("flag 'work_dir': {error}");
    fs::create_dir_all(&options.work_dir).map_err(|error| told(&error))?;
    let roots = roots(&options.work_dir);
    // Who may write to the working directory owns the slave anyway: its way is not looked at.
    ours::make_last(&roots, PRIVATE, None).map_err(|error| told(&error))
}

/// Where all roots lie.
fn roots(work_dir: &Path) -> std::path::PathBuf {
    work_dir.join("provisioner")
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn options(all: &Path) -> ProvisionerOptions {
        ProvisionerOptions {
            helper: Vec::new(),
            store: all.join("a/store"),
            registry: None,
            config: None,
            backend: Backend::Copy,
            work_dir: all.join("work"),
            stall: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn directories_of_images_and_roots_are_for_the_slave_alone() {
        let all = tempfile::tempdir().unwrap();
        let options = options(all.path());
        let roots = roots(&options.work_dir);
        // As an earlier version made them.
        fs::create_dir_all(&roots).unwrap();
        fs::set_permissions(&roots, fs::Permissions::from_mode(0o755)).unwrap();
        prepare(&options).unwrap();
        for directory in [&roots, &options.store] {
            assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        }
        fs::remove_dir(&roots).unwrap();
        symlink("/etc", &roots).unwrap();
        let refused = prepare(&options).unwrap_err();
        assert!(refused.starts_with("flag 'work_dir'"), "{refused}");
        fs::remove_dir(&options.store).unwrap();
        fs::write(&options.store, "").unwrap();
        let refused = prepare(&options).unwrap_err();
        assert!(refused.starts_with("flag 'docker_store_dir'"), "{refused}");
    }
}
