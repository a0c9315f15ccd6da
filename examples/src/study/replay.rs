//! Replays a trace in virtual time: frameworks that launch what fits, and an allocator to be studied.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use allocator::catalogue::Factory;
use allocator::{Allocation, Allocator, Callbacks, Config, FrameworkSpec, SlaveSpec};
use libprocess::sim::World;
use libprocess::{Ctx, Handle, NodeConfig, Process, Routes, SpawnError, Time};
use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

use super::trace::{Event, Trace, What};

/// What is to be studied.
pub struct Study {
    /// What comes when.
    pub trace: Trace,
    /// The allocator.
    pub factory: Factory,
    /// How it works.
    pub config: Config,
    /// For how long frameworks refuse what they do not use.
    pub refuse_for: Duration,
    /// Time between two looks at the cluster.
    pub sample_every: Duration,
    /// The study ends when all jobs have, or after that time.
    pub limit: Duration,
    /// Where chance starts.
    pub seed: u64,
}

/// A framework at some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The framework.
    pub framework: String,
    /// Its role.
    pub role: String,
    /// The largest part of any resource that its tasks use, 0 to 1.
    pub share: f64,
    /// The same by the weight of its role.
    pub weighted: f64,
    /// Tasks that run.
    pub running: u32,
    /// Tasks that wait.
    pub waiting: u32,
}

/// The cluster at some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Time since the start.
    pub at: Duration,
    /// By framework.
    pub shares: Vec<Share>,
    /// The part of each resource that tasks use, 0 to 1.
    pub used: BTreeMap<String, f64>,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobOutcome {
    /// Its name.
    pub name: String,
    /// Its framework.
    pub framework: String,
    /// Its tasks.
    pub tasks: u32,
    /// When it came.
    pub submitted: Duration,
    /// When the first and the last task started, and when the last one ended.
    pub first_start: Option<Duration>,
    /// See `first_start`.
    pub last_start: Option<Duration>,
    /// See `first_start`.
    pub finished: Option<Duration>,
}

/// What came of a study.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// The cluster over time.
    pub samples: Vec<Sample>,
    /// Jobs as they came.
    pub jobs: Vec<JobOutcome>,
    /// Offers made, and those of which nothing was used.
    pub offers: u64,
    /// See `offers`.
    pub declined: u64,
}

struct Job {
    framework: FrameworkId,
    needs: Resources,
    length: Duration,
    waiting: u32,
    running: u32,
    outcome: JobOutcome,
}

struct Framework {
    role: String,
    weight: f64,
    /// Jobs with tasks that wait, oldest first.
    queue: Vec<usize>,
    used: Resources,
    running: u32,
}

/// All frameworks of the study.
struct Replay {
    allocator: Arc<OnceLock<Arc<dyn Allocator>>>,
    start: Time,
    trace: Trace,
    next: usize,
    frameworks: BTreeMap<FrameworkId, Framework>,
    jobs: Vec<Job>,
    total: Resources,
    refuse_for: Duration,
    sample_every: Duration,
    outcome: Outcome,
}

impl Process for Replay {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.start = cx.now();
        cx.later(Self::go_on);
        cx.after(self.sample_every, Self::sample);
    }
}

impl Replay {
    fn allocator(&self) -> Option<&dyn Allocator> {
        self.allocator.get().map(|allocator| &**allocator)
    }

    /// Does all that is due, and comes back for the rest.
    fn go_on(&mut self, cx: &mut Ctx<Self>) {
        let now = cx.now().since(self.start);
        while let Some(event) = self.trace.events.get(self.next).cloned() {
            if event.at > now {
                cx.after(event.at - now, Self::go_on);
                return;
            }
            self.next += 1;
            self.come(event, now);
        }
    }

    fn come(&mut self, event: Event, now: Duration) {
        let Some(allocator) = self.allocator.get().cloned() else { return };
        match event.what {
            What::Slaves { count, total } => {
                for number in 0..count {
                    let id = SlaveId::new(format!("{}-{number}", event.name));
                    let spec = SlaveSpec { hostname: id.to_string(), ..SlaveSpec::default() };
                    self.total += &total;
                    allocator.add_slave(id, spec, total.clone(), BTreeMap::new());
                }
            }
            What::Framework { role, weight } => {
                let id = FrameworkId::new(event.name.as_str());
                let roles = BTreeSet::from([role.clone()]);
                let suppressed_roles = roles.clone();
                let spec = FrameworkSpec {
                    name: event.name,
                    roles,
                    suppressed_roles,
                    ..Default::default()
                };
                allocator.update_weights(vec![(role.clone(), weight)]);
                allocator.add_framework(id.clone(), spec, true, BTreeMap::new());
                let (queue, used) = (Vec::new(), Resources::new());
                self.frameworks.insert(id, Framework { role, weight, queue, used, running: 0 });
            }
            What::Job { framework, tasks, needs, length } => {
                let id = FrameworkId::new(framework.as_str());
                let Some(of) = self.frameworks.get_mut(&id) else { return };
                of.queue.push(self.jobs.len());
                let outcome = JobOutcome {
                    name: event.name,
                    framework,
                    tasks,
                    submitted: now,
                    first_start: None,
                    last_start: None,
                    finished: None,
                };
                allocator.revive_offers(id.clone(), BTreeSet::new());
                let (waiting, running) = (tasks, 0);
                self.jobs.push(Job {
                    framework: id.clone(),
                    needs,
                    length,
                    waiting,
                    running,
                    outcome,
                });
                self.ask(&id);
            }
        }
    }

    /// Tells the allocator what the oldest job waits for.
    fn ask(&self, id: &FrameworkId) {
        let (Some(allocator), Some(of)) = (self.allocator(), self.frameworks.get(id)) else {
            return;
        };
        let wanted = of.queue.first().map(|job| (None, self.jobs[*job].needs.clone()));
        allocator.request_resources(id.clone(), wanted.into_iter().collect());
    }

    fn offered(&mut self, id: &FrameworkId, allocation: Allocation, cx: &mut Ctx<Self>) {
        let Some(allocator) = self.allocator.get().cloned() else { return };
        for (role, by_slave) in allocation {
            for (slave, offer) in by_slave {
                self.outcome.offers += 1;
                let rest = self.launch(id, &role, &slave, &offer, cx);
                self.outcome.declined += u64::from(rest == offer);
                if !rest.is_empty() {
                    let refuse_for = Some(self.refuse_for);
                    allocator.recover_resources(id.clone(), slave, rest, refuse_for);
                }
            }
        }
        self.ask(id);
        if self.frameworks.get(id).is_some_and(|of| of.queue.is_empty()) {
            allocator.suppress_offers(id.clone(), BTreeSet::new());
        }
    }

    /// Starts what fits, oldest jobs first; what is left of the offer.
    fn launch(
        &mut self,
        id: &FrameworkId,
        role: &str,
        slave: &SlaveId,
        offer: &Resources,
        cx: &mut Ctx<Self>,
    ) -> Resources {
        let now = cx.now().since(self.start);
        let mut rest = offer.clone();
        let Some(of) = self.frameworks.get_mut(id) else { return rest };
        for number in of.queue.clone() {
            let job = &mut self.jobs[number];
            while job.waiting > 0 {
                // Reserved resources serve as well as others.
                let found =
                    rest.unallocated().find(&job.needs).map(|found| found.allocated_to(role));
                let Some(task) = found else { break };
                rest = rest.minus(&task);
                (job.waiting, job.running) = (job.waiting - 1, job.running + 1);
                of.used += &task.unallocated();
                of.running += 1;
                job.outcome.first_start.get_or_insert(now);
                job.outcome.last_start = Some(now);
                let slave = slave.clone();
                cx.after(job.length, move |replay: &mut Self, cx| {
                    replay.ended(number, slave, task, cx.now().since(replay.start));
                });
            }
        }
        of.queue.retain(|number| self.jobs[*number].waiting > 0);
        rest
    }

    fn ended(&mut self, number: usize, slave: SlaveId, task: Resources, now: Duration) {
        let job = &mut self.jobs[number];
        job.running -= 1;
        if job.waiting + job.running == 0 {
            job.outcome.finished = Some(now);
        }
        let id = job.framework.clone();
        if let Some(of) = self.frameworks.get_mut(&id) {
            of.used = of.used.minus(&task.unallocated());
            of.running -= 1;
        }
        if let Some(allocator) = self.allocator() {
            allocator.recover_resources(id, slave, task, None);
        }
    }

    fn sample(&mut self, cx: &mut Ctx<Self>) {
        let total = self.total.quantities();
        let part =
            |name: &str, of: i64| of as f64 / total.get(name).copied().unwrap_or(1).max(1) as f64;
        let mut all = Resources::new();
        let mut shares = Vec::new();
        for (id, of) in &self.frameworks {
            all += &of.used;
            let parts = of.used.quantities().into_iter().map(|(name, amount)| part(&name, amount));
            let share = parts.fold(0.0, f64::max);
            let waiting = of.queue.iter().map(|job| self.jobs[*job].waiting).sum();
            shares.push(Share {
                framework: id.to_string(),
                role: of.role.clone(),
                share,
                weighted: share / of.weight,
                running: of.running,
                waiting,
            });
        }
        let used = all.quantities();
        let of_each = total
            .keys()
            .map(|name| (name.clone(), part(name, used.get(name).copied().unwrap_or(0))));
        let sample = Sample { at: cx.now().since(self.start), shares, used: of_each.collect() };
        self.outcome.samples.push(sample);
        cx.after(self.sample_every, Self::sample);
    }

    fn is_done(&self) -> bool {
        self.next == self.trace.events.len()
            && self.jobs.iter().all(|job| job.outcome.finished.is_some())
    }
}

/// Replays a trace through an allocator.
///
/// # Errors
/// When the allocator cannot be started.
pub fn replay(study: Study) -> Result<Outcome, SpawnError> {
    let mut world = World::new(study.seed);
    let node = world.node(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5050), NodeConfig::default());
    let sink: Arc<OnceLock<Handle<Replay>>> = Arc::default();
    let offers = sink.clone();
    let to: allocator::OfferCallback = Arc::new(move |id: FrameworkId, allocation: Allocation| {
        if let Some(replay) = offers.get() {
            replay.tell(move |replay, cx| replay.offered(&id, allocation, cx));
        }
    });
    let allocator = (study.factory)(&node, study.config, Callbacks::from(to))?;
    let replay = Replay {
        allocator: Arc::new(OnceLock::from(allocator)),
        start: Time::EPOCH,
        trace: study.trace,
        next: 0,
        frameworks: BTreeMap::new(),
        jobs: Vec::new(),
        total: Resources::new(),
        refuse_for: study.refuse_for,
        sample_every: study.sample_every,
        outcome: Outcome::default(),
    };
    let handle = node.spawn("study", replay)?;
    sink.get_or_init(|| handle.clone());
    let mut left = study.limit;
    while !left.is_zero() {
        let step = study.sample_every.min(left);
        world.run_for(step);
        left -= step;
        if look(&mut world, &handle, Replay::is_done).unwrap_or(true) {
            break;
        }
    }
    let outcome = look(&mut world, &handle, |replay| {
        let jobs = replay.jobs.iter().map(|job| job.outcome.clone()).collect();
        Outcome { jobs, ..replay.outcome.clone() }
    });
    Ok(outcome.unwrap_or_default())
}

/// What the process answers; None when it is gone.
fn look<T: Send + 'static>(
    world: &mut World,
    handle: &Handle<Replay>,
    question: fn(&Replay) -> T,
) -> Option<T> {
    let answer: Arc<std::sync::Mutex<Option<T>>> = Arc::default();
    let slot = answer.clone();
    handle.tell(move |replay, _| {
        if let Ok(mut slot) = slot.lock() {
            *slot = Some(question(replay));
        }
    });
    world.settle();
    answer.lock().ok()?.take()
}
