//! Claim: `/state` of 2,000 slaves with 20 tasks each comes in 80 ms; to ten clients at once in 250 ms,
//! while the master answers others within 20 ms and grows by 64 MiB at most.
//!
//! The master is an OS process of its own; each request has a connection of its own. `tail of
//! /health` is the 99th percentile of requests that go on all the time.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use benches::fake::{self, Board, Framework, Habits, MasterProcess, Plan, get, until};
use benches::{Outcome, claim, median, millis, quantile, report};
use libprocess::real;
use tokio::task::{LocalSet, spawn_local};

const SLAVES: usize = 2_000;
const TASKS: usize = 20 * SLAVES;
const CLIENTS: usize = 10;
const ROUNDS: usize = 10;

/// Asks for `/health` again and again until told to stop; the tail of how long that took. From an OS
/// thread of its own: else the answers would wait for those who read documents.
fn asker(
    address: std::net::SocketAddrV4,
    stop: Arc<AtomicBool>,
) -> std::thread::JoinHandle<Result<Duration, String>> {
    std::thread::spawn(move || {
        real::run(async move {
            let clock = fake::loopback().await.map_err(|error| error.to_string())?;
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let asked = get(address, "/health").await.map_err(|error| error.to_string())?;
                times.push(asked.1);
                clock.sleep(Duration::from_millis(1)).await;
            }
            clock.close();
            Ok(quantile(times, 0.99))
        })
    })
}

async fn clients(address: std::net::SocketAddrV4, times: &mut Vec<Duration>) -> Outcome<()> {
    for _ in 0..ROUNDS {
        let asked: Vec<_> = (0..CLIENTS)
            .map(|_| {
                spawn_local(async move { get(address, "/state").await.map_err(|e| e.to_string()) })
            })
            .collect();
        for answer in asked {
            times.push(answer.await??.1);
        }
    }
    Ok(())
}

async fn measure() -> Outcome<()> {
    let (home, place) = (fake::loopback().await?, fake::loopback().await?);
    let master = MasterProcess::start(&home, &["--allocation_interval=100ms"]).await?;
    let address = master.address;
    let board = Board::default();
    fake::slaves(
        &home,
        &master.pid()?,
        SLAVES,
        "cpus:24;mem:65536;disk:1048576",
        Habits::LASTING,
        &board,
    )?;
    until(&home, "slaves", || board.registered() == SLAVES).await?;
    // Exactly 20 on each.
    let plan = Plan { tasks: TASKS, in_flight: TASKS, each: "cpus:1.2;mem:32".parse()? };
    place.spawn("scheduler(1)", Framework::new(master.pid()?, plan, board.clone()))?;
    until(&home, "tasks", || board.running() == TASKS).await?;
    home.sleep(Duration::from_secs(1)).await;
    let before = master.memory()?;
    let (mut alone, mut size) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (bytes, took) = get(address, "/state").await?;
        alone.push(took);
        size = bytes;
    }
    report("size of the document", size as f64 / 1e6, "MB");
    claim("one client, p50", millis(median(alone)), "ms", "80");
    let mut together = Vec::new();
    let stop = Arc::new(AtomicBool::new(false));
    let asker = asker(address, stop.clone());
    let done = clients(address, &mut together).await;
    stop.store(true, Ordering::Relaxed);
    let health = asker.join().map_err(|_| "the asker panicked")??;
    done?;
    claim("ten clients at once, p50", millis(median(together)), "ms", "250");
    claim("tail of /health meanwhile", millis(health), "ms", "20");
    let grown = master.memory()?.saturating_sub(before) as f64 / 1024.0 / 1024.0;
    claim("growth of memory", grown, "MiB", "64");
    home.close();
    place.close();
    Ok(())
}

fn main() -> ExitCode {
    fake::main(|| real::run(LocalSet::new().run_until(measure())))
}
