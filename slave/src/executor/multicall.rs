//! Lets one binary stand in for the helpers: `mesos-local mesos-executor` is `mesos-executor`.

use std::process::ExitCode;

/// The helper that the first argument names, run to its end; None when it names none.
pub fn run_helper(args: &[String]) -> Option<ExitCode> {
    match args.first()?.as_str() {
        "mesos-executor" => Some(super::main()),
        "mesos-docker-executor" => Some(super::docker_main()),
        "mesos-fetcher" => Some(crate::fetcher::main()),
        "mesos-containerizer" => Some(crate::containerizer::helper::main()),
        _ => None,
    }
}
