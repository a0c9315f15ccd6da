//! The order in which a process becomes a container's command.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use isolators::LaunchInfo;
use protos::mesos;

use super::{mounts, privileges, rlimits, root};

/// The command cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// The program was called in a wrong way.
    #[error("{0}")]
    Arguments(String),
    /// What to do could not be read.
    #[error("cannot read what to launch: {0}")]
    Pipe(io::Error),
    /// What to do is no launch data.
    #[error("cannot understand what to launch: {0}")]
    LaunchInfo(String),
    /// A step failed.
    #[error("cannot {step}: {source}")]
    Step {
        /// What was tried, and on what.
        step: String,
        /// Why it failed.
        source: io::Error,
    },
    /// An image cannot be had.
    #[error("{0}")]
    Image(String),
    /// Something is asked for that this program cannot do.
    #[error("{0} cannot be done by this version")]
    Unsupported(&'static str),
}

/// Adds what was tried to an error of the system.
pub(super) fn step<T, E: Into<io::Error>>(
    done: Result<T, E>,
    what: impl FnOnce() -> String,
) -> Result<T, HelperError> {
    done.map_err(|error| HelperError::Step { step: what(), source: error.into() })
}

/// Does everything that is asked for, then executes the command; comes back only when that fails.
/// With `keep_root` the root is prepared, and entered by somebody later.
pub(super) fn launch(info: &LaunchInfo, keep_root: bool) -> Result<(), HelperError> {
    if !info.enter_namespaces.is_empty() {
        return Err(HelperError::Unsupported("entering namespaces"));
    }
    // Looked up by the host's files, while they can be seen.
    let user = privileges::resolve(info)?;
    for mount in &info.mounts {
        mounts::mount(mount, info.rootfs.as_deref())?;
    }
    for operation in &info.file_operations {
        mounts::operate(operation, info.rootfs.as_deref())?;
    }
    if let Some(rootfs) = info.rootfs.as_ref().filter(|_| !keep_root) {
        root::change(rootfs)?;
    }
    for path in &info.masked_paths {
        mounts::mask(path)?;
    }
    for command in &info.pre_exec_commands {
        run(command)?;
    }
    rlimits::apply(info.rlimits.as_ref())?;
    if let Some(directory) = &info.working_directory {
        step(std::env::set_current_dir(directory), || format!("enter {directory}"))?;
    }
    privileges::drop_to(user, info)?;
    execute(info)
}

/// A command as the system starts it: a shell line, or a program with its whole argv.
fn command(info: &mesos::CommandInfo) -> Result<Command, HelperError> {
    let missing = || HelperError::LaunchInfo("the command has no value".to_owned());
    let value = info.value.clone().ok_or_else(missing)?;
    if info.shell.unwrap_or(true) {
        let mut command = Command::new("/bin/sh");
        command.arg0("sh").arg("-c").arg(value);
        return Ok(command);
    }
    let mut command = Command::new(&value);
    if let Some((zeroth, rest)) = info.arguments.split_first() {
        command.arg0(zeroth).args(rest);
    }
    Ok(command)
}

fn run(info: &mesos::CommandInfo) -> Result<(), HelperError> {
    let what = || format!("run '{}'", info.value());
    let status = step(command(info)?.status(), what)?;
    let failed = || Err(io::Error::other(format!("{status}")));
    if status.success() { Ok(()) } else { step(failed(), what) }
}

fn execute(info: &LaunchInfo) -> Result<(), HelperError> {
    let missing = || HelperError::LaunchInfo("there is no command".to_owned());
    let told = info.command.as_ref().ok_or_else(missing)?;
    let mut command = command(told)?;
    let variables = info.environment.iter().flat_map(|environment| &environment.variables);
    command.env_clear();
    command.envs(variables.map(|it| (it.name.as_str(), it.value())));
    let failed: Result<(), io::Error> = Err(command.exec());
    step(failed, || format!("execute '{}'", told.value()))
}
