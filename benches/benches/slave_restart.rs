//! Claim: a slave that is killed with 500 running tasks is back within seconds and has lost none.
//!
//! Goal: registered again 5 s after the time that executors have to come back; 0 lost.

mod slave_common;

use std::process::ExitCode;
use std::time::Duration;

use libprocess::real;
use protos::mesos::TaskState;
use slave_common::{Event, Outcome, Stage, task};

const CONTAINERS: usize = 500;
/// The flag `executor_reregistration_timeout`.
const COME_BACK: Duration = Duration::from_secs(2);

fn measure() -> Outcome<()> {
    println!("restart: {CONTAINERS} tasks that sleep, slave killed and started again");
    real::run(async {
        let mut stage = Stage::start(&["--launcher=posix"]).await?;
        let tasks =
            (0..CONTAINERS).map(|it| task(&format!("t{it}"), "cpus:0.01;mem:1", "sleep 10000"));
        let tasks = tasks.collect::<Outcome<Vec<_>>>()?;
        stage.launch_all(tasks, 16, TaskState::TaskRunning).await?;
        stage.kill_slave()?;
        let begin = stage.node.now();
        stage.start_slave()?;
        let running = loop {
            match stage.next().await? {
                Event::Reregistered(_, running) => break running,
                Event::Registered(_) => return Err("it came back as another slave".into()),
                Event::Update(..) => {}
            }
        };
        let took = (stage.node.now() - begin).saturating_sub(COME_BACK);
        benches::report("back, beyond the time to come back", took.as_secs_f64(), "s");
        benches::report("tasks lost", (CONTAINERS - running) as f64, "tasks");
        Ok(())
    })
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slave_restart: {error}");
            ExitCode::FAILURE
        }
    }
}
