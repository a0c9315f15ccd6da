//! The launcher that needs no privileges: the command leads a session of its own in its sandbox.
//!
//! It cannot hold a child back between fork and exec, so the containerizer fetches before it
//! launches, and checkpoints and isolates right after.

use libprocess::subprocess::{Command, Output};

use crate::containerizer::ContainerConfig;

/// Numeric user and group of a user's name.
///
/// # Errors
/// Text naming the user, when there is none or the host cannot tell.
pub(crate) fn user(name: &str) -> Result<(u32, u32), String> {
    match nix::unistd::User::from_name(name) {
        Ok(Some(user)) => Ok((user.uid.as_raw(), user.gid.as_raw())),
        Ok(None) => Err(format!("user '{name}' does not exist on this host")),
        Err(error) => Err(format!("cannot look up user '{name}': {error}")),
    }
}

/// What to start: a shell line, or a program with its whole argv; output goes to the sandbox.
///
/// # Errors
/// Text, when the executor has no command.
pub(crate) fn command(
    config: &ContainerConfig,
    user: Option<(u32, u32)>,
) -> Result<Command, String> {
    let info = &config.command;
    let value = info.value.clone().ok_or("the executor's command has no value")?;
    let (program, argv) = if info.shell.unwrap_or(true) {
        ("/bin/sh".to_owned(), vec!["sh".to_owned(), "-c".to_owned(), value])
    } else if info.arguments.is_empty() {
        (value.clone(), vec![value])
    } else {
        (value, info.arguments.clone())
    };
    let output = |name: &str| Output::File(config.directory.join(name));
    Ok(Command {
        program,
        argv,
        env: config.environment.clone(),
        cwd: Some(config.directory.clone()),
        stdout: output("stdout"),
        stderr: output("stderr"),
        session: true,
        user,
        ..Command::default()
    })
}
