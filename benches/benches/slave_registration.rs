//! Claim: a slave that registers costs the master 50 us of CPU time and 10 kB of memory.
//!
//! The master is an OS process of its own; its slaves are fake and share an address, hence a
//! connection.

use std::process::ExitCode;
use std::time::Duration;

use benches::fake::{self, Board, Habits, MasterProcess, until};
use benches::{Outcome, claim, millis, report};
use libprocess::real;

async fn run(count: usize, last: bool) -> Outcome<()> {
    let home = fake::loopback().await?;
    let master = MasterProcess::start(&home, &[]).await?;
    let board = Board::default();
    let pid = master.pid()?;
    // One slave first: what comes once is not counted.
    fake::slaves(&home, &pid, 1, "cpus:24;mem:65536;disk:1048576", Habits::LASTING, &board)?;
    until(&home, "the first slave", || board.registered() == 1).await?;
    let (start, cpu, memory) = (home.now(), master.cpu()?, master.memory()?);
    let others = fake::loopback().await?;
    fake::slaves(&others, &pid, count, "cpus:24;mem:65536;disk:1048576", Habits::LASTING, &board)?;
    until(&home, "slaves", || board.registered() == count + 1).await?;
    let took = home.now().since(start);
    // Counted with what follows at once.
    home.sleep(Duration::from_millis(500)).await;
    let micros = (master.cpu()? - cpu).as_secs_f64() * 1e6 / count as f64;
    let bytes = master.memory()?.saturating_sub(memory) as f64 / count as f64 / 1e3;
    let goals = if last { ["50", "10"] } else { ["none"; 2] };
    report(&format!("{count} slaves register"), millis(took), "ms");
    claim(&format!("{count} slaves, CPU time of the master for each"), micros, "us", goals[0]);
    claim(&format!("{count} slaves, memory of the master for each"), bytes, "kB", goals[1]);
    others.close();
    home.close();
    Ok(())
}

async fn measure() -> Outcome<()> {
    for count in [1_000, 5_000, 10_000] {
        run(count, count == 10_000).await?;
    }
    Ok(())
}

fn main() -> ExitCode {
    fake::main(|| real::run(measure()))
}
