//! What the binary does: flags, a cluster, a signal.

use std::ffi::OsString;
use std::process::ExitCode;

use libprocess::flags::{Loader, process_environment};
use libprocess::real;

use super::cluster::{Cluster, Settings};
use super::flags::Flags;

const PROGRAM: &str = "mesos-local";

/// Runs a cluster until SIGINT or SIGTERM; the arguments are those after the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let loader = Loader::new(PROGRAM)
        .environment("MESOS_", process_environment())
        .normalise::<std::time::Duration>(|text| {
            protos::duration::parse(text).ok().map(protos::duration::print)
        })
        .lenient();
    let loaded = match loader.load::<Flags>(&arguments) {
        Ok(loaded) => loaded,
        Err(error) => return error.report(PROGRAM),
    };
    let (log, _guard) = match loaded.flags.logging.logger(PROGRAM) {
        Ok(logger) => logger,
        Err(error) => return fail(&error),
    };
    for warning in &loaded.warnings {
        slog::warn!(log, "{}", warning);
    }
    let settings = match Settings::load(&loader, &arguments, &loaded.flags, log.clone()) {
        Ok(settings) => settings,
        Err(error) => return error.report(PROGRAM),
    };
    real::run(async {
        let cluster = match Cluster::start(settings).await {
            Ok(cluster) => cluster,
            Err(error) => return fail(&error),
        };
        println!("master at {}", cluster.master().address());
        for (slave, directory) in cluster.slaves() {
            println!("slave at {}, work in {}", slave.address(), directory.display());
        }
        let signal = real::stop_signal().await;
        slog::info!(log, "cluster stops"; "signal" => signal);
        cluster.stop().await;
        ExitCode::SUCCESS
    })
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{PROGRAM}: {error}");
    ExitCode::FAILURE
}
