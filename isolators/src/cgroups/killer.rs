//! Ends all that lives in a cgroup, and the cgroup.

use std::path::Path;
use std::time::Duration;

use libprocess::Node;

use super::{CgroupError, Group, Version};

/// After the first round; doubles with each, as most processes are gone at once.
const FIRST_ROUND: Duration = Duration::from_millis(1);
/// The longest time between two rounds.
const LAST_ROUND: Duration = Duration::from_millis(64);

/// Stops all processes of a version 1 cgroup (controller `freezer`), or of any version 2 cgroup. The
/// kernel does so in its own time: see [`is_frozen`].
///
/// # Errors
/// When the kernel refuses.
pub fn freeze(group: &Group) -> Result<(), CgroupError> {
    match group.version() {
        Version::V1 => group.write("freezer", "freezer.state", "FROZEN"),
        Version::V2 => group.write("", "cgroup.freeze", "1"),
    }
}

/// Lets the processes go on.
///
/// # Errors
/// When the kernel refuses.
pub fn thaw(group: &Group) -> Result<(), CgroupError> {
    match group.version() {
        Version::V1 => group.write("freezer", "freezer.state", "THAWED"),
        Version::V2 => group.write("", "cgroup.freeze", "0"),
    }
}

/// True when all processes have stopped.
///
/// # Errors
/// When the kernel does not tell.
pub fn is_frozen(group: &Group) -> Result<bool, CgroupError> {
    match group.version() {
        Version::V1 => Ok(group.read("freezer", "freezer.state")? == "FROZEN"),
        Version::V2 => Ok(group.table("", "cgroup.events")?.get("frozen") == Some(&1)),
    }
}

/// True when a cgroup holds a container of another slave of this host: one whose sandbox (variable
/// `MESOS_DIRECTORY`) is not in this slave's work directory.
pub fn is_foreign(group: &Group, controller: &str, work_dir: &Path) -> bool {
    group.processes(controller).into_iter().any(|pid| {
        crate::marks::sandbox_of(pid).is_some_and(|sandbox| !sandbox.starts_with(work_dir))
    })
}

/// Kills all processes in a container's cgroup and removes it, in rounds, for at most `limit` (flag
/// `cgroups_destroy_timeout`). With the controller `freezer`, each round freezes, kills and thaws,
/// so that nothing can fork its way out; version 2 kills at once.
///
/// # Errors
/// When the kernel refuses, or processes are left after `limit`.
pub async fn destroy(
    node: Node,
    group: Group,
    controller: String,
    limit: Duration,
) -> Result<(), CgroupError> {
    let began = node.now();
    let mut round = FIRST_ROUND;
    let freezes = controller == "freezer" && group.version() == Version::V1;
    while group.exists(&controller) {
        if freezes {
            // What cannot be frozen (yet) is killed as it is.
            let _ = freeze(&group);
        }
        group.kill(&controller);
        if freezes {
            thaw(&group)?;
        }
        if group.remove(&controller)? {
            break;
        }
        if node.now().since(began) >= limit {
            let left = group.processes(&controller);
            let path = group.path();
            return Err(CgroupError::Other(format!(
                "processes {left:?} of cgroup {path} are left after {limit:?}"
            )));
        }
        node.sleep(round).await;
        round = (round * 2).min(LAST_ROUND);
    }
    Ok(())
}
