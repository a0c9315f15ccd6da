//! A failure detector over sockets. `heartbeat [pid…]` prints its PID and then whom it trusts and
//! suspects. Start one, start more with the PIDs of those before; then kill some, or stop and
//! continue them with `kill -STOP` and `kill -CONT`.

use std::process::ExitCode;
use std::time::Duration;

use examples::heartbeat::{Change, Detector, Timing};
use libprocess::{Pid, Time, real};

const TIMING: Timing =
    Timing { period: Duration::from_millis(200), timeout: Duration::from_millis(1000) };

fn print(_: Time, change: Change) {
    match change {
        Change::Suspected(pid) => println!("suspects {pid}"),
        Change::Trusted(pid) => println!("trusts {pid}"),
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let peers: Result<Vec<Pid>, _> = std::env::args().skip(1).map(|pid| pid.parse()).collect();
    let config = real::Config { ip: [127, 0, 0, 1].into(), ..real::Config::default() };
    let node = real::start(config.from_env(|name| std::env::var(name).ok())?).await?;
    let detector = node.spawn("detector", Detector::new(TIMING, peers?, Box::new(print)))?;
    println!("{}", detector.pid());
    node.wait(detector.pid()).await;
    Ok(())
}

fn main() -> ExitCode {
    match real::run(run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heartbeat: {error}");
            ExitCode::FAILURE
        }
    }
}
