//! A framework that wants a number of tasks finished, and notes what it is told about them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drivers::scheduler::{Scheduler, SchedulerDriver};
use libprocess::Time;
use protos::ids::{FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::offer::{Operation, operation};
use protos::mesos::resource::{ReservationInfo, reservation_info};
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{CommandInfo, Filters, MasterInfo, Offer, TaskInfo, TaskState, TaskStatus};
use protos::resources::Resources;

/// Most tasks launched on one offer, so that they spread.
const TASKS_FOR_EACH_OFFER: usize = 2;

/// What one task needs.
const TASK_RESOURCES: &str = "cpus:0.5;mem:64";

/// What is reserved at a time.
const RESERVED: &str = "cpus:0.1;mem:16";

/// Offers of which one is used to reserve something.
const RESERVE_EACH: usize = 5;

/// Reservations made at most.
const MAX_RESERVATIONS: usize = 6;

/// What the framework knows of one task.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where it was launched.
    pub slave: SlaveId,
    /// When it was launched.
    pub launched: Time,
    /// The states told, in order; repeated ones left out.
    pub states: Vec<TaskState>,
    /// The framework asked for its end.
    pub killed: bool,
    /// It was told lost because its slave was removed.
    pub removed: bool,
}

impl Job {
    /// The latest state told.
    pub fn state(&self) -> Option<TaskState> {
        self.states.last().copied()
    }

    /// True once a terminal state, lost included, was told.
    pub fn is_over(&self) -> bool {
        self.state().is_some_and(protos::task_state::is_terminal)
    }
}

/// The framework's book, which the test reads.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Tasks to finish.
    pub wanted: usize,
    /// Every task launched so far.
    pub jobs: BTreeMap<TaskId, Job>,
    /// Keep offers that no task needs, instead of declining them.
    pub hoard: bool,
    /// Offers kept.
    pub held: BTreeMap<OfferId, Offer>,
    /// The id, once registered.
    pub id: Option<FrameworkId>,
    /// What must never be told but was.
    pub problems: Vec<String>,
    /// The role that resources are reserved for now and then.
    pub reserves: Option<String>,
    /// A master that saw the connection break told the framework to end: somebody must start it anew.
    pub ousted: bool,
    /// The master keeps the promise that no slave returns that was removed.
    pub strict: bool,
    last: usize,
    offers: usize,
    reservations: usize,
}

impl Ledger {
    /// Number of tasks in a state.
    pub fn count(&self, state: TaskState) -> usize {
        self.jobs.values().filter(|job| job.state() == Some(state)).count()
    }

    /// Tasks that are neither finished nor on their way. One that cannot be reached may never be.
    fn missing(&self) -> usize {
        let good = |job: &&Job| match job.state() {
            Some(TaskState::TaskUnreachable | TaskState::TaskUnknown) => false,
            state => !job.is_over() || state == Some(TaskState::TaskFinished),
        };
        self.wanted.saturating_sub(self.jobs.values().filter(good).count())
    }

    /// True when all that was wanted is finished.
    pub fn is_done(&self) -> bool {
        self.count(TaskState::TaskFinished) >= self.wanted
    }

    /// Tasks launched before `time` whose end is not known.
    pub fn overdue(&self, time: Time) -> Vec<(TaskId, SlaveId)> {
        let late = self.jobs.iter().filter(|(_, job)| job.launched < time && !job.is_over());
        late.map(|(id, job)| (id.clone(), job.slave.clone())).collect()
    }

    /// How many tasks are in which state, and which are on their way.
    pub fn summary(&self) -> String {
        let mut states: BTreeMap<Option<TaskState>, usize> = BTreeMap::new();
        for job in self.jobs.values() {
            *states.entry(job.state()).or_default() += 1;
        }
        let open: Vec<_> = self.jobs.iter().filter(|(_, job)| !job.is_over()).collect();
        format!("wanted {}, told {states:?}, open {open:?}", self.wanted)
    }

    fn launch(&mut self, offer: &Offer, taken: &Resources, now: Time) -> Vec<TaskInfo> {
        let slave = SlaveId::from(&offer.slave_id);
        let offered = Resources::from_wire(&offer.resources).unwrap_or_default();
        let mut left = offered.unallocated().minus(taken);
        let one: Resources = TASK_RESOURCES.parse().unwrap_or_default();
        let mut tasks = Vec::new();
        while tasks.len() < TASKS_FOR_EACH_OFFER && self.missing() > 0 {
            let Some(resources) = left.find(&one) else {
                break;
            };
            left = left.minus(&resources);
            self.last += 1;
            let id = TaskId::new(format!("task-{:04}", self.last));
            let (states, killed, removed) = (Vec::new(), false, false);
            let job = Job { slave: slave.clone(), launched: now, states, killed, removed };
            self.jobs.insert(id.clone(), job);
            let seconds = 1 + self.last % 7;
            let command =
                CommandInfo { value: Some(format!("sleep {seconds}")), ..Default::default() };
            tasks.push(TaskInfo {
                name: id.to_string(),
                task_id: id.wire(),
                slave_id: offer.slave_id.clone(),
                resources: resources.to_wire(),
                command: Some(command),
                ..Default::default()
            });
        }
        tasks
    }

    /// Now and then some of an offer is to be reserved: what, not reserved yet, and the operation.
    fn reserve(&mut self, offer: &Offer) -> Option<(Resources, Operation)> {
        let role = self.reserves.clone()?;
        self.offers += 1;
        if !self.offers.is_multiple_of(RESERVE_EACH) || self.reservations == MAX_RESERVATIONS {
            return None;
        }
        let offered = Resources::from_wire(&offer.resources).unwrap_or_default();
        let part = RESERVED.parse::<Resources>().unwrap_or_default();
        let part = offered.unallocated().unreserved().find(&part)?;
        self.reservations += 1;
        let kind = reservation_info::Type::Dynamic.into();
        let info =
            ReservationInfo { r#type: Some(kind), role: Some(role), ..ReservationInfo::default() };
        let resources = part.push_reservation(&info).to_wire();
        let operation = Operation {
            r#type: Some(operation::Type::Reserve.into()),
            reserve: Some(operation::Reserve { resources, source: Vec::new() }),
            ..Operation::default()
        };
        Some((part, operation))
    }

    /// A task to kill, if any is on its way; which is drawn by the caller.
    pub fn pick(&mut self, draw: usize) -> Option<TaskId> {
        let open: Vec<&TaskId> =
            self.jobs.iter().filter(|(_, job)| !job.is_over()).map(|(id, _)| id).collect();
        let id = (*open.get(draw % open.len().max(1))?).clone();
        self.jobs.get_mut(&id)?.killed = true;
        Some(id)
    }

    fn told(&mut self, status: &TaskStatus) {
        let (id, state) = (TaskId::from(&status.task_id), status.state());
        let Some(job) = self.jobs.get_mut(&id) else {
            self.problems.push(format!("{id} was never launched but is told {state:?}"));
            return;
        };
        let before = job.state();
        let (strict, source) = (self.strict, status.source());
        if strict && job.removed && state != TaskState::TaskLost {
            let text = format!("{id} was lost with its slave and is {state:?} by {source:?}");
            self.problems.push(text);
            return;
        }
        job.removed |= state == TaskState::TaskLost
            && source == Source::Master
            && status.reason() == Reason::SlaveRemoved;
        if before == Some(state) {
            return;
        }
        // A slave that is asked to kill what has ended, and is forgotten, calls it lost.
        let late_kill = job.killed && state == TaskState::TaskLost;
        // What the master says of a slave it does not hear is taken back when the slave returns.
        let is_final = before.is_some_and(|before| {
            protos::task_state::is_terminal(before) && before != TaskState::TaskLost
        });
        if is_final && source != Source::Master && !late_kill {
            self.problems.push(format!("{id} went from {before:?} to {state:?}"));
        } else if !is_final {
            job.states.push(state);
        }
    }
}

/// A book with several readers.
#[derive(Debug, Clone, Default)]
pub struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    /// A book of a framework that wants `wanted` tasks finished.
    pub fn wanting(wanted: usize) -> Self {
        Self(Arc::new(Mutex::new(Ledger { wanted, ..Ledger::default() })))
    }

    /// Opens it. A panic of the other reader fails the test anyway, so poison is ignored.
    pub fn open(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills tasks that take longer than `patience`, and asks the master what it knows: of these,
    /// and of any, for some may run that the framework believes lost.
    pub fn chase(&self, driver: &SchedulerDriver, now: Time, patience: Duration) {
        let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        let overdue =
            self.open().overdue(Time::from_nanos(now.as_nanos().saturating_sub(patience)));
        for (task, _) in &overdue {
            if let Some(job) = self.open().jobs.get_mut(task) {
                job.killed = true;
            }
            driver.kill_task(task.clone(), None);
        }
        if !overdue.is_empty() {
            driver.reconcile(overdue.into_iter().map(|(task, at)| (task, Some(at))).collect());
        }
        driver.reconcile(Vec::new());
    }
}

/// The framework's scheduler.
pub struct Jobs {
    ledger: SharedLedger,
}

impl Jobs {
    /// A scheduler over a book.
    pub fn new(ledger: SharedLedger) -> Self {
        Self { ledger }
    }
}

impl Scheduler for Jobs {
    fn registered(&mut self, _: &SchedulerDriver, id: &FrameworkId, _: &MasterInfo) {
        let mut ledger = self.ledger.open();
        if ledger.id.as_ref().is_some_and(|known| known != id) {
            ledger.problems.push(format!("the framework's id changed to {id}"));
        }
        ledger.id = Some(id.clone());
    }

    fn disconnected(&mut self, _: &SchedulerDriver) {
        self.ledger.open().held.clear();
    }

    fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
        let now = driver.node().now();
        for offer in offers {
            let mut ledger = self.ledger.open();
            let id = OfferId::from(&offer.id);
            let reserved = if ledger.hoard { None } else { ledger.reserve(&offer) };
            let (taken, reserve) = reserved.unzip();
            let tasks = ledger.launch(&offer, &taken.unwrap_or_default(), now);
            if tasks.is_empty() && ledger.hoard {
                ledger.held.insert(id, offer);
            } else if tasks.is_empty() && reserve.is_none() {
                driver.decline_offer(id, None);
            } else {
                let soon = Filters { refuse_seconds: Some(0.0) };
                let launch = Operation {
                    r#type: Some(operation::Type::Launch.into()),
                    launch: Some(operation::Launch { task_infos: tasks }),
                    ..Operation::default()
                };
                let operations = reserve.into_iter().chain([launch]).collect();
                driver.accept_offers(vec![id], operations, Some(soon));
            }
        }
    }

    fn offer_rescinded(&mut self, _: &SchedulerDriver, offer: &OfferId) {
        self.ledger.open().held.remove(offer);
    }

    fn status_update(&mut self, _: &SchedulerDriver, status: &TaskStatus) {
        self.ledger.open().told(status);
    }

    fn error(&mut self, _: &SchedulerDriver, message: &str) {
        let mut ledger = self.ledger.open();
        if message == "Framework disconnected" {
            ledger.ousted = true;
        } else {
            ledger.problems.push(format!("the framework was refused: {message}"));
        }
    }
}
