//! Where the kernel shows its cgroup controllers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::mount::{MsFlags, mount};
use protos::ids::ContainerId;

use super::CgroupError;
use super::group::Group;

/// The two interfaces of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// A hierarchy for each controller.
    V1,
    /// One unified hierarchy.
    V2,
}

/// The mounted hierarchies of one host, and the cgroup below which a slave keeps its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchies {
    version: Version,
    /// Mount points by controller; version 2 has one under the empty name.
    mounts: BTreeMap<String, PathBuf>,
    root: String,
}

impl Hierarchies {
    /// Reads the text of `/proc/mounts`. Version 2 is used when its file system is mounted on
    /// `hierarchy`, else version 1; of several mounts of a version 1 controller, one below
    /// `hierarchy` is taken. `root` is the flag `cgroups_root`.
    pub fn parse(mounts: &str, hierarchy: &Path, root: &str) -> Self {
        let mut found = BTreeMap::new();
        for line in mounts.lines() {
            let mut fields = line.split(' ').skip(1);
            let (Some(point), Some(kind), Some(options)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let point = PathBuf::from(point);
            if kind == "cgroup2" && point == hierarchy {
                return Self::unified(point, root);
            }
            if kind == "cgroup" {
                for controller in options.split(',').filter(|option| is_controller(option)) {
                    let below = point.starts_with(hierarchy);
                    if below || !found.contains_key(controller) {
                        found.insert(controller.to_owned(), point.clone());
                    }
                }
            }
        }
        Self { version: Version::V1, mounts: found, root: root.to_owned() }
    }

    /// The hierarchies of this host.
    ///
    /// # Errors
    /// When `/proc/mounts` cannot be read.
    pub fn of_host(hierarchy: &Path, root: &str) -> Result<Self, CgroupError> {
        let path = Path::new("/proc/mounts");
        let text =
            std::fs::read_to_string(path).map_err(|error| CgroupError::new("read", path, error))?;
        Ok(Self::parse(&text, hierarchy, root))
    }

    /// A version 2 hierarchy at any place.
    pub fn unified(point: PathBuf, root: &str) -> Self {
        let mounts = BTreeMap::from([(String::new(), point)]);
        Self { version: Version::V2, mounts, root: root.to_owned() }
    }

    /// Version 1 hierarchies at any place: `<point>/<controller>`.
    pub fn separate(point: &Path, controllers: &[&str], root: &str) -> Self {
        let mount = |name: &&str| ((*name).to_owned(), point.join(name));
        let mounts = controllers.iter().map(mount).collect();
        Self { version: Version::V1, mounts, root: root.to_owned() }
    }

    /// Which interface is used.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where a controller is mounted. On version 2 that is the same for all.
    ///
    /// # Errors
    /// When it is not mounted.
    pub fn mount_point(&self, controller: &str) -> Result<&Path, CgroupError> {
        let key = if self.version == Version::V2 { "" } else { controller };
        let point = self.mounts.get(key).map(PathBuf::as_path);
        point.ok_or_else(|| CgroupError::NotMounted(controller.to_owned()))
    }

    /// True when the kernel offers a controller in these hierarchies. On version 2, `devices`,
    /// `perf_event` and the killing and freezing of whole cgroups are always there.
    pub fn offers(&self, controller: &str) -> bool {
        match self.version {
            Version::V1 => self.mounts.contains_key(controller),
            Version::V2 if is_core(controller) => true,
            Version::V2 => {
                let path = self.mounts.get("").map(|point| point.join("cgroup.controllers"));
                let text = path.and_then(|path| std::fs::read_to_string(path).ok());
                text.is_some_and(|text| text.split_whitespace().any(|name| name == controller))
            }
        }
    }

    /// Mounts a version 1 controller at `<hierarchy>/<controller>`, if it is not mounted yet.
    ///
    /// # Errors
    /// When the kernel does not let us.
    pub fn ensure(&mut self, controller: &str, hierarchy: &Path) -> Result<(), CgroupError> {
        if self.offers(controller) {
            return Ok(());
        }
        if self.version == Version::V2 {
            return Err(CgroupError::NotMounted(controller.to_owned()));
        }
        let point = hierarchy.join(controller);
        std::fs::create_dir_all(&point)
            .map_err(|error| CgroupError::new("create", &point, error))?;
        mount(Some("cgroup"), &point, Some("cgroup"), MsFlags::empty(), Some(controller)).map_err(
            |error| {
                // Best effort: an empty directory does no harm.
                let _ = std::fs::remove_dir(&point);
                CgroupError::new("mount", &point, error.into())
            },
        )?;
        self.mounts.insert(controller.to_owned(), point);
        Ok(())
    }

    /// The cgroup of a container; nested ones stand below their parent's, in `mesos`.
    pub fn group(self: &Arc<Self>, container: &ContainerId) -> Group {
        let nested = container.as_str().replace('.', "/mesos/");
        Group::new(self.clone(), &format!("{}/{nested}", self.root))
    }

    /// Moves the slave itself into the cgroup that version 2 keeps it in: inner ones, such as the
    /// one above its containers', have no processes. Nothing on version 1.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn move_agent(self: &Arc<Self>, pid: u32) -> Result<(), CgroupError> {
        if self.version == Version::V1 {
            return Ok(());
        }
        let agent = Group::new(self.clone(), &format!("{}/agent", self.root));
        agent.create("")?;
        agent.assign("", pid)
    }

    /// Containers that have a cgroup in a controller's hierarchy, nested ones not counted.
    pub fn containers(&self, controller: &str) -> Vec<ContainerId> {
        let Ok(point) = self.mount_point(controller) else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(point.join(&self.root)) else { return Vec::new() };
        let directories = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            entry.file_type().ok()?.is_dir().then(|| entry.file_name().into_string().ok())?
        });
        let mut names: Vec<String> = directories.collect();
        names.sort();
        names.into_iter().map(ContainerId::new).collect()
    }
}

/// Mount options that are no controllers.
fn is_controller(option: &str) -> bool {
    let other = ["rw", "ro", "relatime", "noatime", "nosuid", "nodev", "noexec", "clone_children"];
    let valued = option.contains('=') && !option.starts_with("name=");
    !other.contains(&option) && !valued && option != "xattr"
}

/// What version 2 has without a controller.
pub(crate) fn is_core(controller: &str) -> bool {
    ["", "freezer", "devices", "perf_event"].contains(&controller)
}

/// True when an id looks like those that slaves give to their containers. Other cgroups below the
/// root are somebody else's and are left alone.
pub fn is_container_like(id: &ContainerId) -> bool {
    let text = id.as_str();
    let shape = |(index, c): (usize, char)| match index {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.chars().enumerate().all(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEPARATE: &str = "\
proc /proc proc rw,relatime 0 0
cgroup /elsewhere/cpu cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,release_agent=/lib/x,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
";

    #[test]
    fn hierarchies_separate_ones_are_found_by_controller() {
        let found = Hierarchies::parse(SEPARATE, Path::new("/sys/fs/cgroup"), "mesos");
        assert_eq!(found.version(), Version::V1);
        let cpu = Path::new("/sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(found.mount_point("cpu").unwrap(), cpu);
        assert_eq!(found.mount_point("cpuacct").unwrap(), cpu);
        assert!(found.offers("name=systemd"));
        assert!(found.mount_point("memory").is_err());
        assert_eq!(found.mounts.len(), 3);
    }

    #[test]
    fn hierarchies_unified_one_wins_when_it_is_mounted_on_the_root() {
        let text = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let found = Hierarchies::parse(text, Path::new("/sys/fs/cgroup"), "mesos");
        assert_eq!(found.version(), Version::V2);
        assert_eq!(found.mount_point("memory").unwrap(), Path::new("/sys/fs/cgroup"));
        assert!(found.offers("devices"));
    }

    #[test]
    fn container_ids_are_told_from_other_names() {
        let like = |text: &str| is_container_like(&ContainerId::new(text));
        assert!(like("0b3ee4ab-9b6c-4d4e-8a07-2f7b1b0f9a11"));
        assert!(!like("agent"));
        assert!(!like("0b3ee4ab_9b6c-4d4e-8a07-2f7b1b0f9a11"));
    }
}
