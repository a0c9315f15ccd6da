//! A slave with executors before a master that keeps books.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::{Leader, StandaloneDetector};
use libprocess::sim::World;
use libprocess::{Handle, Node, NodeConfig, Pid};
use slave::Slave;
use slave::containerizer::ContainerizerOptions;

use super::executors::{self, Notes};
use super::fate::{self, Fate};
use super::master::{Books, Master, Shared};
use super::plan::{self, Job, Plan};

/// Longest time from the crash to rest: recovery, retries and the executor's own time-outs.
const LIMIT: Duration = Duration::from_secs(1000);

/// How a slave is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Nothing of what is under way is done.
    Clean,
    /// Some of it is, in part.
    Torn,
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) slave: SocketAddrV4,
    pub(crate) books: Shared,
    plan: Plan,
    notes: executors::Shared,
    handle: Arc<Mutex<Option<Handle<Slave>>>>,
}

impl Scene {
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        let mut world = World::new(seed);
        world.keep_trace();
        let notes = executors::Shared::default();
        // Some tasks end while their slave is away, others when it is back.
        let takes = Duration::from_secs(if seed.is_multiple_of(2) { 1 } else { 10 });
        executors::programs(&mut world, takes, &notes);
        let at = |last| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 5050);
        let books = Arc::new(Mutex::new(Books::new(&plan)));
        let node = world.node(at(1), NodeConfig::default());
        node.spawn("master", Master { plan, books: books.clone() }).unwrap();
        let node = world.node(at(2), slave::node_config(NodeConfig::default().log));
        let (noted, handle) = (books.clone(), Arc::new(Mutex::new(None)));
        let slot = handle.clone();
        world.on_start(&node, move |node| {
            *slot.lock().unwrap() = Some(start(node, noted.clone()));
        });
        Self { world, slave: at(2), books, plan, notes, handle }
    }

    /// Kills the slave; it is gone for a second.
    pub(crate) fn kill(&mut self, crash: Crash) {
        match crash {
            Crash::Clean => self.world.crash(self.slave),
            Crash::Torn => self.world.crash_torn(self.slave),
        }
        self.world.run_for(Duration::from_secs(1));
    }

    pub(crate) fn restart(&mut self) {
        self.world.restart(self.slave).unwrap();
    }

    /// Goes on until so many events have happened in all.
    pub(crate) fn until_event(&mut self, event: usize) {
        self.world.run_until(LIMIT, |world| world.events() >= event).unwrap();
    }

    /// Goes on until the slave's disk has done so many further operations; false when it does not
    /// within a while.
    pub(crate) fn until_disk(&mut self, operations: usize) -> bool {
        let of = format!(" {} disk", self.slave);
        let count = |world: &World| world.trace().iter().filter(|line| line.contains(&of)).count();
        let wanted = count(&self.world) + operations;
        let mut events = 0;
        let done = |world: &mut World| {
            // The trace is long: it is looked at when there are enough events.
            let enough = world.events() >= events && count(world) >= wanted;
            events = world.events() + 1;
            enough
        };
        self.world.run_until(Duration::from_secs(20), done).is_ok()
    }

    pub(crate) fn until_told(&mut self, task: &str, state: &str) {
        let books = self.books.clone();
        let told = move |_: &mut World| {
            let books = books.lock().unwrap();
            let mut of = books.tasks.iter().filter(|((_, id), _)| *id == task);
            of.any(|(_, book)| book.told.iter().any(|told| told.state == state))
        };
        self.world.run_until(Duration::from_secs(30), told).unwrap();
    }

    /// Runs until all tasks have ended.
    pub(crate) fn until_over(&mut self, what: &str) {
        let (books, jobs) = (self.books.clone(), self.plan.jobs);
        let over = move |_: &mut World| {
            let books = books.lock().unwrap();
            jobs.iter().all(|job| books.is_over(job)) || !books.problems.is_empty()
        };
        let ended = self.world.run_until(LIMIT, over).is_ok();
        let books = self.books.lock().unwrap();
        assert_eq!(books.problems, Vec::<String>::new(), "{what}");
        assert!(ended, "tasks without an end, {what}: {:?}", books.tasks);
    }

    /// Runs until all tasks have ended and neither executors nor open books are left.
    pub(crate) fn until_quiet(&mut self, what: &str) {
        self.until_over(what);
        let slave = self.slave;
        let rest = move |world: &mut World| {
            if !world.running_programs().is_empty() {
                return false;
            }
            let response = world.http(slave, "GET", "/slave(1)/state");
            let state = serde_json::from_slice::<serde_json::Value>(&response.bytes());
            state.is_ok_and(|state| state["frameworks"].as_array().is_some_and(Vec::is_empty))
        };
        let rests = self.world.run_until_each(Duration::from_secs(2), LIMIT, rest).is_ok();
        assert_eq!(self.books.lock().unwrap().problems, Vec::<String>::new(), "{what}");
        assert_eq!(self.world.panics(), Vec::<String>::new(), "{what}");
        let programs = self.world.running_programs();
        let response = self.world.http(slave, "GET", "/slave(1)/state");
        assert!(
            rests,
            "no rest, {what}: {programs:?} {}",
            String::from_utf8_lossy(&response.bytes())
        );
    }

    /// What must become of each task, now that the slave is down.
    pub(crate) fn fates(&self) -> Vec<Fate> {
        self.plan.jobs.iter().map(|job| fate::of(self, job)).collect()
    }

    /// All is told as it must be.
    pub(crate) fn check(&self, fates: &[Fate], what: &str) {
        let books = self.books.lock().unwrap();
        for (job, fate) in self.plan.jobs.iter().zip(fates) {
            let book = books.of(job);
            let wrong = fate::objection(*fate, &book.told, book.end);
            assert_eq!(wrong, None, "{what}: {} is to be {fate:?}: {book:?}", job.task);
        }
    }

    /// True when the task has come to its executor.
    pub(crate) fn reached(&self, job: &Job) -> bool {
        let notes = self.notes.lock().unwrap();
        let own = notes.reached.iter().any(|(f, t)| f == job.framework && t == job.task);
        own || (job.executor.is_none() && heard(&self.world, &notes, job, "RunTaskMessage"))
    }

    /// True when the task's executor was sent that message.
    pub(crate) fn heard(&self, job: &Job, message: &str) -> bool {
        heard(&self.world, &self.notes.lock().unwrap(), job, message)
    }

    /// Data in the volumes that the slave has written down.
    pub(crate) fn fill_volumes(&mut self) -> Vec<&'static str> {
        let written = self.world.file(self.slave, "/w/meta/resources/resources.info");
        let written = decode(&written.unwrap_or_default());
        let stage = (0..4).find(|at| plan::reserved(*at) == written).unwrap();
        for volume in plan::RESERVATIONS[stage] {
            let path = format!("{}/data", plan::volume_path(volume));
            assert!(self.world.put_file(self.slave, path, b"precious"));
        }
        plan::RESERVATIONS[stage].to_vec()
    }

    /// Volumes that are wanted are there, with what was in them; others are gone.
    pub(crate) fn check_volumes(&mut self, filled: &[&str], what: &str) {
        self.world.settle();
        let reserved = self.books.lock().unwrap().reserved;
        let written = self.world.file(self.slave, "/w/meta/resources/resources.info").unwrap();
        assert_eq!(decode(&written), plan::reserved(reserved), "{what}");
        assert!(self.world.file(self.slave, "/w/meta/resources/resources.target").is_none());
        for volume in ["v1", "v2"] {
            let wanted = plan::RESERVATIONS[reserved].contains(&volume);
            let path = plan::volume_path(volume);
            let data = self.world.file(self.slave, format!("{path}/data")).is_some();
            assert_eq!(data, wanted && filled.contains(&volume), "{what}: data of {volume}");
            assert_eq!(self.is_there(&path), wanted, "{what}: {volume}");
        }
    }

    fn is_there(&mut self, path: &str) -> bool {
        let (path, found) = (std::path::PathBuf::from(path), Arc::new(Mutex::new(None)));
        let (slot, slave) = (found.clone(), self.handle.lock().unwrap().clone().unwrap());
        slave.tell(move |_, cx| {
            cx.defer(cx.disk().stat(&path), move |_, stat, _| {
                *slot.lock().unwrap() = Some(stat.is_ok());
            });
        });
        self.world.settle();
        found.lock().unwrap().unwrap()
    }
}

fn decode(resources: &[u8]) -> Vec<protos::mesos::Resource> {
    slave::checkpoint::decode_all(resources).unwrap().0
}

fn heard(world: &World, notes: &Notes, job: &Job, message: &str) -> bool {
    let own = notes.places.iter().filter(|(_, framework, executor)| {
        framework == job.framework && executor == job.executor()
    });
    let places: Vec<String> = own.map(|(at, ..)| format!(" executor(1)@{at} ")).collect();
    world.trace().iter().any(|line| {
        let comes = line.contains(" message ") && line.ends_with(message);
        comes && places.iter().any(|place| line.contains(place))
    })
}

fn start(node: &Node, books: Shared) -> Handle<Slave> {
    let config = slave::Config {
        work_dir: "/w".into(),
        resources: "cpus:4;mem:1024;disk:1024".parse().unwrap(),
        switch_user: false,
        on_exit: Arc::new(move |_, reason| books.lock().unwrap().problems.push(reason)),
        ..slave::Config::default()
    };
    let options = ContainerizerOptions {
        isolation: "filesystem/posix".to_owned(),
        fetcher: config.helpers.fetcher.clone(),
        frameworks_home: None,
        ..ContainerizerOptions::default()
    };
    let master: Pid = "master@10.0.0.1:5050".parse().unwrap();
    let detector = Arc::new(StandaloneDetector::new(Some(Leader::of(master))));
    slave::start_with(node, config, options, detector).unwrap()
}
