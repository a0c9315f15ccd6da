//! The programs of a simulated host: the real command executor, and a shell that only sleeps.

use std::time::Duration;

use libprocess::sim::{SpawnedProgram, World};
use libprocess::subprocess::ExitStatus;
use slave::executor::{CommandExecutor, Settings};

use super::stand_in;

/// Lets a world's nodes start `mesos-executor`, `model-executor` (see [`stand_in`]) and `sh`.
pub(super) fn register(world: &mut World) {
    world.program("mesos-executor", mesos_executor);
    world.program("model-executor", stand_in::command_executor);
    world.program("sh", shell);
}

/// What the program of that name does: one command executor, which lives until it stops.
fn mesos_executor(program: SpawnedProgram) {
    let Ok(settings) = Settings::read(program.command().env.clone()) else {
        program.exit(ExitStatus::exited(1));
        return;
    };
    let node = program.node().clone();
    let executor = node.spawn_numbered("executor", CommandExecutor::new(settings));
    program.run(async move {
        node.wait(executor.pid()).await;
        ExitStatus::exited(0)
    });
}

/// `sh -c LINE`: `sleep SECONDS` takes its time, `exit CODE` ends so, anything else is not found.
fn shell(program: SpawnedProgram) {
    let line = program.argv().last().cloned().unwrap_or_default();
    let argument = |command: &str| line.strip_prefix(command)?.trim().parse::<f64>().ok();
    let seconds = argument("sleep ").and_then(|it| Duration::try_from_secs_f64(it).ok());
    if let Some(seconds) = seconds {
        let pause = program.node().sleep(seconds);
        program.run(async move {
            pause.await;
            ExitStatus::exited(0)
        });
    } else {
        program.print_error(format!("{line}: not found\n").as_bytes());
        let code = argument("exit ").unwrap_or(127.0);
        program.exit(ExitStatus::exited(code as u8));
    }
}
