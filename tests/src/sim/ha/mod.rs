//! A cluster with several masters: a directory service that elects one of them, a log that keeps its
//! registry, slaves and frameworks that follow whoever leads.

mod faults;
mod parts;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drivers::scheduler::SchedulerDriver;
use libprocess::sim::World;
use serde_json::Value;

use super::checks::StateWatch;
use super::jobs::SharedLedger;
use super::programs;

pub use faults::{Kind, shake};

/// How often conditions that ask over HTTP are looked at.
const PAUSE: Duration = Duration::from_secs(2);
/// How often masters that have ended are started again.
const SUPERVISION: Duration = Duration::from_millis(500);
/// How long a task may take before it is chased.
const PATIENCE: Duration = Duration::from_secs(60);

/// How large a cluster is.
#[derive(Debug, Clone, Copy)]
pub struct HaShape {
    /// Number of masters, odd.
    pub masters: u8,
    /// Number of slaves.
    pub slaves: u8,
    /// Number of frameworks.
    pub frameworks: u8,
    /// Tasks that each framework wants finished.
    pub tasks: usize,
}

/// A driver that may be one of a later life.
pub(super) type SharedDriver = Arc<Mutex<Option<SchedulerDriver>>>;

/// A framework, its book and its driver.
pub struct HaFramework {
    /// Where it runs.
    pub address: SocketAddrV4,
    /// Its book, which outlives it.
    pub ledger: SharedLedger,
    driver: SharedDriver,
}

impl HaFramework {
    /// The driver of its present life.
    pub fn driver(&self) -> Option<SchedulerDriver> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The cluster; each part runs on a host of its own.
pub struct HaCluster {
    /// `10.0.0.1:5050` and on.
    pub masters: Vec<SocketAddrV4>,
    /// Where masters are elected and where replicas find each other.
    pub directories: [SocketAddrV4; 2],
    /// `10.0.1.1:5051` and on.
    pub slaves: Vec<SocketAddrV4>,
    /// `10.0.2.1:9000` and on.
    pub frameworks: Vec<HaFramework>,
    /// Masters that nobody starts again for now.
    pub down: Vec<SocketAddrV4>,
    /// Masters that do not answer for now.
    pub frozen: Vec<SocketAddrV4>,
    /// What was seen that must not be.
    pub problems: Vec<String>,
    watch: StateWatch,
}

fn at(net: u8, host: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, net, host), port)
}

impl HaCluster {
    /// Starts everything.
    pub fn start(world: &mut World, shape: HaShape) -> Self {
        programs::register(world);
        let directories = [at(0, 101, 2181), at(0, 102, 2181)];
        for address in directories {
            parts::directory(world, address);
        }
        let masters: Vec<_> = (1..=shape.masters).map(|host| at(0, host, 5050)).collect();
        let quorum = usize::from(shape.masters) / 2 + 1;
        for address in &masters {
            parts::master(world, *address, directories, quorum);
        }
        let slaves: Vec<_> = (1..=shape.slaves).map(|host| at(1, host, 5051)).collect();
        for address in &slaves {
            parts::slave(world, *address, directories[0]);
        }
        let frameworks = (1..=shape.frameworks).map(|host| {
            let (address, driver) = (at(2, host, 9000), SharedDriver::default());
            let ledger = SharedLedger::wanting(shape.tasks);
            parts::framework(world, address, directories[0], &ledger, &driver);
            HaFramework { address, ledger, driver }
        });
        Self {
            frameworks: frameworks.collect(),
            masters,
            directories,
            slaves,
            down: Vec::new(),
            frozen: Vec::new(),
            problems: Vec::new(),
            watch: StateWatch::default(),
        }
    }

    /// Lets time pass; masters that have ended are started again, as a supervisor does.
    pub fn pass(&mut self, world: &mut World, duration: Duration) {
        let end = world.now() + duration;
        while world.now() < end {
            world.run_for(SUPERVISION.min(end - world.now()));
            self.supervise(world);
        }
    }

    fn supervise(&mut self, world: &mut World) {
        for master in &self.masters {
            if world.living(master).is_none() && !self.down.contains(master) {
                world.restart(master);
            }
        }
    }

    /// The state of whoever leads and has recovered the registry, and where that is.
    pub fn leader(&mut self, world: &mut World) -> Option<(SocketAddrV4, Value)> {
        let mut leaders = Vec::new();
        for master in self.masters.clone() {
            if self.frozen.contains(&master) || world.living(master).is_none() {
                continue;
            }
            let response = world.http(master, "GET", "/master/state");
            if response.status == 200
                && let Ok(state) = serde_json::from_slice::<Value>(&response.bytes())
            {
                leaders.push((master, state));
            }
        }
        if leaders.len() > 1 {
            let all: Vec<_> = leaders.iter().map(|(master, _)| master.to_string()).collect();
            self.problems.push(format!("at {:?} several masters lead: {all:?}", world.now()));
        }
        leaders.pop()
    }

    /// Looks at what the leader shows, and at what frameworks were told.
    pub fn look(&mut self, world: &mut World) -> Option<(SocketAddrV4, Value)> {
        let (leader, state) = self.leader(world)?;
        self.watch.look(&state);
        self.problems.append(&mut self.watch.problems);
        Some((leader, state))
    }

    /// Kills tasks that hang, and asks what became of others.
    pub fn chase(&self, world: &World) {
        for framework in &self.frameworks {
            if let Some(driver) = framework.driver() {
                framework.ledger.chase(&driver, world.now(), PATIENCE);
            }
        }
    }

    /// All that must not be: of masters, frameworks, and the runtime.
    pub fn all_problems(&mut self, world: &World) -> Vec<String> {
        let mut all = std::mem::take(&mut self.problems);
        for framework in &self.frameworks {
            all.extend(framework.ledger.open().problems.iter().cloned());
        }
        all.extend(world.panics().into_iter().map(|what| format!("panic: {what}")));
        all
    }

    /// Tasks that ran and were then told lost.
    pub fn lost_after_running(&self) -> Vec<String> {
        use protos::mesos::TaskState::{TaskLost, TaskRunning};
        let mut lost = Vec::new();
        for framework in &self.frameworks {
            for (id, job) in &framework.ledger.open().jobs {
                if job.states.contains(&TaskRunning) && job.states.contains(&TaskLost) {
                    lost.push(format!("{id}: {:?}", job.states));
                }
            }
        }
        lost
    }

    /// Lets a cluster without faults come to rest: somebody leads, all slaves are active, all tasks
    /// finished, the registry lists the slaves that are there, and everything is offered.
    ///
    /// # Errors
    /// What was not reached within `limit`.
    pub fn converge(&mut self, world: &mut World, limit: Duration) -> Result<(), String> {
        let all = self.slaves.len();
        self.until(world, limit, "all slaves are active", |_, _, state| active(state) == all)?;
        self.until(world, limit, "all tasks are finished", |cluster, world, _| {
            cluster.chase(world);
            cluster.frameworks.iter().all(|framework| framework.ledger.open().is_done())
        })?;
        self.until(world, limit, "the registry lists the slaves", |cluster, world, state| {
            cluster.registry_agrees(world, state)
        })?;
        for framework in &self.frameworks {
            framework.ledger.open().hoard = true;
            if let Some(driver) = framework.driver() {
                driver.revive(Vec::new());
            }
        }
        self.until(world, limit, "everything is offered", |cluster, world, state| {
            cluster.chase(world);
            super::cluster::all_is_offered(state, all)
        })
    }

    fn until(
        &mut self,
        world: &mut World,
        limit: Duration,
        what: &str,
        mut reached: impl FnMut(&mut Self, &mut World, &Value) -> bool,
    ) -> Result<(), String> {
        let end = world.now() + limit;
        loop {
            if let Some((_, state)) = self.look(world)
                && reached(self, world, &state)
            {
                return Ok(());
            }
            if world.now() > end {
                let books = self.frameworks.iter().map(|f| f.ledger.open().summary());
                let books: Vec<_> = books.collect();
                return Err(format!("in {limit:?} not reached: {what}; {books:#?}"));
            }
            self.pass(world, PAUSE);
        }
    }

    /// True when the leader's registry lists as admitted just the slaves that it shows.
    fn registry_agrees(&mut self, world: &mut World, state: &Value) -> bool {
        let Some((leader, _)) = self.leader(world) else { return false };
        let response = world.http(leader, "GET", "/registrar(1)/registry");
        let Ok(registry) = serde_json::from_slice::<Value>(&response.bytes()) else { return false };
        let ids = |list: &Value, id: fn(&Value) -> &Value| {
            let entries = list.as_array().into_iter().flatten();
            let mut ids: Vec<String> =
                entries.filter_map(|entry| Some(id(entry).as_str()?.to_owned())).collect();
            ids.sort_unstable();
            ids
        };
        let admitted = ids(&registry["slaves"]["slaves"], |slave| &slave["info"]["id"]["value"]);
        let shown = ids(&state["slaves"], |slave| &slave["id"]);
        admitted == shown
    }
}

fn active(state: &Value) -> usize {
    let slaves = state["slaves"].as_array().into_iter().flatten();
    slaves.filter(|slave| slave["active"] == true).count()
}
