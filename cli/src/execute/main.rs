//! What the binary does: flags, a node, a master to talk to.

use std::pin::pin;
use std::process::ExitCode;

use coordination::url::{MasterUrl, UrlError};
use futures::future::Either;
use libprocess::flags::Loader;
use libprocess::real;

use super::flags::Flags;
use super::job::{Job, JobError};
use super::run::{self, Sandboxes};
use crate::local::cluster::{Cluster, ClusterError, Settings};

/// Why the tool gave up.
#[derive(Debug, thiserror::Error)]
enum MainError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("cannot start the cluster: {0}")]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Start(#[from] real::StartError),
    #[error("stopped by {0}")]
    Signal(&'static str),
    #[error(transparent)]
    Run(#[from] run::ExecuteError),
}

/// Runs the tool with the arguments after its name. Flags do not come from the environment.
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let loader = Loader::new("mesos-execute").normalise::<std::time::Duration>(|text| {
        protos::duration::parse(text).ok().map(protos::duration::print)
    });
    let loaded = match loader.load::<Flags>(arguments) {
        Ok(loaded) => loaded,
        Err(error) => return error.report("mesos-execute"),
    };
    let logging = quiet_unless_asked(&loaded.flags);
    let (log, _guard) = match logging.logger("mesos-execute") {
        Ok(logger) => logger,
        Err(error) => return fail(&error),
    };
    for warning in &loaded.warnings {
        slog::warn!(log, "{}", warning);
    }
    match real::run(execute(&loaded.flags, log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("mesos-execute: {error}");
    ExitCode::FAILURE
}

/// Progress is on standard output: of the log, only what is wrong is of interest by default.
fn quiet_unless_asked(flags: &Flags) -> libprocess::flags::Logging {
    let mut logging = flags.logging.clone();
    if logging.logging_level == slog::Level::Info {
        logging.logging_level = slog::Level::Warning;
    }
    logging
}

async fn execute(flags: &Flags, log: slog::Logger) -> Result<(), MainError> {
    let job = Job::from_flags(flags)?;
    if flags.local {
        if flags.master.is_some() {
            return Err(JobError::Either("local", "master").into());
        }
        return execute_locally(job, log).await;
    }
    let master = flags.master.as_deref().ok_or(JobError::Missing("master"))?;
    let master: MasterUrl = master.parse()?;
    let node = crate::node::client(&master, log).await?;
    let detector = coordination::detector(&node, &master, crate::node::SESSION);
    Ok(run::run(&node, detector, job, None).await?)
}

/// Runs a job on a cluster that lives as long as the job does.
async fn execute_locally(job: Job, log: slog::Logger) -> Result<(), MainError> {
    let work_dir =
        std::env::temp_dir().join(format!("mesos-execute-{}", libprocess::Uuid::new_v4()));
    let settings = Settings::small(work_dir.clone(), log.clone());
    let cluster = Cluster::start(settings).await?;
    let master = cluster.master().pid("master");
    let sandboxes = cluster.slaves().next().map(|(_, directory)| Sandboxes(directory.to_owned()));
    let master = MasterUrl::Standalone(master);
    let node = crate::node::client(&master, log.clone()).await?;
    let detector = coordination::detector(&node, &master, crate::node::SESSION);
    let job = run::run(&node, detector, job, sandboxes);
    let signal = real::stop_signal();
    // Without this the cluster's files would stay behind.
    let result = match futures::future::select(pin!(job), pin!(signal)).await {
        Either::Left((result, _)) => result.map_err(MainError::from),
        Either::Right((signal, _)) => Err(MainError::Signal(signal)),
    };
    cluster.stop().await;
    if let Err(error) = std::fs::remove_dir_all(&work_dir) {
        slog::warn!(log, "cannot remove the cluster's files"; "path" => %work_dir.display(), "reason" => %error);
    }
    result
}
