//! Claim: a task is told to run within milliseconds: from `RunTaskMessage` to `TASK_RUNNING`, command
//! `true`, checkpoints on disk. The original's slave takes 91 to 106 ms on the same work.
//!
//! Goals: posix launcher p50 15 ms, p99 60 ms; linux launcher with cgroups/cpu and mem p50 30 ms.

mod slave_common;

use std::process::ExitCode;
use std::time::Duration;

use libprocess::real;
use protos::mesos::TaskState;
use slave_common::{Event, Outcome, Stage, percentile, task};

const TASKS: usize = 300;

async fn one_by_one(stage: &mut Stage) -> Outcome<Vec<Duration>> {
    let mut took = Vec::new();
    for number in 0..TASKS {
        let began = stage.launch(task(&format!("t{number}"), "cpus:0.5;mem:64", "true")?);
        loop {
            match stage.next().await? {
                Event::Update(_, TaskState::TaskRunning, at) => took.push(at - began),
                Event::Update(_, TaskState::TaskFinished, _) => break,
                _ => {}
            }
        }
    }
    Ok(took)
}

fn measure() -> Outcome<()> {
    println!("launch to TASK_RUNNING: {TASKS} command tasks `true`, one after the other");
    real::run(async {
        let linux = ["--launcher=linux", "--isolation=cgroups/cpu,cgroups/mem"];
        let settings: [(&str, &[&str]); 2] =
            [("posix launcher", &["--launcher=posix"]), ("linux launcher, cgroups", &linux)];
        for (what, flags) in settings {
            let mut stage = Stage::start(flags).await?;
            let mut took = one_by_one(&mut stage).await?;
            for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
                let at = benches::millis(percentile(&mut took, share));
                benches::report(&format!("{what}, {name}"), at, "ms");
            }
        }
        Ok(())
    })
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slave_launch: {error}");
            ExitCode::FAILURE
        }
    }
}
