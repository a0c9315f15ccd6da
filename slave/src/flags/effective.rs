//! Values that follow from the host where no flag says them: `/flags` shows those, too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix::unistd::{AccessFlags, access};

use super::Flags;
use crate::containerizer::{LauncherKind, linux_is_usable};
use crate::provisioner::reference::DEFAULT_REGISTRY;

impl Flags {
    /// The flags in force: what was given or has a fixed default, and the rest of what this slave
    /// goes by.
    pub(super) fn in_force(&self, given: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let shown = |path: PathBuf| path.display().to_string();
        let launcher = match self.launcher_kind() {
            LauncherKind::Linux => "linux",
            _ => "posix",
        };
        let found = [
            ("appc_store_dir", shown(std::env::temp_dir().join("mesos/store/appc"))),
            ("docker_registry", format!("https://{DEFAULT_REGISTRY}")),
            ("docker_store_dir", shown(self.docker.store_dir())),
            ("frameworks_home", String::new()),
            ("launcher", launcher.to_owned()),
            ("launcher_dir", shown(self.helper_dir())),
            ("runtime_dir", shown(self.runtime_dir())),
        ];
        let mut all: BTreeMap<_, _> = found.map(|(name, value)| (name.to_owned(), value)).into();
        all.extend(given);
        all
    }

    pub(super) fn launcher_kind(&self) -> LauncherKind {
        match self.launcher.as_deref() {
            Some("linux") => LauncherKind::Linux,
            Some(_) => LauncherKind::Posix,
            None if linux_is_usable(&self.cgroups_hierarchy) => LauncherKind::Linux,
            None => LauncherKind::Posix,
        }
    }

    pub(super) fn runtime_dir(&self) -> PathBuf {
        let usable = || access("/var/run", AccessFlags::R_OK | AccessFlags::W_OK).is_ok();
        match &self.runtime_dir {
            Some(directory) => directory.clone(),
            None if usable() => "/var/run/mesos".into(),
            None => std::env::temp_dir().join("mesos/runtime"),
        }
    }

    /// Where helper programs are: in the launcher's directory or beside this program.
    pub(super) fn helper_dir(&self) -> PathBuf {
        let own = std::env::current_exe().ok().and_then(|path| path.parent().map(PathBuf::from));
        self.launcher_dir.clone().or(own).unwrap_or_default()
    }
}
