//! What isolators cannot do from outside a container: data that a launcher applies inside, between
//! fork and exec.
//!
//! [`LaunchInfo`] is the wire message `mesos.slave.ContainerLaunchInfo`; as JSON it is what the
//! launcher's helper reads. The helper applies it in this order:
//!
//! 1. `clone_namespaces`: `CLONE_NEW*` numbers that the first process is cloned with;
//!    `enter_namespaces` are entered instead
//! 2. `mounts`, then `file_operations` (directories, links, mounts that depend on them), each in the
//!    order given. Flags are `MS_*` numbers; a mount's target that is missing is made: a directory,
//!    or a file when the source is one. Targets are paths of the host, below `rootfs` when there is
//!    one
//! 3. `rootfs`: becomes the root; then `masked_paths` are hidden
//! 4. `rlimits`; without both numbers a limit is unlimited
//! 5. `working_directory`
//! 6. `user`, with capabilities kept: `bounding_capabilities`, then `effective_capabilities`, which
//!    are also made ambient so that they survive exec
//! 7. `no_new_privileges`, then `seccomp_profile`, by [`compile`](crate::linux::filter::compile) and
//!    [`install`](crate::linux::filter::install). Without `no_new_privileges` the filter comes before
//!    step 6, as only root may install it then
//! 8. `environment` over that of the executor, and exec

use protos::mesos;
use protos::mesos::slave::ContainerMountInfo;

/// What is to be done inside a container. See the module's page.
pub type LaunchInfo = mesos::slave::ContainerLaunchInfo;

/// A limit was exceeded: why the container must be destroyed, and what its tasks are told.
pub type Limitation = mesos::slave::ContainerLimitation;

/// Two isolators want different things of one container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two isolators set the container's {0}")]
pub struct MergeError(pub &'static str);

fn once<T: PartialEq>(
    into: &mut Option<T>,
    part: Option<T>,
    what: &'static str,
) -> Result<(), MergeError> {
    match (into.as_ref(), part) {
        (_, None) => Ok(()),
        (Some(present), Some(part)) if *present != part => Err(MergeError(what)),
        (_, part) => {
            *into = part;
            Ok(())
        }
    }
}

fn environment(into: &mut Option<mesos::Environment>, part: Option<mesos::Environment>) {
    for variable in part.into_iter().flat_map(|part| part.variables) {
        let variables = &mut into.get_or_insert_default().variables;
        variables.retain(|present| present.name != variable.name);
        variables.push(variable);
    }
}

fn union<T: PartialEq>(into: &mut Vec<T>, part: Vec<T>) {
    for item in part {
        if !into.contains(&item) {
            into.push(item);
        }
    }
}

/// Adds what one isolator asks for. Parts are merged in the order of the isolators: mounts and file
/// operations keep that order, later variables of the environment replace earlier ones.
///
/// # Errors
/// [`MergeError`] when two parts set one thing to different values.
pub fn merge(into: &mut LaunchInfo, part: LaunchInfo) -> Result<(), MergeError> {
    into.pre_exec_commands.extend(part.pre_exec_commands);
    environment(&mut into.environment, part.environment);
    environment(&mut into.task_environment, part.task_environment);
    union(&mut into.clone_namespaces, part.clone_namespaces);
    union(&mut into.enter_namespaces, part.enter_namespaces);
    union(&mut into.supplementary_groups, part.supplementary_groups);
    union(&mut into.task_supplementary_groups, part.task_supplementary_groups);
    union(&mut into.masked_paths, part.masked_paths);
    into.mounts.extend(part.mounts);
    into.file_operations.extend(part.file_operations);
    once(&mut into.rootfs, part.rootfs, "root")?;
    once(&mut into.command, part.command, "command")?;
    once(&mut into.working_directory, part.working_directory, "working directory")?;
    once(&mut into.user, part.user, "user")?;
    once(&mut into.tty_slave_path, part.tty_slave_path, "terminal")?;
    once(&mut into.rlimits, part.rlimits, "resource limits")?;
    once(&mut into.effective_capabilities, part.effective_capabilities, "capabilities")?;
    once(&mut into.bounding_capabilities, part.bounding_capabilities, "bounding capabilities")?;
    once(&mut into.seccomp_profile, part.seccomp_profile, "seccomp profile")?;
    once(&mut into.no_new_privileges, part.no_new_privileges, "privileges")
}

/// An environment of one variable.
pub fn variable(name: &str, value: &str) -> mesos::Environment {
    let (name, value) = (name.to_owned(), Some(value.to_owned()));
    let variable = mesos::environment::Variable { name, value, ..Default::default() };
    mesos::Environment { variables: vec![variable] }
}

/// A bind mount; with everything below the source when `recursive`.
pub fn bind(
    source: impl Into<String>,
    target: impl Into<String>,
    recursive: bool,
) -> ContainerMountInfo {
    let flags = if recursive { MS_BIND | MS_REC } else { MS_BIND };
    ContainerMountInfo {
        source: Some(source.into()),
        target: target.into(),
        flags: Some(flags),
        ..ContainerMountInfo::default()
    }
}

/// Makes a mount read-only, and what is mounted below it; follows the bind mount of the same target.
/// A launcher does it by [`make_read_only`](crate::filesystem::mounts::make_read_only): for a remount
/// the kernel ignores [`MS_REC`], and clears what is not told.
pub fn read_only(target: impl Into<String>) -> ContainerMountInfo {
    ContainerMountInfo {
        target: target.into(),
        flags: Some(MS_BIND | MS_REMOUNT | MS_RDONLY | MS_REC),
        ..ContainerMountInfo::default()
    }
}

/// Changes how mounts below a target propagate; `flags` such as [`MS_SLAVE`] with [`MS_REC`].
pub fn propagation(target: impl Into<String>, flags: u32) -> ContainerMountInfo {
    ContainerMountInfo {
        target: target.into(),
        flags: Some(flags),
        ..ContainerMountInfo::default()
    }
}

/// A file system of the kernel, such as `proc`.
pub fn filesystem(
    kind: &str,
    target: impl Into<String>,
    flags: u32,
    options: Option<String>,
) -> ContainerMountInfo {
    ContainerMountInfo {
        source: Some(kind.to_owned()),
        target: target.into(),
        r#type: Some(kind.to_owned()),
        flags: Some(flags),
        options,
    }
}

/// A mount that follows other file operations.
pub fn mount_later(mount: ContainerMountInfo) -> mesos::slave::ContainerFileOperation {
    use mesos::slave::container_file_operation::{Operation, Parameters};
    mesos::slave::ContainerFileOperation {
        operation: Some(Operation::Mount as i32),
        parameters: Some(Parameters::Mount(mount)),
    }
}

/// A directory that is made after the mounts.
pub fn mkdir(target: impl Into<String>) -> mesos::slave::ContainerFileOperation {
    use mesos::slave::container_file_operation::{Mkdir, Operation, Parameters};
    mesos::slave::ContainerFileOperation {
        operation: Some(Operation::Mkdir as i32),
        parameters: Some(Parameters::Mkdir(Mkdir {
            target: Some(target.into()),
            recursive: Some(true),
        })),
    }
}

/// A symbolic link named `target` that leads to `source`; made after the mounts.
pub fn symlink(
    source: impl Into<String>,
    target: impl Into<String>,
) -> mesos::slave::ContainerFileOperation {
    use mesos::slave::container_file_operation::{Operation, Parameters, Symlink};
    mesos::slave::ContainerFileOperation {
        operation: Some(Operation::Symlink as i32),
        parameters: Some(Parameters::Symlink(Symlink {
            source: Some(source.into()),
            target: Some(target.into()),
        })),
    }
}

/// Read-only.
pub const MS_RDONLY: u32 = 1;
/// No set-user-id programs.
pub const MS_NOSUID: u32 = 2;
/// No devices.
pub const MS_NODEV: u32 = 4;
/// No programs.
pub const MS_NOEXEC: u32 = 8;
/// Changes a mount that exists.
pub const MS_REMOUNT: u32 = 32;
/// Access times are not followed in full strictness.
pub const MS_STRICTATIME: u32 = 1 << 24;
/// Shows a directory or file in another place.
pub const MS_BIND: u32 = 4096;
/// With everything below.
pub const MS_REC: u32 = 16384;
/// Mounts neither come from nor go to other namespaces.
pub const MS_PRIVATE: u32 = 1 << 18;
/// Mounts come from the other namespace and do not go there.
pub const MS_SLAVE: u32 = 1 << 19;
/// Mounts come and go.
pub const MS_SHARED: u32 = 1 << 20;

/// A mount namespace.
pub const CLONE_NEWNS: i32 = 0x0002_0000;
/// An IPC namespace.
pub const CLONE_NEWIPC: i32 = 0x0800_0000;
/// A host name of its own.
pub const CLONE_NEWUTS: i32 = 0x0400_0000;
/// Process ids of its own.
pub const CLONE_NEWPID: i32 = 0x2000_0000;
/// A network of its own.
pub const CLONE_NEWNET: i32 = 0x4000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: &str) -> mesos::environment::Variable {
        mesos::environment::Variable {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..Default::default()
        }
    }

    fn with_variable(name: &str, value: &str) -> LaunchInfo {
        let environment = mesos::Environment { variables: vec![variable(name, value)] };
        LaunchInfo { environment: Some(environment), ..LaunchInfo::default() }
    }

    #[test]
    fn launch_parts_are_joined_in_order() {
        let mut all = with_variable("A", "1");
        all.clone_namespaces = vec![CLONE_NEWNS];
        let mut part = with_variable("A", "2");
        part.clone_namespaces = vec![CLONE_NEWNS, CLONE_NEWPID];
        part.mounts = vec![bind("/a", "/b", true), read_only("/b")];
        merge(&mut all, part).unwrap();
        assert_eq!(all.clone_namespaces, [CLONE_NEWNS, CLONE_NEWPID]);
        assert_eq!(all.environment.unwrap().variables, [variable("A", "2")]);
        assert_eq!(all.mounts.len(), 2);
    }

    #[test]
    fn launch_parts_that_disagree_are_told() {
        let at = |path: &str| LaunchInfo {
            working_directory: Some(path.to_owned()),
            ..LaunchInfo::default()
        };
        let mut all = at("/a");
        assert_eq!(merge(&mut all, at("/a")), Ok(()));
        assert_eq!(merge(&mut all, at("/b")), Err(MergeError("working directory")));
    }
}
