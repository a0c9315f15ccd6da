//! The launcher that starts the command itself: it cannot hold a child back between fork and exec.

use std::collections::BTreeSet;

use futures::future::{BoxFuture, ready};
use futures::{FutureExt, TryFutureExt};
use libprocess::subprocess::{Command, Ended, Output};
use protos::ids::ContainerId;

use super::{Forked, Launcher, Os, RecoveredContainer, Spec, Victim, outputs};

pub(super) struct Direct;

impl Launcher for Direct {
    fn fork(&self, spec: Spec, os: Os) -> BoxFuture<'static, Result<Forked, String>> {
        let command = match command(&spec) {
            Ok(command) => command,
            Err(reason) => return ready(Err(reason)).boxed(),
        };
        let starting = os.spawn(command);
        Box::pin(async move {
            let child = starting.await.map_err(|error| error.to_string())?;
            let go = Box::new(|| ready(Ok(())).boxed());
            Ok(Forked { pid: child.pid, go, ended: child.ended })
        })
    }

    fn adopt(&self, container: &RecoveredContainer, os: Os) -> Option<BoxFuture<'static, Ended>> {
        Some(os.wait(container.pid))
    }

    fn destroy(&self, victim: Victim, os: Os) -> BoxFuture<'static, Result<(), String>> {
        os.kill_remains(victim.remains()).map_err(|error| error.to_string()).boxed()
    }

    fn orphans(&self, _: &BTreeSet<ContainerId>) -> Vec<ContainerId> {
        Vec::new()
    }
}

/// What to start: a shell line, or a program with its whole argv; output goes to the sandbox.
fn command(spec: &Spec) -> Result<Command, String> {
    let config = &spec.config;
    let info = &config.command;
    let value = info.value.clone().ok_or("the executor's command has no value")?;
    let (program, argv) = if info.shell.unwrap_or(true) {
        ("/bin/sh".to_owned(), vec!["sh".to_owned(), "-c".to_owned(), value])
    } else if info.arguments.is_empty() {
        (value.clone(), vec![value])
    } else {
        (value, info.arguments.clone())
    };
    let [stdout, stderr] = outputs(config).map(Output::File);
    Ok(Command {
        program,
        argv,
        env: config.environment.clone(),
        cwd: Some(config.directory.clone()),
        stdout,
        stderr,
        session: true,
        user: spec.user,
        ..Command::default()
    })
}
