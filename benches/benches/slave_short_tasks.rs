//! Claim: one slave runs short tasks as fast as the host starts processes, and does not slow down as
//! sandboxes pile up. The original's slave does 12 to 13 a second on the same work.
//!
//! Goal: 150 a second for a minute.

mod slave_common;

use std::process::ExitCode;
use std::time::Duration;

use libprocess::real;
use protos::mesos::TaskState;
use slave_common::{Event, Outcome, Stage, task};

const IN_FLIGHT: usize = 24;
const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: usize = 6;

fn measure() -> Outcome<()> {
    println!("short tasks: command `true`, {IN_FLIGHT} in flight, one slave, checkpoints on disk");
    real::run(async {
        let mut stage = Stage::start(&["--launcher=posix"]).await?;
        let mut launched = 0;
        let mut launch = |stage: &Stage| -> Outcome<()> {
            launched += 1;
            stage.launch(task(&format!("t{launched}"), "cpus:0.1;mem:16", "true")?);
            Ok(())
        };
        for _ in 0..IN_FLIGHT {
            launch(&stage)?;
        }
        let begin = stage.node.now();
        let mut ended = [0_u64; WINDOWS];
        loop {
            let Event::Update(_, state, at) = stage.next().await? else { continue };
            match state {
                TaskState::TaskFinished => {}
                TaskState::TaskStarting | TaskState::TaskRunning => continue,
                other => return Err(format!("a task ended as {other:?}").into()),
            }
            let window = (at - begin).as_secs() / WINDOW.as_secs();
            match ended.get_mut(usize::try_from(window)?) {
                Some(count) => *count += 1,
                None => break,
            }
            launch(&stage)?;
        }
        let rates: Vec<f64> = ended.iter().map(|count| benches::rate(*count, WINDOW)).collect();
        let all = rates.iter().sum::<f64>() / rates.len() as f64;
        benches::report("sustained for a minute", all, "tasks/s");
        benches::report("first ten seconds", rates[0], "tasks/s");
        benches::report("last ten seconds", rates[WINDOWS - 1], "tasks/s");
        Ok(())
    })
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slave_short_tasks: {error}");
            ExitCode::FAILURE
        }
    }
}
