//! Claim: status updates are on disk before they are sent, and still pass in thousands: those that come
//! while the disk is busy are made durable together. The peer writes and syncs one file after the other.
//!
//! One update of each task is under way: an executor says the next one when the master has got the last.
//!
//! Goal: 5,000 a second.

mod slave_common;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;
use std::time::Duration;

use libprocess::{Ctx, Handle, Pid, Process, Routes, real};
use protos::ids::{ExecutorId, FrameworkId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::{
    ExecutorRegisteredMessage, RegisterExecutorMessage, RunTaskMessage,
    StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::status;
use slave_common::{Event, FRAMEWORK, Outcome, Stage, custom};

const EXECUTORS: usize = 64;
/// Tasks of one executor.
const TASKS: usize = 8;
const WARM_UP: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_secs(10);

/// Says of its tasks again and again that they run.
struct Talker {
    slave: Pid,
    executor: ExecutorId,
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
        self.say(&TaskId::from(&m.task.task_id), cx);
    }

    fn acknowledged(&mut self, _: StatusUpdateAcknowledgementMessage, _: &mut Ctx<Self>) {}

    fn say(&self, task: &TaskId, cx: &mut Ctx<Self>) {
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

/// Containers of executors that only sleep, and the processes here that speak for them.
async fn talkers(stage: &mut Stage) -> Outcome<BTreeMap<TaskId, Handle<Talker>>> {
    let slave = Pid::new("slave(1)", SocketAddrV4::new(Ipv4Addr::LOCALHOST, stage.port));
    let task = |number: usize| format!("t{number}");
    for number in 0..EXECUTORS * TASKS {
        let executor = format!("e{}", number % EXECUTORS);
        stage.launch(custom(&task(number), &executor, "sleep 10000")?);
    }
    // Their containers are there when these have been asked for.
    stage.node.sleep(Duration::from_secs(5)).await;
    let mut all = BTreeMap::new();
    for number in 0..EXECUTORS {
        let executor = ExecutorId::new(format!("e{number}"));
        let talker = stage.node.spawn_numbered("talker", Talker { slave: slave.clone(), executor });
        let tasks = (0..TASKS).map(|own| TaskId::new(task(own * EXECUTORS + number)));
        all.extend(tasks.map(|task| (task, talker.clone())));
    }
    Ok(all)
}

fn measure() -> Outcome<()> {
    println!("updates: {EXECUTORS} executors of {TASKS} tasks, one update of each task under way");
    real::run(async {
        let mut stage = Stage::start(&["--launcher=posix"]).await?;
        let talkers = talkers(&mut stage).await?;
        let next = |task: TaskId| {
            let talker = &talkers[&task];
            talker.tell(move |talker, cx| talker.say(&task, cx));
        };
        let (mut begin, mut count) = (None, 0);
        let took = loop {
            let Event::Update(task, _, at) = stage.next().await? else { continue };
            next(task);
            let begin = *begin.get_or_insert(at + WARM_UP);
            if at > begin + LOOK {
                break at - begin;
            }
            count += u64::from(at > begin);
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
