//! One cgroup: a directory, or one in each hierarchy, whose files are the kernel's controls.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::CgroupError;
use super::hierarchies::{Hierarchies, Version, is_core};

/// A cgroup by its path below the mount points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    hierarchies: Arc<Hierarchies>,
    path: String,
}

impl Group {
    pub(super) fn new(hierarchies: Arc<Hierarchies>, path: &str) -> Self {
        Self { hierarchies, path: path.to_owned() }
    }

    /// Which interface it is controlled by.
    pub fn version(&self) -> Version {
        self.hierarchies.version()
    }

    /// Its path below the mount points.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its directory in a controller's hierarchy.
    ///
    /// # Errors
    /// When the controller is not mounted.
    pub fn directory(&self, controller: &str) -> Result<PathBuf, CgroupError> {
        Ok(self.hierarchies.mount_point(controller)?.join(&self.path))
    }

    /// The directory that holds its processes: on version 2 a leaf below, as inner nodes have none.
    ///
    /// # Errors
    /// When the controller is not mounted.
    pub fn leaf(&self, controller: &str) -> Result<PathBuf, CgroupError> {
        let directory = self.directory(controller)?;
        Ok(match self.version() {
            Version::V1 => directory,
            Version::V2 => directory.join("leaf"),
        })
    }

    /// True when it exists in a controller's hierarchy.
    pub fn exists(&self, controller: &str) -> bool {
        self.directory(controller).is_ok_and(|path| path.is_dir())
    }

    /// Makes it, with what leads to it. On version 2 the controller is enabled on the way.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn create(&self, controller: &str) -> Result<(), CgroupError> {
        let mut at = self.hierarchies.mount_point(controller)?.to_owned();
        for name in self.path.split('/') {
            if self.version() == Version::V2 && !is_core(controller) {
                let control = at.join("cgroup.subtree_control");
                put(&control, &format!("+{controller}"))?;
            }
            at.push(name);
            make(&at)?;
            inherit_cpuset(&at)?;
        }
        match self.version() {
            Version::V1 => Ok(()),
            Version::V2 => make(&at.join("leaf")),
        }
    }

    /// Moves a process, with all its threads, into it.
    ///
    /// # Errors
    /// When the kernel refuses, for instance because the process is gone.
    pub fn assign(&self, controller: &str, pid: u32) -> Result<(), CgroupError> {
        put(&self.leaf(controller)?.join("cgroup.procs"), &pid.to_string())
    }

    /// The text of a control file, without blanks around it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, controller: &str, file: &str) -> Result<String, CgroupError> {
        let path = self.directory(controller)?.join(file);
        let text =
            fs::read_to_string(&path).map_err(|error| CgroupError::new("read", &path, error))?;
        Ok(text.trim().to_owned())
    }

    /// A control file that holds one number.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else.
    pub fn number<T: FromStr>(&self, controller: &str, file: &str) -> Result<T, CgroupError> {
        let text = self.read(controller, file)?;
        text.parse().map_err(|_| {
            let path = self.path.clone() + "/" + file;
            CgroupError::Content { path: path.into(), text }
        })
    }

    /// A control file of lines `name number`.
    ///
    /// # Errors
    /// When it cannot be read. Lines of another form are left out.
    pub fn table(
        &self,
        controller: &str,
        file: &str,
    ) -> Result<BTreeMap<String, u64>, CgroupError> {
        Ok(table(&self.read(controller, file)?))
    }

    /// Writes a control file.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn write(&self, controller: &str, file: &str, value: &str) -> Result<(), CgroupError> {
        put(&self.directory(controller)?.join(file), value)
    }

    /// Gives its directory, not what is in it, to a user and group.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn chown(&self, controller: &str, uid: u32, gid: u32) -> Result<(), CgroupError> {
        let path = self.directory(controller)?;
        std::os::unix::fs::chown(&path, Some(uid), Some(gid))
            .map_err(|error| CgroupError::new("change the owner of", &path, error))
    }

    /// All processes in it and below.
    pub fn processes(&self, controller: &str) -> Vec<u32> {
        self.members(controller, "cgroup.procs")
    }

    /// All threads in it and below.
    pub fn threads(&self, controller: &str) -> Vec<u32> {
        let file = if self.version() == Version::V1 { "tasks" } else { "cgroup.threads" };
        self.members(controller, file)
    }

    fn members(&self, controller: &str, file: &str) -> Vec<u32> {
        let Ok(directory) = self.directory(controller) else { return Vec::new() };
        let mut members = Vec::new();
        for directory in tree(&directory) {
            // A directory that went meanwhile has no members.
            let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
            members.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
        members
    }

    /// Sends SIGKILL to all processes in it and below. One that forks faster than this loop looks is
    /// caught by a later round, or by freezing first; version 2 kills all at once.
    pub fn kill(&self, controller: &str) {
        let at_once = self.version() == Version::V2 && self.write("", "cgroup.kill", "1").is_ok();
        if at_once {
            return;
        }
        for pid in self.processes(controller) {
            if let Ok(pid) = i32::try_from(pid) {
                // It may be gone already, which is as well.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// Removes it with all below; false while there are processes in it. One that is gone already
    /// is no error.
    ///
    /// # Errors
    /// When the kernel refuses for another reason.
    pub fn remove(&self, controller: &str) -> Result<bool, CgroupError> {
        for directory in tree(&self.directory(controller)?).iter().rev() {
            match fs::remove_dir(directory) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                    return Ok(false);
                }
                Err(error) => return Err(CgroupError::new("remove", directory, error)),
            }
        }
        Ok(true)
    }
}

/// A directory and those below it, each before its children; nothing when there is none.
fn tree(top: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        let entries = entries.filter_map(Result::ok);
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        open.extend(directories.map(|entry| entry.path()));
        all.push(directory);
    }
    all
}

fn make(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(CgroupError::new("create", path, error))
        }
        _ => Ok(()),
    }
}

/// Control files exist as soon as their directory does: one that is missing is an error.
fn put(path: &Path, value: &str) -> Result<(), CgroupError> {
    let file = fs::OpenOptions::new().write(true).truncate(true).open(path);
    let written = file.and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|source| CgroupError::Write {
        path: path.to_owned(),
        value: value.to_owned(),
        source: source.into(),
    })
}

/// A version 1 cpuset takes no process before it has CPUs and memory nodes: those of its parent.
fn inherit_cpuset(directory: &Path) -> Result<(), CgroupError> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = directory.join(file);
        let Ok(present) = fs::read_to_string(&own) else { continue };
        let parent = directory.parent().map(|parent| parent.join(file));
        let above = parent.and_then(|parent| fs::read_to_string(parent).ok()).unwrap_or_default();
        if present.trim().is_empty() && !above.trim().is_empty() {
            put(&own, above.trim())?;
        }
    }
    Ok(())
}

/// Lines `name number`; others are left out.
pub fn table(text: &str) -> BTreeMap<String, u64> {
    let entry = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use protos::ids::ContainerId;

    use super::*;
    use crate::cgroups::fake::Fake;

    #[test]
    fn group_v2_enables_controllers_on_the_way_and_has_a_leaf() {
        let fake = Fake::unified(&[("cgroup.subtree_control", "")]);
        for at in ["", "mesos", "mesos/c/mesos"] {
            fs::create_dir_all(fake.path().join(at)).unwrap();
            fs::write(fake.path().join(at).join("cgroup.subtree_control"), "").unwrap();
        }
        let nested = fake.hierarchies().group(&ContainerId::new("c.n"));
        nested.create("memory").unwrap();
        for at in ["", "mesos", "mesos/c", "mesos/c/mesos"] {
            let control = fake.path().join(at).join("cgroup.subtree_control");
            assert_eq!(fs::read_to_string(control).unwrap(), "+memory", "{at}");
        }
        assert!(fake.path().join("mesos/c/mesos/n/leaf").is_dir());
        // What version 2 has anyway is not enabled.
        fs::write(fake.path().join("cgroup.subtree_control"), "").unwrap();
        nested.create("devices").unwrap();
        assert_eq!(fs::read_to_string(fake.path().join("cgroup.subtree_control")).unwrap(), "");
    }

    #[test]
    fn group_v1_cpuset_takes_what_its_parent_has() {
        let fake =
            Fake::separate(&[("cpuset", "cpuset.cpus", "\n"), ("cpuset", "cpuset.mems", "1")]);
        let above = fake.path().join("cpuset/mesos");
        fs::write(above.join("cpuset.cpus"), "0-3\n").unwrap();
        fs::write(above.join("cpuset.mems"), "0\n").unwrap();
        fake.group.create("cpuset").unwrap();
        assert_eq!(fake.text("cpuset", "cpuset.cpus"), "0-3");
        assert_eq!(fake.text("cpuset", "cpuset.mems"), "1");
    }

    #[test]
    fn group_members_are_those_of_all_levels() {
        let fake = Fake::unified(&[("cgroup.procs", "")]);
        let leaf = fake.path().join("mesos/c/leaf");
        fs::create_dir_all(&leaf).unwrap();
        fs::write(leaf.join("cgroup.procs"), "12\n34\n").unwrap();
        assert_eq!(fake.group.processes(""), [12, 34]);
        assert!(fake.hierarchies().group(&ContainerId::new("gone")).processes("").is_empty());
    }

    #[test]
    fn group_control_files_that_are_missing_or_strange_are_told() {
        let fake = Fake::separate(&[("cpu", "cpu.shares", "many")]);
        let missing = fake.group.write("cpu", "cpu.none", "1").unwrap_err().to_string();
        assert!(missing.contains("cpu.none") && missing.contains("'1'"), "{missing}");
        let strange = fake.group.number::<u64>("cpu", "cpu.shares").unwrap_err().to_string();
        assert!(strange.contains("'many'"), "{strange}");
        assert!(fake.group.directory("memory").is_err());
    }

    #[test]
    fn group_tables_leave_out_other_lines() {
        let found = table("user 5\nnonsense\nsystem x\n");
        assert_eq!(found, BTreeMap::from([("user".to_owned(), 5)]));
    }
}
