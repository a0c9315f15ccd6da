//! Claim: status updates are on disk before they are sent, and still pass in thousands: those that come
//! while the disk is busy are made durable together. The peer writes and syncs one file after the other.
//!
//! Goal: 5,000 a second.

mod slave_common;

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use libprocess::{Ctx, Pid, Process, Routes, real};
use protos::ids::{ExecutorId, FrameworkId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::{
    ExecutorRegisteredMessage, RegisterExecutorMessage, RunTaskMessage,
    StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::status;
use slave_common::{Event, FRAMEWORK, Outcome, Stage, custom};

const EXECUTORS: usize = 64;
/// Updates of one task that are under way.
const WINDOW: usize = 8;
const LOOK: Duration = Duration::from_secs(10);

/// Says of its one task again and again that it runs.
struct Talker {
    slave: Pid,
    executor: ExecutorId,
    task: Option<TaskId>,
}

impl Process for Talker {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::registered).on(Self::run).on(Self::acknowledged);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let message = RegisterExecutorMessage {
            framework_id: FrameworkId::new(FRAMEWORK).wire(),
            executor_id: self.executor.wire(),
        };
        cx.send(&self.slave, &message);
    }
}

impl Talker {
    fn registered(&mut self, _: ExecutorRegisteredMessage, _: &mut Ctx<Self>) {}

    fn run(&mut self, m: RunTaskMessage, cx: &mut Ctx<Self>) {
        self.task = Some(TaskId::from(&m.task.task_id));
        for _ in 0..WINDOW {
            self.say(cx);
        }
    }

    fn acknowledged(&mut self, _: StatusUpdateAcknowledgementMessage, cx: &mut Ctx<Self>) {
        self.say(cx);
    }

    fn say(&mut self, cx: &mut Ctx<Self>) {
        let Some(task) = &self.task else { return };
        let status = status::of(task, TaskState::TaskRunning, cx.now().as_secs_f64());
        let uuid = cx.uuid().into_bytes();
        let mut update = status.uuid(uuid).update(&FrameworkId::new(FRAMEWORK));
        update.slave_id = Some(protos::ids::SlaveId::new("S0").wire());
        update.executor_id = Some(self.executor.wire());
        cx.send(&self.slave, &StatusUpdateMessage { update, pid: Some(cx.pid().to_string()) });
    }
}

/// Appends, each synced before the next.
fn one_by_one() -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let start = tokio::time::Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < Duration::from_secs(3) {
        let path = directory.path().join((count % EXECUTORS as u64).to_string());
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&[b'x'; 200])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(benches::rate(count, start.elapsed()))
}

fn measure() -> Outcome<()> {
    println!("updates: {EXECUTORS} tasks, {WINDOW} updates of each under way, one slave");
    real::run(async {
        let mut stage = Stage::start(&["--launcher=posix"]).await?;
        let slave = Pid::new(
            "slave(1)",
            std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, stage.port),
        );
        for number in 0..EXECUTORS {
            stage.launch(custom(&format!("t{number}"), &format!("e{number}"), "sleep 10000")?);
        }
        // Their containers are there when these have been asked for.
        stage.node.sleep(Duration::from_secs(5)).await;
        for number in 0..EXECUTORS {
            let executor = ExecutorId::new(format!("e{number}"));
            let talker = Talker { slave: slave.clone(), executor, task: None };
            stage.node.spawn_numbered("talker", talker);
        }
        stage.node.sleep(Duration::from_secs(2)).await;
        let begin = loop {
            if let Event::Update(_, _, at) = stage.next().await? {
                break at;
            }
        };
        let mut count = 0;
        let took = loop {
            let Event::Update(_, _, at) = stage.next().await? else { continue };
            count += 1;
            if at - begin > LOOK {
                break at - begin;
            }
        };
        let ours = benches::rate(count, took);
        benches::report("updates", ours, "per second");
        let peer = one_by_one()?;
        benches::report("appends, each synced before the next", peer, "per second");
        benches::ratio("updates", ours, "appends", peer);
        Ok(())
    })
}

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slave_updates: {error}");
            ExitCode::FAILURE
        }
    }
}
