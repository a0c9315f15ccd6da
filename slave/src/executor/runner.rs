//! How a task's command runs: as processes of this host, or otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use libprocess::subprocess::{Command, Ended, Subprocesses, Target};
use protos::mesos;

use super::Settings;
use super::checks::{Seen, run};
use super::command::{command, command_of};

/// The system's processes, as a node reaches them.
pub(crate) type Os = Arc<dyn Subprocesses>;

/// A task that runs.
pub(crate) struct Started {
    /// The first process, if it is one of this host's that may be signalled.
    pub(crate) pid: Option<u32>,
    /// Its addresses, if it has some of its own.
    pub(crate) status: Option<mesos::ContainerStatus>,
    /// What else the framework is told with `TASK_RUNNING`.
    pub(crate) data: Option<Bytes>,
    /// Ready when it has ended.
    pub(crate) ended: BoxFuture<'static, Ended>,
}

/// Runs the one task of an executor.
pub(crate) trait Runner: Send + Sync {
    /// What messages about its end call it.
    fn noun(&self) -> &'static str;

    /// The command of a task, if it is one of this host's.
    ///
    /// # Errors
    /// Why the task cannot be run.
    fn command(&self, task: &mesos::TaskInfo, settings: &Settings) -> Result<Command, String>;

    /// Starts the task; `command` is what [`Runner::command`] said.
    fn start(
        &self,
        command: Command,
        task: &mesos::TaskInfo,
        os: Os,
    ) -> BoxFuture<'static, Result<Started, String>>;

    /// Signals everything that the task started.
    fn signal(
        &self,
        pid: Option<u32>,
        signal: i32,
        os: Os,
    ) -> BoxFuture<'static, Result<(), String>>;

    /// Runs a command of a check beside the task.
    fn check(
        &self,
        info: &mesos::CommandInfo,
        task: &mesos::TaskInfo,
        settings: &Settings,
        os: Os,
    ) -> BoxFuture<'static, Result<Seen, String>>;

    /// Where the task listens.
    fn host(&self, v6: bool) -> IpAddr {
        if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
    }
}

/// Runs commands as processes of this host.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HostRunner;

impl Runner for HostRunner {
    fn noun(&self) -> &'static str {
        "Command"
    }

    fn command(&self, task: &mesos::TaskInfo, settings: &Settings) -> Result<Command, String> {
        command(task, settings)
    }

    fn start(
        &self,
        command: Command,
        _: &mesos::TaskInfo,
        os: Os,
    ) -> BoxFuture<'static, Result<Started, String>> {
        let starting = os.spawn(command);
        Box::pin(async move {
            let child = starting.await.map_err(|error| error.to_string())?;
            let (pid, ended) = (Some(child.pid), child.ended);
            Ok(Started { pid, status: None, data: None, ended })
        })
    }

    fn signal(
        &self,
        pid: Option<u32>,
        signal: i32,
        os: Os,
    ) -> BoxFuture<'static, Result<(), String>> {
        let done = pid.map_or(Ok(()), |pid| os.signal(Target::Tree(pid), signal));
        ready(done.map_err(|error| error.to_string())).boxed()
    }

    fn check(
        &self,
        info: &mesos::CommandInfo,
        task: &mesos::TaskInfo,
        settings: &Settings,
        os: Os,
    ) -> BoxFuture<'static, Result<Seen, String>> {
        match command_of(info, task, settings) {
            Ok(command) => run(command, os).boxed(),
            Err(reason) => ready(Err(reason)).boxed(),
        }
    }
}
