//! What the binary `mesos-docker-executor` does.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use libprocess::real;
use libprocess::subprocess::ExitStatus;

use super::docker::{DockerFlags, DockerRunner};
use super::main::serve;
use super::task::SIGKILL;

const PROGRAM: &str = "mesos-docker-executor";

/// Runs the docker container of a task until it has ended or the slave asks to stop; with a task on
/// the command line, runs that and ends as it does.
pub fn main() -> ExitCode {
    let mut flags = match DockerFlags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            return fail(text.lines().next().unwrap_or_default());
        }
        Err(help) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
    };
    match flags.run.take() {
        Some(task) => run(&DockerRunner::new(flags), &task),
        None => serve(PROGRAM, None, Arc::new(DockerRunner::new(flags))),
    }
}

/// Runs an executor of a framework's own as a container.
fn run(runner: &DockerRunner, task: &protos::mesos::TaskInfo) -> ExitCode {
    real::run(async {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let mut ended = match runner.run(task, environment.collect()).await {
            Ok(started) => started.ended,
            Err(reason) => return fail(&reason),
        };
        let mut asked = false;
        loop {
            tokio::select! {
                ended = &mut ended => return code(ended.status),
                _ = real::stop_signal(), if !asked => {
                    asked = true;
                    // The end is waited for above; who is impatient kills this program.
                    if let Err(reason) = runner.ask_to_stop().await {
                        return fail(&reason);
                    }
                }
            }
        }
    })
}

fn code(status: Option<ExitStatus>) -> ExitCode {
    let code = status
        .and_then(|status| status.code().or_else(|| status.signal().map(|signal| 128 + signal)));
    let code = code.unwrap_or(128 + SIGKILL);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("{PROGRAM}: {reason}");
    ExitCode::FAILURE
}
