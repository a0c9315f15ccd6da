//! Claim: short tasks cost what starting processes costs, and little more.
//!
//! A master and one slave with the posix launcher, each on a node of its own, over real sockets; a
//! framework that keeps 40 command tasks `true` in flight. The peer starts `sh -c true` itself, 40 at
//! a time, without any cluster.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cli::local::cluster::{Cluster, Settings};
use coordination::{Leader, StandaloneDetector};
use drivers::scheduler::{Config, Scheduler, SchedulerDriver};
use futures::channel::oneshot;
use futures::stream::StreamExt;
use libprocess::{Time, real};
use protos::ids::{OfferId, TaskId};
use protos::mesos::{
    CommandInfo, Filters, FrameworkInfo, Offer, SlaveId, TaskInfo, TaskState, TaskStatus,
};
use protos::resources::Resources;
use protos::task_state;

const IN_FLIGHT: usize = 40;
const TASKS: usize = 400;
const ALONE: usize = 20;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What a run came to.
struct Tally {
    took: Duration,
    launches: Vec<Duration>,
}

struct Launcher {
    tasks: usize,
    in_flight: usize,
    task: Resources,
    offers: Vec<OfferId>,
    slave: Option<SlaveId>,
    free: Resources,
    launched: usize,
    ended: usize,
    began: BTreeMap<TaskId, Time>,
    start: Option<Time>,
    launches: Vec<Duration>,
    done: Option<oneshot::Sender<Result<Tally, String>>>,
}

impl Launcher {
    fn new(
        tasks: usize,
        in_flight: usize,
        done: oneshot::Sender<Result<Tally, String>>,
    ) -> Outcome<Self> {
        Ok(Self {
            tasks,
            in_flight,
            task: "cpus:0.5;mem:64".parse()?,
            offers: Vec::new(),
            slave: None,
            free: Resources::new(),
            launched: 0,
            ended: 0,
            began: BTreeMap::new(),
            start: None,
            launches: Vec::new(),
            done: Some(done),
        })
    }

    /// Launches all that may be in flight and fits; what is not used comes back as an offer.
    fn pump(&mut self, driver: &SchedulerDriver) {
        let now = driver.node().now();
        let mut tasks = Vec::new();
        while self.launched < self.tasks
            && self.launched - self.ended < self.in_flight
            && let Some(resources) = self.free.find(&self.task)
            && let Some(slave_id) = self.slave.clone()
        {
            self.free = self.free.minus(&resources);
            let id = TaskId::new(format!("task-{}", self.launched));
            tasks.push(TaskInfo {
                name: id.to_string(),
                task_id: id.wire(),
                slave_id,
                resources: resources.to_wire(),
                command: Some(CommandInfo {
                    value: Some("true".to_owned()),
                    ..CommandInfo::default()
                }),
                ..TaskInfo::default()
            });
            self.launched += 1;
            self.start.get_or_insert(now);
            self.began.insert(id, now);
        }
        if !tasks.is_empty() {
            self.free = Resources::new();
            let filters = Filters { refuse_seconds: Some(0.0) };
            driver.launch_tasks(std::mem::take(&mut self.offers), tasks, Some(filters));
        }
    }

    fn end(&mut self, result: Result<Tally, String>) {
        if let Some(done) = self.done.take() {
            let _ = done.send(result);
        }
    }
}

impl Scheduler for Launcher {
    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            match Resources::from_wire(&offer.resources) {
                Ok(resources) => self.free += &resources,
                Err(error) => return self.end(Err(error.to_string())),
            }
            self.offers.push(OfferId::from(&offer.id));
            self.slave = Some(offer.slave_id);
        }
        self.pump(driver);
    }

    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        let now = driver.node().now();
        let id = TaskId::from(&status.task_id);
        match status.state() {
            TaskState::TaskRunning => {
                if let Some(began) = self.began.remove(&id) {
                    self.launches.push(now - began);
                }
            }
            TaskState::TaskFinished => {
                self.ended += 1;
                if self.ended == self.tasks {
                    let launches = std::mem::take(&mut self.launches);
                    let took = self.start.map_or(Duration::ZERO, |start| now - start);
                    return self.end(Ok(Tally { took, launches }));
                }
                self.pump(driver);
            }
            state if task_state::is_terminal(state) => {
                self.end(Err(format!("{id} ended otherwise: {}", status.message())));
            }
            _ => {}
        }
    }

    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        self.end(Err(message.to_owned()));
    }
}

async fn cluster(tasks: usize, in_flight: usize) -> Outcome<Tally> {
    let directory = tempfile::tempdir()?;
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let mut settings = Settings::small(directory.path().to_owned(), log);
    settings.slave.resources = Some("cpus:64;mem:65536;disk:65536".to_owned());
    let cluster = Cluster::start(settings).await?;
    let config = real::Config { ip: std::net::Ipv4Addr::LOCALHOST, ..real::Config::default() };
    let node = real::start(config).await?;
    let leader = Leader::of(cluster.master().pid("master"));
    let detector = Arc::new(StandaloneDetector::new(Some(leader)));
    let framework = FrameworkInfo { name: "task rate".to_owned(), ..FrameworkInfo::default() };
    let (done, finished) = oneshot::channel();
    let config = Config::new(framework, detector);
    let driver = SchedulerDriver::start(&node, config, Launcher::new(tasks, in_flight, done)?)?;
    let tally = finished.await??;
    driver.stop(false);
    driver.join().await;
    node.sleep(Duration::from_millis(200)).await;
    cluster.stop().await;
    node.close();
    Ok(tally)
}

/// How long as many bare child processes take, as many at a time.
async fn bare_processes() -> Outcome<Duration> {
    let start = tokio::time::Instant::now();
    let children = futures::stream::iter(0..TASKS)
        .map(|_| tokio::process::Command::new("sh").args(["-c", "true"]).status())
        .buffer_unordered(IN_FLIGHT);
    let statuses: Vec<_> = children.collect().await;
    for status in statuses {
        if !status?.success() {
            return Err("a child process failed".into());
        }
    }
    Ok(start.elapsed())
}

fn measure() -> Outcome<()> {
    println!("task rate: {TASKS} command tasks `true`, {IN_FLIGHT} in flight, one slave");
    real::run(async {
        let alone = cluster(ALONE, 1).await?;
        let tally = cluster(TASKS, IN_FLIGHT).await?;
        let (ours, bare) = (
            benches::rate(TASKS as u64, tally.took),
            benches::rate(TASKS as u64, bare_processes().await?),
        );
        benches::report("cluster", ours, "tasks/s");
        for (what, launches) in [("one", alone.launches), ("40", tally.launches)] {
            let p50 = benches::millis(benches::median(launches));
            benches::report(&format!("launch to TASK_RUNNING, {what} in flight, p50"), p50, "ms");
        }
        benches::report("bare child processes", bare, "processes/s");
        benches::ratio("cluster", ours, "bare child processes", bare);
        Ok(())
    })
}

/// This program is its slave's executor, too.
fn main() -> ExitCode {
    cli::helper_or(|_| match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("task_rate: {error}");
            ExitCode::FAILURE
        }
    })
}
