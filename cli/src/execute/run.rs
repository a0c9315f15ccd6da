//! Runs a job on a cluster: a scheduler that relays what it hears, and the loop that acts on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coordination::Detector;
use drivers::scheduler::{Config, Scheduler, SchedulerDriver};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use libprocess::Node;
use protos::ids::{ExecutorId, FrameworkId, SlaveId};
use protos::mesos::{MasterInfo, Offer, TaskInfo, TaskStatus};

use super::job::Job;
use super::progress::{Action, Progress};
use super::tail::Tail;

/// Between two looks at the task's output.
const TAIL_INTERVAL: Duration = Duration::from_millis(100);
/// What the last messages get to leave this process.
const FAREWELL: Duration = Duration::from_millis(200);

/// The job cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The task ended otherwise than `TASK_FINISHED`, or was refused.
    #[error("{0}")]
    Failed(String),
    /// The scheduler could not be started.
    #[error("cannot start the scheduler: {0}")]
    Spawn(#[from] libprocess::SpawnError),
}

enum Event {
    Registered(FrameworkId),
    Offers(Vec<Offer>),
    Update(Box<TaskStatus>),
    Refused(String),
    Kill,
    Look,
}

/// Passes callbacks on; the receiver is gone once the job has ended.
struct Relay(UnboundedSender<Event>);

impl Scheduler for Relay {
    fn registered(&mut self, _: &SchedulerDriver, id: &FrameworkId, _: &MasterInfo) {
        let _ = self.0.unbounded_send(Event::Registered(id.clone()));
    }

    fn resource_offers(&mut self, _: &SchedulerDriver, offers: Vec<Offer>) {
        let _ = self.0.unbounded_send(Event::Offers(offers));
    }

    fn status_update(&mut self, _: &SchedulerDriver, status: &TaskStatus) {
        let _ = self.0.unbounded_send(Event::Update(Box::new(status.clone())));
    }

    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        let _ = self.0.unbounded_send(Event::Refused(message.to_owned()));
    }
}

/// Where a slave that shares this host's files keeps its work, to show the task's output.
#[derive(Debug, Clone)]
pub struct Sandboxes(pub PathBuf);

impl Sandboxes {
    fn of(&self, framework: &FrameworkId, task: &TaskInfo) -> PathBuf {
        let executor = task.executor.as_ref();
        let executor = executor.map_or(&task.task_id.value, |executor| &executor.executor_id.value);
        let slave = SlaveId::from(&task.slave_id);
        slave::paths::runs(&self.0, &slave, framework, &ExecutorId::new(executor.as_str()))
            .join("latest")
    }
}

struct Loop {
    node: Node,
    driver: SchedulerDriver,
    progress: Progress,
    job: Job,
    framework: Option<FrameworkId>,
    sandboxes: Option<Sandboxes>,
    /// The task's standard output and error.
    tails: Option<(Tail, Tail)>,
    timers: FuturesUnordered<BoxFuture<'static, Event>>,
}

/// Runs `job` to its end and prints what happens, and the task's output where `sandboxes` has it.
///
/// # Errors
/// [`ExecuteError`] unless the task ended with `TASK_FINISHED`.
pub async fn run(
    node: &Node,
    detector: Arc<dyn Detector>,
    job: Job,
    sandboxes: Option<Sandboxes>,
) -> Result<(), ExecuteError> {
    let (sender, receiver) = unbounded();
    let credential = job.credential.clone();
    let config = Config { credential, ..Config::new(job.framework.clone(), detector) };
    let driver = SchedulerDriver::start(node, config, Relay(sender))?;
    let work = Loop {
        node: node.clone(),
        driver: driver.clone(),
        progress: Progress::new(job.clone()),
        job,
        framework: None,
        sandboxes,
        tails: None,
        timers: FuturesUnordered::new(),
    };
    let result = work.until_end(receiver).await;
    driver.stop(false);
    driver.join().await;
    node.sleep(FAREWELL).await;
    result.map_err(ExecuteError::Failed)
}

impl Loop {
    async fn until_end(mut self, mut heard: UnboundedReceiver<Event>) -> Result<(), String> {
        loop {
            let event = if self.timers.is_empty() {
                heard.next().await
            } else {
                let (heard, timers) = (heard.next(), self.timers.next());
                futures::future::select(heard, timers).await.factor_first().0
            };
            let Some(event) = event else {
                return Err("the scheduler ended".to_owned());
            };
            for action in self.decide(event) {
                if let Some(end) = self.act(action) {
                    return end;
                }
            }
        }
    }

    fn decide(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Registered(id) => {
                let actions = self.progress.subscribed(&id);
                self.framework = Some(id);
                actions
            }
            Event::Offers(offers) => self.progress.offered(offers),
            Event::Update(status) => self.progress.updated(&status),
            Event::Refused(reason) => self.progress.refused(&reason),
            Event::Kill => {
                self.driver.kill_task(self.job.task_id(), None);
                Vec::new()
            }
            Event::Look => {
                self.look();
                self.timer(TAIL_INTERVAL, Event::Look);
                Vec::new()
            }
        }
    }

    fn act(&mut self, action: Action) -> Option<Result<(), String>> {
        match action {
            Action::Print(text) => libprocess::flags::say(&text),
            Action::Launch(offer, task) => {
                if let (Some(sandboxes), Some(framework)) = (&self.sandboxes, &self.framework) {
                    let sandbox = sandboxes.of(framework, &task);
                    let tails =
                        (Tail::new(sandbox.join("stdout")), Tail::new(sandbox.join("stderr")));
                    self.tails = Some(tails);
                    self.timer(TAIL_INTERVAL, Event::Look);
                }
                self.driver.launch_tasks(vec![offer], vec![*task], None);
            }
            Action::Decline(offer) => self.driver.decline_offer(offer, None),
            Action::Running => {
                if let Some(delay) = self.job.kill_after {
                    self.timer(delay, Event::Kill);
                }
            }
            Action::ShowOutput => self.look(),
            Action::End(result) => return Some(result),
        }
        None
    }

    fn timer(&self, delay: Duration, event: Event) {
        let asleep = self.node.sleep(delay);
        self.timers.push(Box::pin(async move {
            asleep.await;
            event
        }));
    }

    /// Shows what the task wrote since the last look.
    fn look(&mut self) {
        let Some((stdout, stderr)) = &mut self.tails else {
            return;
        };
        let copied = stdout
            .copy_to(&mut std::io::stdout())
            .and_then(|()| stderr.copy_to(&mut std::io::stderr()));
        if let Err(error) = copied {
            slog::warn!(self.node.log(), "cannot show the task's output"; "reason" => %error);
            self.tails = None;
        }
    }
}
