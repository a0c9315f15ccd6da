//! A framework that runs a number of tasks in executors of its own and waits for their end.
//!
//! `test-framework <master> <path of test-executor> [tasks]`: the master is host:port or
//! zk://host:port,…/path.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use coordination::url::MasterUrl;
use drivers::scheduler::{Config, Scheduler, SchedulerDriver, Status};
use libprocess::real;
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::{
    CommandInfo, ExecutorInfo, FrameworkInfo, MasterInfo, Offer, TaskInfo, TaskState, TaskStatus,
};
use protos::resources::Resources;
use protos::task_state;

/// Of the session with ZooKeeper, where masters are found there.
const SESSION: Duration = Duration::from_secs(10);

struct TestScheduler {
    executor: ExecutorInfo,
    task_resources: Resources,
    executor_resources: Resources,
    total: usize,
    launched: usize,
    finished: BTreeSet<TaskId>,
}

impl TestScheduler {
    fn new(executor_path: &str, total: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let executor_resources: Resources = "cpus:0.1;mem:32".parse()?;
        Ok(Self {
            executor: ExecutorInfo {
                executor_id: ExecutorId::new("default").wire(),
                name: Some("Test Executor".to_owned()),
                command: Some(CommandInfo {
                    value: Some(executor_path.to_owned()),
                    ..CommandInfo::default()
                }),
                resources: executor_resources.to_wire(),
                ..ExecutorInfo::default()
            },
            task_resources: "cpus:0.5;mem:32".parse()?,
            executor_resources,
            total,
            launched: 0,
            finished: BTreeSet::new(),
        })
    }

    /// As many tasks as are wanted and fit into the offer beside the executor.
    fn tasks(&mut self, offer: &Offer) -> Vec<TaskInfo> {
        let Ok(offered) = Resources::from_wire(&offer.resources) else {
            return Vec::new();
        };
        let mut left = match offered.find(&self.executor_resources) {
            Some(executor) => offered.minus(&executor),
            None => return Vec::new(),
        };
        let mut tasks = Vec::new();
        while self.launched < self.total
            && let Some(resources) = left.find(&self.task_resources)
        {
            left = left.minus(&resources);
            let id = TaskId::new(self.launched.to_string());
            self.launched += 1;
            tasks.push(TaskInfo {
                name: format!("Task {id}"),
                task_id: id.wire(),
                slave_id: offer.slave_id.clone(),
                resources: resources.to_wire(),
                executor: Some(Box::new(self.executor.clone())),
                ..TaskInfo::default()
            });
        }
        tasks
    }
}

impl Scheduler for TestScheduler {
    fn registered(&mut self, _driver: &SchedulerDriver, id: &FrameworkId, _master: &MasterInfo) {
        println!("Registered with ID {id}");
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        for offer in offers {
            let tasks = self.tasks(&offer);
            println!("Offer {} of {}: {} tasks", offer.id.value, offer.hostname, tasks.len());
            let offer = OfferId::from(&offer.id);
            if tasks.is_empty() {
                driver.decline_offer(offer, None);
            } else {
                driver.launch_tasks(vec![offer], tasks, None);
            }
        }
    }

    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        let id = TaskId::from(&status.task_id);
        println!("Task {id} is {}", task_state::name(status.state));
        if status.state() == TaskState::TaskFinished {
            self.finished.insert(id);
            if self.finished.len() == self.total {
                driver.stop(false);
            }
        } else if task_state::is_terminal(status.state()) {
            eprintln!("task {id} failed: {}", status.message());
            driver.abort();
        }
    }

    fn framework_message(
        &mut self,
        _driver: &SchedulerDriver,
        executor: &ExecutorId,
        _slave: &SlaveId,
        data: bytes::Bytes,
    ) {
        println!("{executor} says: {}", String::from_utf8_lossy(&data));
    }

    fn error(&mut self, _driver: &SchedulerDriver, message: &str) {
        eprintln!("test-framework: {message}");
    }
}

async fn run(
    master: &str,
    executor: &str,
    tasks: usize,
) -> Result<Status, Box<dyn std::error::Error>> {
    let master: MasterUrl = coordination::url::given(master)?.parse()?;
    let config = real::Config::default().from_env(|name| std::env::var(name).ok())?;
    let node = real::start(config).await?;
    let framework = FrameworkInfo { name: "Test Framework".to_owned(), ..FrameworkInfo::default() };
    let detector = coordination::detector(&node, &master, SESSION);
    let scheduler = TestScheduler::new(executor, tasks)?;
    let driver = SchedulerDriver::start(&node, Config::new(framework, detector), scheduler)?;
    let status = driver.join().await;
    // What was sent last must leave before the program ends.
    node.sleep(Duration::from_millis(200)).await;
    Ok(status)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (master, executor, tasks) = match &arguments[..] {
        [master, executor] => (master, executor, Ok(5)),
        [master, executor, tasks] => (master, executor, tasks.parse()),
        _ => {
            eprintln!("usage: test-framework <master> <path of test-executor> [tasks]");
            return ExitCode::FAILURE;
        }
    };
    let Ok(tasks) = tasks else {
        eprintln!("test-framework: the number of tasks is no number");
        return ExitCode::FAILURE;
    };
    match real::run(run(master, executor, tasks)) {
        Ok(Status::Stopped) => ExitCode::SUCCESS,
        Ok(Status::Aborted) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("test-framework: {error}");
            ExitCode::FAILURE
        }
    }
}
