//! The executor of `test-framework`: reports each task as running, tells the scheduler about it,
//! and reports it as finished a moment later.

use std::process::ExitCode;
use std::time::Duration;

use drivers::executor::{Environment, Executor, ExecutorDriver, Status};
use libprocess::real;
use protos::ids::TaskId;
use protos::mesos::{ExecutorInfo, FrameworkInfo, KillPolicy, SlaveInfo, TaskInfo, TaskState};

/// How long a task takes.
const WORK: Duration = Duration::from_millis(200);

struct TestExecutor;

fn report(driver: &ExecutorDriver, task: &TaskId, state: TaskState) {
    println!("{task} is {}", state.as_str_name());
    driver.send_status_update(protos::status::of(task, state, 0.0).build());
}

impl Executor for TestExecutor {
    fn registered(
        &mut self,
        _driver: &ExecutorDriver,
        executor: &ExecutorInfo,
        framework: &FrameworkInfo,
        slave: &SlaveInfo,
    ) {
        let id = &executor.executor_id.value;
        println!("executor {id} of {} registered on {}", framework.name, slave.hostname);
    }

    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        let id = TaskId::from(&task.task_id);
        report(driver, &id, TaskState::TaskRunning);
        driver.send_framework_message(format!("working on {id}"));
        driver.after(WORK, move |driver| report(driver, &id, TaskState::TaskFinished));
    }

    fn kill_task(&mut self, driver: &ExecutorDriver, task: &TaskId, _policy: Option<&KillPolicy>) {
        report(driver, task, TaskState::TaskKilled);
    }

    fn framework_message(&mut self, driver: &ExecutorDriver, data: bytes::Bytes) {
        driver.send_framework_message(data);
    }
}

fn main() -> ExitCode {
    let place = match Environment::from_process() {
        Ok(place) => place,
        Err(error) => {
            eprintln!("test-executor: {error}");
            return ExitCode::FAILURE;
        }
    };
    real::run(async {
        let lookup = |name: &str| std::env::var(name).ok();
        let node = match real::Config::default().from_env(lookup) {
            Ok(config) => real::start(config).await,
            Err(error) => Err(error),
        };
        let node = match node {
            Ok(node) => node,
            Err(error) => {
                eprintln!("test-executor: {error}");
                return ExitCode::FAILURE;
            }
        };
        let driver = ExecutorDriver::start(&node, place, TestExecutor);
        match driver.join().await {
            Status::Stopped => ExitCode::SUCCESS,
            Status::Aborted => ExitCode::FAILURE,
        }
    })
}
