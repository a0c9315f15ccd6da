//! Claim: a running task takes 1 KiB of the master's memory.
//!
//! The master is an OS process of its own: 1,000 fake slaves with 100 tasks each.

use std::process::ExitCode;
use std::time::Duration;

use benches::fake::{self, Board, Framework, Habits, MasterProcess, Plan, until};
use benches::{Outcome, claim, report};
use libprocess::real;

const SLAVES: usize = 1_000;
const TASKS: usize = 100 * SLAVES;

async fn measure() -> Outcome<()> {
    let (home, place) = (fake::loopback().await?, fake::loopback().await?);
    let master = MasterProcess::start(&home, &["--allocation_interval=100ms"]).await?;
    let board = Board::default();
    fake::slaves(&home, &master.pid()?, SLAVES, "cpus:100;mem:102400", Habits::LASTING, &board)?;
    until(&home, "slaves", || board.registered() == SLAVES).await?;
    home.sleep(Duration::from_secs(1)).await;
    let before = master.memory()?;
    let plan = Plan { tasks: TASKS, in_flight: TASKS, each: "cpus:1;mem:32".parse()? };
    place.spawn("scheduler(1)", Framework::new(master.pid()?, plan, board.clone()))?;
    until(&home, "tasks", || board.running() == TASKS).await?;
    home.sleep(Duration::from_secs(2)).await;
    let after = master.memory()?;
    let each = after.saturating_sub(before) as f64 / TASKS as f64;
    claim("memory of the master for each running task", each, "bytes", "1,024");
    report("memory of the master", after as f64 / 1024.0 / 1024.0, "MiB");
    let cpu = master.cpu()?;
    home.sleep(Duration::from_secs(10)).await;
    let idle = (master.cpu()? - cpu).as_secs_f64() * 10.0;
    report("CPU time of the master while nothing happens", idle, "% of a core");
    home.close();
    place.close();
    Ok(())
}

fn main() -> ExitCode {
    fake::main(|| real::run(measure()))
}
