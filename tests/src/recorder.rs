//! A framework that runs what it is told and keeps book of every update, repetitions included.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use coordination::{Leader, StandaloneDetector};
use drivers::scheduler::{Config, Scheduler, SchedulerDriver};
use libprocess::real;
use protos::ids::TaskId;
use protos::mesos::{
    CommandInfo, DurationInfo, Filters, FrameworkInfo, KillPolicy, Offer, TaskInfo, TaskStatus,
};
use protos::resources::Resources;

use crate::cluster::wait_for;

/// One telling of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The state's name.
    pub state: &'static str,
    /// The reason's, or `-`.
    pub reason: &'static str,
    /// What it is known by; empty when a master made it.
    pub uuid: Vec<u8>,
    /// What is said of it.
    pub message: String,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<VecDeque<TaskInfo>>,
    told: Mutex<BTreeMap<String, Vec<Told>>>,
    /// Updates whose acknowledgements are held back, while they are.
    withheld: Mutex<Option<Vec<TaskStatus>>>,
    subscribed: AtomicBool,
}

/// The framework; it goes with this, and its tasks with it.
pub struct Recorder {
    shared: Arc<Shared>,
    driver: SchedulerDriver,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.driver.stop(false);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Recorder {
    /// Subscribes a framework that checkpoints.
    pub fn start(master: SocketAddr) -> Self {
        let (sender, receiver) = channel();
        let shared = Arc::new(Shared::default());
        let scheduler = Recording(shared.clone());
        let thread = std::thread::spawn(move || {
            real::run(async {
                let config = real::Config { ip: Ipv4Addr::LOCALHOST, ..real::Config::default() };
                let node = real::start(config).await.unwrap();
                let framework = FrameworkInfo {
                    name: "recorder".to_owned(),
                    checkpoint: Some(true),
                    ..FrameworkInfo::default()
                };
                let master = Leader::of(format!("master@{master}").parse().unwrap());
                let detector = Arc::new(StandaloneDetector::new(Some(master)));
                let config =
                    Config { implicit_acknowledgements: false, ..Config::new(framework, detector) };
                let driver = SchedulerDriver::start(&node, config, scheduler).unwrap();
                sender.send(driver.clone()).unwrap();
                driver.join().await;
            });
        });
        let driver = receiver.recv().unwrap();
        wait_for("the framework to be subscribed", || {
            shared.subscribed.load(Ordering::SeqCst).then_some(())
        });
        Self { shared, driver, thread: Some(thread) }
    }

    /// Has a task run on one of the next offers.
    pub fn run(&self, task: TaskInfo) {
        self.shared.waiting.lock().unwrap().push_back(task);
        self.driver.revive(Vec::new());
    }

    /// Kills a task, which has so long to end by itself.
    pub fn kill(&self, task: &str, grace: Duration) {
        let nanoseconds = i64::try_from(grace.as_nanos()).unwrap();
        let policy = KillPolicy { grace_period: Some(DurationInfo { nanoseconds }) };
        self.driver.kill_task(TaskId::new(task), Some(policy));
    }

    /// Acknowledges nothing from now on, or all that was not, and what comes.
    pub fn withhold(&self, withhold: bool) {
        let mut withheld = self.shared.withheld.lock().unwrap();
        let due = std::mem::replace(&mut *withheld, withhold.then(Vec::new));
        due.iter().flatten().for_each(|status| self.driver.acknowledge(status));
    }

    /// All that was told of a task so far.
    pub fn told(&self, task: &str) -> Vec<Told> {
        self.shared.told.lock().unwrap().get(task).cloned().unwrap_or_default()
    }

    /// How much was told of all tasks.
    pub fn tellings(&self) -> usize {
        self.shared.told.lock().unwrap().values().map(Vec::len).sum()
    }

    /// The states that were told of a task, in the order of their first telling. A master may tell the
    /// last one once more, under no name.
    ///
    /// # Panics
    /// When a state was told under two names, or again after a later one.
    pub fn states(&self, task: &str) -> Vec<&'static str> {
        let told = self.told(task);
        let mut steps: Vec<&Told> = Vec::new();
        for one in &told {
            let again = steps.last().is_some_and(|last| {
                last.state == one.state && (last.uuid == one.uuid || one.uuid.is_empty())
            });
            if !again {
                let is_odd = steps.iter().any(|it| it.state == one.state || it.uuid == one.uuid);
                assert!(!is_odd, "{task}: {told:?}");
                steps.push(one);
            }
        }
        steps.iter().map(|step| step.state).collect()
    }

    /// Waits until a task was told to be in that state.
    pub fn wait_for(&self, task: &str, state: &str) {
        wait_for(&format!("{task} in {state}"), || {
            self.told(task).iter().any(|told| told.state == state).then_some(())
        });
    }

    /// Waits for a task's end; its state and the reason for it.
    pub fn end(&self, task: &str) -> (&'static str, &'static str) {
        let live = ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"];
        wait_for(&format!("{task} to end"), || {
            let told = self.told(task);
            let end = told.iter().find(|told| !live.contains(&told.state))?;
            Some((end.state, end.reason))
        })
    }
}

/// A command task that takes little.
pub fn command(id: &str, command: &str) -> TaskInfo {
    TaskInfo {
        name: id.to_owned(),
        task_id: TaskId::new(id).wire(),
        resources: "cpus:0.1;mem:16".parse::<Resources>().unwrap().to_wire(),
        command: Some(CommandInfo { value: Some(command.to_owned()), ..CommandInfo::default() }),
        ..TaskInfo::default()
    }
}

struct Recording(Arc<Shared>);

impl Scheduler for Recording {
    fn registered(
        &mut self,
        _: &SchedulerDriver,
        _: &protos::ids::FrameworkId,
        _: &protos::mesos::MasterInfo,
    ) {
        self.0.subscribed.store(true, Ordering::SeqCst);
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        let filters = Some(Filters { refuse_seconds: Some(0.05) });
        for offer in offers {
            // One for each offer: slaves take turns.
            let task = self.0.waiting.lock().unwrap().pop_front();
            let (id, slave_id) = (offer.id.into(), offer.slave_id);
            match task {
                None => driver.decline_offer(id, filters),
                Some(task) => {
                    driver.launch_tasks(vec![id], vec![TaskInfo { slave_id, ..task }], filters);
                }
            }
        }
    }

    fn status_update(&mut self, driver: &SchedulerDriver, status: &TaskStatus) {
        let told = Told {
            state: status.state().as_str_name(),
            reason: status.reason.map_or("-", |_| status.reason().as_str_name()),
            uuid: status.uuid.clone().unwrap_or_default().to_vec(),
            message: status.message.clone().unwrap_or_default(),
        };
        let task = status.task_id.value.clone();
        self.0.told.lock().unwrap().entry(task).or_default().push(told);
        match &mut *self.0.withheld.lock().unwrap() {
            Some(withheld) => withheld.push(status.clone()),
            None => driver.acknowledge(status),
        }
    }
}
