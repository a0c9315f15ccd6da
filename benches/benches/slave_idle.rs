//! Claim: 500 containers that run cost their slave next to nothing.
//!
//! Goals: CPU 3 % of a core, resident memory 80 MiB, `/monitor/statistics` in 100 ms.

mod slave_common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use libprocess::real;
use protos::mesos::TaskState;
use slave_common::{Outcome, Stage, task, usage};

const CONTAINERS: usize = 500;
const LOOK: Duration = Duration::from_secs(30);

fn statistics(port: u16) -> Outcome<(Duration, usize)> {
    let start = tokio::time::Instant::now();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream
        .write_all(b"GET /monitor/statistics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok((start.elapsed(), answer.matches("\"executor_id\"").count()))
}

fn measure() -> Outcome<()> {
    println!("idle: {CONTAINERS} containers that sleep, one slave, posix launcher");
    real::run(async {
        let mut stage = Stage::start(&["--launcher=posix"]).await?;
        let tasks =
            (0..CONTAINERS).map(|it| task(&format!("t{it}"), "cpus:0.01;mem:1", "sleep 10000"));
        let tasks = tasks.collect::<Outcome<Vec<_>>>()?;
        stage.launch_all(tasks, 16, TaskState::TaskRunning).await?;
        stage.node.sleep(Duration::from_secs(5)).await;
        let (before, _) = usage(stage.slave())?;
        stage.node.sleep(LOOK).await;
        let (after, resident) = usage(stage.slave())?;
        let share = (after - before).as_secs_f64() / LOOK.as_secs_f64();
        benches::report("CPU", share * 100.0, "% of a core");
        benches::report("resident memory", resident as f64 / 1_048_576.0, "MiB");
        let mut took = Vec::new();
        for _ in 0..9 {
            let (time, found) = statistics(stage.port)?;
            if found != CONTAINERS {
                return Err(format!("statistics tell of {found} containers").into());
            }
            took.push(time);
            // It is measured twice a second at most.
            stage.node.sleep(Duration::from_secs(1)).await;
        }
        benches::report("/monitor/statistics, p50", benches::millis(benches::median(took)), "ms");
        Ok(())
    })
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slave_idle: {error}");
            ExitCode::FAILURE
        }
    }
}
