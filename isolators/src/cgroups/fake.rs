//! A directory that stands in for the kernel's cgroups, for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protos::ids::ContainerId;
use tempfile::TempDir;

use super::{Group, Hierarchies};

/// A fake tree with the cgroup of one container in it.
pub(crate) struct Fake {
    _directory: TempDir,
    path: PathBuf,
    hierarchies: Arc<Hierarchies>,
    pub(crate) group: Group,
}

impl Fake {
    /// Version 1 hierarchies with the container's control files.
    pub(crate) fn separate(files: &[(&str, &str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut controllers: Vec<&str> = files.iter().map(|(name, _, _)| *name).collect();
        controllers.dedup();
        let hierarchies = Hierarchies::separate(directory.path(), &controllers, "mesos");
        Self::new(directory, Arc::new(hierarchies), files)
    }

    /// A version 2 hierarchy with the container's control files.
    pub(crate) fn unified(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let hierarchies = Hierarchies::unified(directory.path().to_owned(), "mesos");
        let files: Vec<_> = files.iter().map(|(file, text)| ("", *file, *text)).collect();
        Self::new(directory, Arc::new(hierarchies), &files)
    }

    fn new(
        directory: TempDir,
        hierarchies: Arc<Hierarchies>,
        files: &[(&str, &str, &str)],
    ) -> Self {
        let group = hierarchies.group(&ContainerId::new("c"));
        for (controller, file, text) in files {
            let at = group.directory(controller).unwrap();
            std::fs::create_dir_all(&at).unwrap();
            std::fs::write(at.join(file), text).unwrap();
        }
        let path = directory.path().to_owned();
        Self { _directory: directory, path, hierarchies, group }
    }

    /// The hierarchies that it stands for.
    pub(crate) fn hierarchies(&self) -> &Arc<Hierarchies> {
        &self.hierarchies
    }

    /// The tree's root.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What a control file holds now.
    pub(crate) fn text(&self, controller: &str, file: &str) -> String {
        self.group.read(controller, file).unwrap()
    }
}
