//! What the binary does: flags, a node, a master to talk to.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;

use coordination::url::{MasterUrl, UrlError};
use coordination::{Detector, Leader, StandaloneDetector};
use libprocess::flags::Loader;
use libprocess::{Node, NodeConfig, real};

use super::flags::Flags;
use super::job::{Job, JobError};
use super::run;

/// Why the tool gave up.
#[derive(Debug, thiserror::Error)]
enum MainError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("masters in ZooKeeper are not supported yet: give --master=host:port")]
    ZooKeeper,
    #[error(transparent)]
    Start(#[from] real::StartError),
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
    let user = nix::unistd::User::from_uid(nix::unistd::getuid());
    let user = user.ok().flatten().map_or_else(|| "root".to_owned(), |user| user.name);
    let mut job = Job::from_flags(flags, &user)?;
    let hostname = nix::unistd::gethostname().unwrap_or_default();
    job.framework.hostname = Some(hostname.to_string_lossy().into_owned());
    let master = flags.master.as_deref().ok_or(JobError::Missing("master"))?;
    let master = match master.parse()? {
        MasterUrl::Standalone(pid) => pid,
        MasterUrl::ZooKeeper(_) => return Err(MainError::ZooKeeper),
    };
    let node = client_node(*master.address().ip(), log).await?;
    let detector = StandaloneDetector::new(Some(Leader::of(master)));
    Ok(run::run(&node, Arc::new(detector) as Arc<dyn Detector>, job, None).await?)
}

/// A node that a master at `peer` can reach: on the loopback if the master is there.
async fn client_node(peer: Ipv4Addr, log: slog::Logger) -> Result<Node, real::StartError> {
    let ip = if peer.is_loopback() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let node = NodeConfig { schema: protos::required::schema_check, log, ..NodeConfig::default() };
    let config = real::Config { ip, node, ..real::Config::default() };
    real::start(config.from_env(|name| std::env::var(name).ok())?).await
}
