//! A slave with real command executors before a master that keeps books.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::{Leader, StandaloneDetector};
use libprocess::sim::{SpawnedProgram, World};
use libprocess::subprocess::ExitStatus;
use libprocess::{Ctx, Node, NodeConfig, Pid, Process, Routes};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{
    ReconcileTasksMessage, RegisterSlaveMessage, ReregisterSlaveMessage, RunTaskMessage,
    SlaveRegisteredMessage, SlaveReregisteredMessage, StatusUpdateAcknowledgementMessage,
    StatusUpdateMessage,
};
use protos::mesos::{self, TaskState};
use protos::resources::Resources;
use protos::{status, task_state};
use slave::containerizer::ContainerizerOptions;
use slave::executor::{CommandExecutor, Settings};

/// What the master knows.
#[derive(Default)]
pub(crate) struct Books {
    slaves: usize,
    /// The slave that was given the task.
    given: Option<String>,
    /// States that were told, first tellings only.
    states: Vec<(String, Vec<u8>)>,
    /// The first terminal one.
    end: Option<String>,
    problems: Vec<String>,
}

type Shared = Arc<Mutex<Books>>;

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) slave: SocketAddrV4,
    books: Shared,
}

/// Operations that the disk at an address has done.
pub(crate) fn disk_operations(world: &World, address: SocketAddrV4) -> usize {
    let address = address.to_string();
    let of = |line: &&String| line.contains(" disk") && line.contains(&address);
    world.trace().iter().filter(of).count()
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        world.keep_trace();
        world.program("mesos-executor", executor);
        world.program("sh", |program| {
            let pause = program.node().sleep(Duration::from_secs(1));
            program.run(async move {
                pause.await;
                ExitStatus::exited(0)
            });
        });
        let at = |last| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 5050);
        let books = Shared::default();
        let node = world.node(at(1), NodeConfig::default());
        node.spawn("master", Master { books: books.clone() }).unwrap();
        let node = world.node(at(2), slave::node_config(NodeConfig::default().log));
        let noted = books.clone();
        world.on_start(&node, move |node| start(node, noted.clone()));
        Self { world, slave: at(2), books }
    }

    fn until(&mut self, limit: Duration, what: &str, holds: impl Fn(&Books) -> bool) {
        let books = self.books.clone();
        let waited = self.world.run_until(limit, move |_| holds(&books.lock().unwrap()));
        let books = self.books.lock().unwrap();
        assert!(waited.is_ok(), "waited in vain {what}: {:?} {:?}", books.states, books.problems);
    }

    pub(crate) fn until_running(&mut self) {
        let running = |books: &Books| books.states.iter().any(|(it, _)| it == "TASK_RUNNING");
        self.until(Duration::from_secs(30), "for the task to run", running);
    }

    /// Runs until the task has ended and neither executor nor open books are left.
    pub(crate) fn until_quiet(&mut self, limit: Duration, what: &str) {
        self.until(limit, what, |books| books.end.is_some());
        let slave = self.slave;
        let rest = |world: &mut World| {
            if !world.running_programs().is_empty() {
                return false;
            }
            let response = world.http(slave, "GET", "/slave(1)/state");
            let state = serde_json::from_slice::<serde_json::Value>(&response.bytes());
            state.is_ok_and(|state| state["frameworks"].as_array().is_some_and(Vec::is_empty))
        };
        let waited = self.world.run_until_each(Duration::from_secs(2), limit, rest);
        let programs = self.world.running_programs();
        let response = self.world.http(slave, "GET", "/slave(1)/state");
        let state = String::from_utf8_lossy(&response.bytes()).into_owned();
        let states = self.books.lock().unwrap().states.clone();
        assert!(waited.is_ok(), "no rest {what}: {programs:?} {states:?} {state}");
        assert_eq!(self.books.lock().unwrap().problems, Vec::<String>::new(), "{what}");
        assert_eq!(self.world.panics(), Vec::<String>::new(), "{what}");
    }

    pub(crate) fn outcome(&self) -> String {
        self.books.lock().unwrap().end.clone().unwrap_or_default()
    }
}

fn start(node: &Node, books: Shared) {
    let config = slave::Config {
        work_dir: "/w".into(),
        resources: "cpus:4;mem:1024".parse().unwrap(),
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
    slave::start_with(node, config, options, detector).unwrap();
}

/// The program `mesos-executor`.
fn executor(program: SpawnedProgram) {
    let settings = Settings::read(program.command().env.clone()).unwrap();
    let node = program.node().clone();
    let executor = node.spawn_numbered("executor", CommandExecutor::new(settings));
    program.run(async move {
        node.wait(executor.pid()).await;
        ExitStatus::exited(0)
    });
}

/// Gives the first slave one task, and acknowledges what it is told of it.
struct Master {
    books: Shared,
}

impl Process for Master {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::register).on(Self::reregister).on(Self::update);
    }
}

impl Master {
    fn register(&mut self, _: RegisterSlaveMessage, cx: &mut Ctx<Self>) {
        let books = &mut *self.books.lock().unwrap();
        let slave_id = SlaveId::new(format!("S{}", books.slaves));
        books.slaves += 1;
        cx.reply(&SlaveRegisteredMessage { slave_id: slave_id.wire(), connection: None });
        match &books.given {
            None => {
                books.given = Some(slave_id.to_string());
                cx.reply(&task(&slave_id));
            }
            // A slave that forgot its id has never written a task down.
            Some(_) if books.end.is_none() => {
                if !books.states.is_empty() {
                    books.problems.push("a slave with a task registered anew".to_owned());
                }
                books.end = Some("lost with its slave".to_owned());
            }
            Some(_) => {}
        }
    }

    fn reregister(&mut self, m: ReregisterSlaveMessage, cx: &mut Ctx<Self>) {
        let books = &mut *self.books.lock().unwrap();
        let known = m.tasks.iter().any(|task| task.task_id.value == "t");
        let asked = status::of(&TaskId::new("t"), TaskState::TaskRunning, 0.0).build();
        let ask = !known && books.end.is_none();
        let reconciliation = ReconcileTasksMessage {
            framework_id: FrameworkId::new("F").wire(),
            statuses: vec![asked],
            framework: None,
        };
        cx.reply(&SlaveReregisteredMessage {
            slave_id: m.slave.id.unwrap(),
            reconciliations: ask.then_some(reconciliation).into_iter().collect(),
            connection: None,
        });
    }

    fn update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        let books = &mut *self.books.lock().unwrap();
        let uuid = m.update.uuid.clone().unwrap();
        let told = (m.update.status.state().as_str_name().to_owned(), uuid.to_vec());
        if !books.states.contains(&told) {
            match &books.end {
                Some(end) if *end != told.0 => {
                    books.problems.push(format!("{} after {end}", told.0));
                }
                None if task_state::is_terminal(m.update.status.state()) => {
                    books.end = Some(told.0.clone());
                }
                _ => {}
            }
            books.states.push(told);
        }
        cx.reply(&StatusUpdateAcknowledgementMessage {
            slave_id: m.update.slave_id.or(m.update.status.slave_id).unwrap(),
            framework_id: m.update.framework_id,
            task_id: m.update.status.task_id,
            uuid,
        });
    }
}

fn task(slave: &SlaveId) -> RunTaskMessage {
    RunTaskMessage {
        framework: mesos::FrameworkInfo {
            id: Some(FrameworkId::new("F").wire()),
            checkpoint: Some(true),
            ..Default::default()
        },
        pid: Some("scheduler@10.0.0.9:9".to_owned()),
        task: mesos::TaskInfo {
            name: "t".to_owned(),
            task_id: TaskId::new("t").wire(),
            slave_id: slave.wire(),
            resources: "cpus:1;mem:64".parse::<Resources>().unwrap().to_wire(),
            command: Some(mesos::CommandInfo {
                value: Some("sleep 1".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        },
        ..Default::default()
    }
}
