//! Stands in for the command executor's program: speaks the executor protocol and lets virtual time
//! pass instead of running commands.

use std::time::Duration;

use drivers::executor::{Environment, Executor, ExecutorDriver};
use libprocess::sim::SpawnedProgram;
use libprocess::subprocess::ExitStatus;
use libprocess::{Ctx, Handle, Process, Routes};
use protos::ids::TaskId;
use protos::mesos::{KillPolicy, TaskId as WireTaskId, TaskInfo, TaskState, TaskStatus};

/// How long the program lingers after its task's end, so that the last update gets out.
const LINGER: Duration = Duration::from_secs(1);

/// Starts the stand-in. The task's command is `sleep SECONDS`, with a fraction if need be; any
/// other fails at once. Without an executor's environment the program exits with 1.
pub fn command_executor(program: SpawnedProgram) {
    let Ok(place) = Environment::read(|name| program.env(name).map(str::to_owned)) else {
        program.exit(ExitStatus::exited(1));
        return;
    };
    let node = program.node().clone();
    // A node of its own has no other worker.
    let Ok(worker) = node.spawn("worker", Worker { program, driver: None, running: None }) else {
        return;
    };
    let driver = ExecutorDriver::start(&node, place, Bridge { worker: worker.clone() });
    worker.tell(|worker, _| worker.driver = Some(driver));
}

/// Hands the driver's calls to the worker, whose timers run the task.
struct Bridge {
    worker: Handle<Worker>,
}

impl Executor for Bridge {
    fn launch_task(&mut self, _: &ExecutorDriver, task: TaskInfo) {
        self.worker.tell(|worker, cx| worker.launch(task, cx));
    }

    fn kill_task(&mut self, _: &ExecutorDriver, task: &TaskId, _: Option<&KillPolicy>) {
        let id = task.wire();
        self.worker.tell(move |worker, cx| worker.end(id, TaskState::TaskKilled, cx));
    }

    fn shutdown(&mut self, _: &ExecutorDriver) {
        self.worker.tell(|worker, cx| match worker.running.clone() {
            Some(id) => worker.end(id, TaskState::TaskKilled, cx),
            None => worker.program.exit(ExitStatus::exited(0)),
        });
    }
}

struct Worker {
    program: SpawnedProgram,
    driver: Option<ExecutorDriver>,
    running: Option<WireTaskId>,
}

impl Process for Worker {
    fn routes(_: &mut Routes<Self>) {}
}

impl Worker {
    fn report(&self, id: &WireTaskId, state: TaskState) {
        let mut status = TaskStatus { task_id: id.clone(), ..Default::default() };
        status.set_state(state);
        if let Some(driver) = &self.driver {
            driver.send_status_update(status);
        }
    }

    fn launch(&mut self, task: TaskInfo, cx: &mut Ctx<Self>) {
        let id = task.task_id.clone();
        self.running = Some(id.clone());
        let Some(time) = task.command.as_ref().and_then(|command| sleep_of(command.value())) else {
            self.end(id, TaskState::TaskFailed, cx);
            return;
        };
        self.report(&id, TaskState::TaskRunning);
        cx.after(time, move |worker, cx| worker.end(id, TaskState::TaskFinished, cx));
    }

    /// Ends the task that runs, once, and soon after the program.
    fn end(&mut self, id: WireTaskId, state: TaskState, cx: &mut Ctx<Self>) {
        if self.running.take_if(|running| *running == id).is_none() {
            return;
        }
        self.report(&id, state);
        cx.after(LINGER, |worker, _| worker.program.exit(ExitStatus::exited(0)));
    }
}

fn sleep_of(command: &str) -> Option<Duration> {
    let seconds = command.strip_prefix("sleep ")?.parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
