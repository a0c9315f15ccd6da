//! Where a volume is seen, and where that is on the host while the container is set up.

use std::path::{Component, Path, PathBuf};

use crate::setup::ContainerSetup;

/// The place on the host that becomes a container's path. Relative paths are those of the sandbox.
/// With a root of its own, absolute paths are below that root and the sandbox is at
/// `sandbox_directory`; without one, absolute paths are the host's.
///
/// # Errors
/// When the path leads upwards.
pub fn place(
    setup: &ContainerSetup,
    sandbox_directory: &Path,
    container_path: &str,
) -> Result<PathBuf, String> {
    let path = Path::new(container_path);
    if container_path.is_empty() {
        return Err("a volume has no container path".to_owned());
    }
    if path.components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(format!("container path '{container_path}' leads upwards"));
    }
    let below = |root: &Path, path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    Ok(match (&setup.rootfs, path.is_absolute()) {
        (Some(root), true) => below(root, path),
        (Some(root), false) => below(root, sandbox_directory).join(path),
        (None, true) => path.to_owned(),
        (None, false) => setup.directory.join(path),
    })
}

/// A path as mount entries hold it.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volume_places_depend_on_root_and_path() {
        let at = |root: Option<&str>, path: &str| {
            let setup = ContainerSetup {
                directory: "/sandbox".into(),
                rootfs: root.map(PathBuf::from),
                ..ContainerSetup::default()
            };
            place(&setup, Path::new("/mnt/mesos/sandbox"), path)
        };
        assert_eq!(at(None, "a/b").unwrap(), Path::new("/sandbox/a/b"));
        assert_eq!(at(None, "/data").unwrap(), Path::new("/data"));
        assert_eq!(at(Some("/root"), "/data").unwrap(), Path::new("/root/data"));
        assert_eq!(at(Some("/root"), "a").unwrap(), Path::new("/root/mnt/mesos/sandbox/a"));
        assert!(at(None, "../a").is_err());
        assert!(at(None, "").is_err());
    }
}
