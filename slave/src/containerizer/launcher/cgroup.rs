//! The cgroup that holds a container together: of the freezer (version 1), or of version 2.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protos::ids::ContainerId;

/// Where containers' cgroups are.
#[derive(Debug, Clone)]
pub(super) struct Cgroups {
    /// The directory that holds one for each container.
    root: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// The freezer's hierarchy.
    One,
    /// The one hierarchy.
    Two,
}

impl Cgroups {
    /// Looks at a host: `hierarchy` is mounted as version 2, or has the freezer below it.
    pub(super) fn find(hierarchy: &Path, root: &str) -> Result<Self, String> {
        let freezer = hierarchy.join("freezer");
        let (base, version) = if hierarchy.join("cgroup.controllers").exists() {
            (hierarchy.to_owned(), Version::Two)
        } else if freezer.join("cgroup.procs").exists() {
            (freezer, Version::One)
        } else {
            return Err(format!(
                "neither {} nor {} is a cgroup hierarchy",
                hierarchy.display(),
                freezer.display()
            ));
        };
        Ok(Self { root: base.join(root), version })
    }

    /// A container's cgroup; nested containers lie in their parent's.
    fn path(&self, id: &ContainerId) -> PathBuf {
        let mut path = self.root.clone();
        for (depth, part) in id.as_str().split('.').enumerate() {
            if depth > 0 {
                path.push("mesos");
            }
            path.push(part);
        }
        path
    }

    /// Puts a process into its container's cgroup, which is made.
    pub(super) fn add(&self, id: &ContainerId, pid: u32) -> Result<(), String> {
        let mut path = self.path(id);
        if self.version == Version::Two {
            // Inner cgroups hold no processes.
            path.push("leaf");
        }
        let entered = fs::create_dir_all(&path)
            .and_then(|()| fs::write(path.join("cgroup.procs"), pid.to_string()));
        entered.map_err(|error| format!("cannot enter {}: {error}", path.display()))
    }

    /// The processes of a container.
    pub(super) fn processes(&self, id: &ContainerId) -> Vec<i32> {
        members(&self.path(id))
    }

    /// Cgroups of containers.
    pub(super) fn containers(&self) -> Vec<ContainerId> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let names = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok());
        // Whatever else is there is not a slave's.
        names.filter(|name| uuid::Uuid::parse_str(name).is_ok()).map(ContainerId::new).collect()
    }

    /// Kills everything in a container once. True when nothing is left; then the cgroup is gone too.
    pub(super) fn kill(&self, id: &ContainerId) -> Result<bool, String> {
        let path = self.path(id);
        if !path.exists() {
            return Ok(true);
        }
        let killed = match self.version {
            Version::One => kill_frozen(&path, "freezer.state", ["FROZEN", "THAWED"]),
            Version::Two => kill_at_once(&path),
        };
        killed.map_err(|error| format!("cannot kill {}: {error}", path.display()))?;
        if !members(&path).is_empty() {
            return Ok(false);
        }
        // An unreaped child keeps it busy for a moment.
        Ok(remove(&path).is_ok())
    }
}

/// By `cgroup.kill`; kernels before 5.14 have none.
fn kill_at_once(path: &Path) -> io::Result<()> {
    let all = path.join("cgroup.kill");
    if all.exists() { fs::write(all, "1") } else { kill_frozen(path, "cgroup.freeze", ["1", "0"]) }
}

/// Who is frozen forks no more: what is there is killed, and thawed to die.
fn kill_frozen(path: &Path, file: &str, [freeze, thaw]: [&str; 2]) -> io::Result<()> {
    let state = path.join(file);
    fs::write(&state, freeze)?;
    for pid in members(path) {
        // It may have gone before it was frozen.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    fs::write(&state, thaw)
}

/// The processes in a cgroup and in those below.
fn members(path: &Path) -> Vec<i32> {
    let own = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let mut all: Vec<i32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    for below in below(path) {
        all.extend(members(&below));
    }
    all
}

fn below(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    for below in below(path) {
        remove(&below)?;
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn cgroup_of_an_older_kernel_is_frozen_killed_and_thawed() {
        let cgroup = tempfile::tempdir().unwrap();
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        fs::create_dir(cgroup.path().join("leaf")).unwrap();
        fs::write(cgroup.path().join("leaf/cgroup.procs"), format!("{}\n", child.id())).unwrap();
        kill_at_once(cgroup.path()).unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(fs::read_to_string(cgroup.path().join("cgroup.freeze")).unwrap(), "0");
    }
}
