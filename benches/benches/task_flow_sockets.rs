//! Claim: a task costs the master 40 us of CPU time over real sockets.
//!
//! The master is an OS process of its own, as operators run it; 100 fake slaves and a fake framework
//! are in this one, which keeps 1,000 tasks in flight, then 10.

use std::process::ExitCode;
use std::time::Duration;

use benches::fake::{self, Board, Framework, Habits, MasterProcess, Plan, until};
use benches::{Outcome, claim, millis, quantile, rate, report};
use libprocess::real;

const SLAVES: usize = 100;
const TASKS: usize = 100_000;
const FEW: usize = 2_000;

async fn measure() -> Outcome<()> {
    let (home, place) = (fake::loopback().await?, fake::loopback().await?);
    let master = MasterProcess::start(&home, &["--allocation_interval=100ms"]).await?;
    let board = Board::default();
    fake::slaves(&home, &master.pid()?, SLAVES, "cpus:10;mem:10240", Habits::SHORT, &board)?;
    until(&home, "slaves", || board.registered() == SLAVES).await?;
    let plan = Plan { tasks: 0, in_flight: 0, each: "cpus:1;mem:32".parse()? };
    let framework =
        place.spawn("scheduler(1)", Framework::new(master.pid()?, plan, board.clone()))?;
    for (tasks, in_flight) in [(FEW, 1_000), (TASKS, 1_000), (FEW, 10)] {
        let (before, start, cpu) = (board.ended(), home.now(), master.cpu()?);
        framework.tell(move |framework, cx| framework.more(tasks, in_flight, cx));
        until(&home, "tasks", || board.ended() - before == tasks).await?;
        let (took, cpu) = (home.now().since(start), master.cpu()? - cpu);
        let launches =
            framework.ask(|framework, _| std::mem::take(&mut framework.launches)).await?;
        if in_flight == 1_000 && tasks == FEW {
            // The first ones warm everything up.
            continue;
        }
        let micros = cpu.as_secs_f64() * 1e6 / tasks as f64;
        let what = format!("{in_flight} in flight");
        let goal = if in_flight == 10 { "none" } else { "40" };
        claim(&format!("{what}, CPU time of the master for each task"), micros, "us", goal);
        report(&format!("{what}, rate"), rate(tasks as u64, took), "tasks/s");
        for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
            let time = millis(quantile(launches.clone(), q));
            report(&format!("{what}, ACCEPT to TASK_RUNNING, {name}"), time, "ms");
        }
        home.sleep(Duration::from_millis(200)).await;
    }
    home.close();
    place.close();
    Ok(())
}

fn main() -> ExitCode {
    fake::main(|| real::run(measure()))
}
