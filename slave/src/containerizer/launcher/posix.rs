//! The launcher that needs no privileges: the command leads a session of its own in its sandbox.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use futures::future::{BoxFuture, ready};
use futures::{FutureExt, TryFutureExt};
use isolators::marks;
use libprocess::subprocess::Ended;
use protos::ids::ContainerId;
use protos::mesos;

use super::{
    ContainerizerOptions, DIRECTORY, Forked, Launcher, Os, RecoveredContainer, Spec, Victim, fork,
    output, outputs, unknown_end,
};
use crate::logger::LoggerOptions;

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

/// Starts the helper.
pub(super) struct Posix {
    /// Program and leading arguments of `mesos-containerizer`.
    helper: Vec<String>,
    logger: Option<LoggerOptions>,
}

impl Posix {
    pub(super) fn new(options: &ContainerizerOptions) -> Self {
        Self { helper: options.helper.clone(), logger: options.logger.clone() }
    }

    /// Forks a child that waits; it has not been told what to do.
    pub(super) fn hold(&self, spec: &Spec) -> Result<fork::Held, String> {
        let open = |path: &Path| {
            let file = match &self.logger {
                None => output::open(path, spec.user).map(OwnedFd::from),
                Some(logger) => logger.start(path, &spec.config.environment, spec.user),
            };
            file.map_err(|error| format!("cannot open {}: {error}", path.display()))
        };
        let [stdout, stderr] = outputs(&spec.config);
        let mut argv = self.helper.clone();
        argv.extend(["launch".to_owned(), format!("--pipe_read={}", fork::PIPE)]);
        if spec.keep_root {
            argv.push("--keep_root".to_owned());
        }
        let directory = spec.config.directory.display();
        let plan = fork::Plan {
            argv,
            // By it a restarted slave knows the process again.
            env: vec![format!("{DIRECTORY}={directory}")],
            stdout: open(&stdout)?,
            stderr: open(&stderr)?,
            namespaces: spec.info.clone_namespaces.iter().fold(0, |all, one| all | one),
        };
        fork::fork(&plan).map_err(|error| format!("cannot fork: {error}"))
    }
}

/// What the helper is told.
pub(super) fn launch_info(spec: &Spec) -> Vec<u8> {
    let mut info = spec.info.clone();
    let config = &spec.config;
    info.command.get_or_insert_with(|| config.command.clone());
    let directory = || config.directory.display().to_string();
    info.working_directory.get_or_insert_with(directory);
    if info.user.is_none() {
        info.user = config.user.clone();
    }
    let variable = |(name, value): (&String, &String)| mesos::environment::Variable {
        name: name.clone(),
        value: Some(value.clone()),
        ..Default::default()
    };
    let mut variables: Vec<_> = config.environment.iter().map(variable).collect();
    // What isolators set wins.
    let own = info.environment.take().unwrap_or_default().variables;
    variables.retain(|variable| own.iter().all(|set| set.name != variable.name));
    variables.extend(own);
    info.environment = Some(mesos::Environment { variables });
    // Behind its length: half of it must not be taken for the whole.
    crate::checkpoint::encode(&info).to_vec()
}

/// Makes a held child a first process.
pub(super) fn forked(held: fork::Held, message: Vec<u8>) -> Forked {
    let pid = held.pid;
    let (go, ended) = held.split(message);
    Forked { pid, go, ended }
}

impl Launcher for Posix {
    fn fork(&self, spec: Spec, _: Os) -> BoxFuture<'static, Result<Forked, String>> {
        let held = self.hold(&spec);
        ready(held.map(|held| forked(held, launch_info(&spec)))).boxed()
    }

    fn adopt(&self, container: &RecoveredContainer, _: Os) -> Option<BoxFuture<'static, Ended>> {
        adopt(container)
    }

    fn destroy(&self, victim: Victim, os: Os) -> BoxFuture<'static, Result<(), String>> {
        os.kill_remains(victim.remains()).map_err(|error| error.to_string()).boxed()
    }

    fn orphans(&self, _: &BTreeSet<ContainerId>) -> Vec<ContainerId> {
        Vec::new()
    }
}

/// Watches the first process of a container that an earlier slave started, if it is still there.
pub(super) fn adopt(container: &RecoveredContainer) -> Option<BoxFuture<'static, Ended>> {
    // Opened first: what is looked at afterwards is that same process, or none.
    let process = fork::open(container.pid).ok().filter(|_| belongs(container))?;
    Some(Box::pin(async move {
        fork::gone(process).await;
        unknown_end()
    }))
}

/// True unless the process is surely another one: its number may have been given away since.
fn belongs(container: &RecoveredContainer) -> bool {
    let pid = container.pid;
    let readable = marks::environment(pid).is_ok();
    let exists = Path::new("/proc").join(pid.to_string()).exists();
    marks::sandbox_of(pid).map_or(!readable && exists, |sandbox| sandbox == container.directory)
}
