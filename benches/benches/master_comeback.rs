//! Claim: 5,000 slaves with 10 tasks each are back half a second after the master was killed, with a
//! registry on disk.
//!
//! The master is an OS process of its own; slaves and framework are fake and try again 20 ms after
//! their connection broke, and then each 200 ms.

use std::process::ExitCode;
use std::time::Duration;

use benches::fake::{self, Board, Framework, Habits, MasterProcess, Plan, until};
use benches::{Outcome, claim, millis, report};
use libprocess::real;

const SLAVES: usize = 5_000;
const TASKS: usize = 10 * SLAVES;

async fn measure() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let work_dir = format!("--work_dir={}", directory.path().display());
    let flags = ["--registry=file", &work_dir, "--allocation_interval=100ms"];
    let (home, place) = (fake::loopback().await?, fake::loopback().await?);
    let master = MasterProcess::start(&home, &flags).await?;
    let address = master.address;
    let board = Board::default();
    // The new master listens before it has its registry: what it hears until then is lost.
    let habits = Habits { retry: Duration::from_millis(200), ..Habits::LASTING };
    fake::slaves(&home, &master.pid()?, SLAVES, "cpus:10;mem:10240", habits, &board)?;
    until(&home, "slaves", || board.registered() == SLAVES).await?;
    let plan = Plan { tasks: TASKS, in_flight: TASKS, each: "cpus:1;mem:32".parse()? };
    place.spawn("scheduler(1)", Framework::new(master.pid()?, plan, board.clone()))?;
    until(&home, "tasks", || board.running() == TASKS).await?;
    let start = home.now();
    master.kill();
    let master = MasterProcess::start_at(&home, address, &flags).await?;
    report("the new master listens", millis(home.now().since(start)), "ms");
    until(&home, "slaves are back", || board.returned() == SLAVES).await?;
    let took = home.now().since(start);
    claim("kill to all slaves back", millis(took), "ms", "500");
    report("CPU time of the new master", millis(master.cpu()?), "ms");
    home.close();
    place.close();
    Ok(())
}

fn main() -> ExitCode {
    fake::main(|| real::run(measure()))
}
