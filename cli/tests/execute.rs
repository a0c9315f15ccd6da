//! `mesos-execute` against a scripted master, over loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use cli::execute::{flags::Flags, job::Job, run};
use coordination::{Leader, StandaloneDetector};
use libprocess::flags::Loader;
use libprocess::{Ctx, Process, Routes, real};
use protos::ids::{FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::internal::{
    FrameworkErrorMessage, FrameworkRegisteredMessage, ResourceOffersMessage, StatusUpdateMessage,
};
use protos::mesos::scheduler::{Call, call};
use protos::mesos::{MasterInfo, Offer, TaskState};
use protos::resources::Resources;

type Log = Arc<Mutex<Vec<String>>>;

/// Offers a small and a large slave, and lets the launched task pass through `states`; refuses the
/// framework when there are none.
struct Master {
    log: Log,
    states: Vec<TaskState>,
    updates: u8,
}

impl Process for Master {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::call);
    }
}

impl Master {
    fn call(&mut self, call: Call, cx: &mut Ctx<Self>) {
        self.log.lock().unwrap().push(call.r#type().as_str_name().to_owned());
        match call.r#type() {
            call::Type::Subscribe if self.states.is_empty() => {
                cx.reply(&FrameworkErrorMessage { message: "not you".into() });
            }
            call::Type::Subscribe => {
                let framework_id = FrameworkId::new("F").wire();
                let master_info = MasterInfo::default();
                cx.reply(&FrameworkRegisteredMessage { framework_id, master_info });
                let offers = vec![offer("small", "cpus:1;mem:1"), offer("large", "cpus:9;mem:999")];
                cx.reply(&ResourceOffersMessage { offers, pids: vec![] });
            }
            call::Type::Accept => {
                let launch = &call.accept.unwrap().operations[0];
                let task = &launch.launch.as_ref().unwrap().task_infos[0];
                assert_eq!(task.slave_id.value, "S-large");
                self.next(cx);
            }
            call::Type::Acknowledge => self.next(cx),
            _ => {}
        }
    }

    fn next(&mut self, cx: &mut Ctx<Self>) {
        if self.states.is_empty() {
            return;
        }
        self.updates += 1;
        let update = protos::status::of(&TaskId::new("n"), self.states.remove(0), 1.0)
            .slave(&SlaveId::new("S-large"))
            .message("because")
            .uuid([self.updates; 16])
            .update(&FrameworkId::new("F"));
        let pid = Some("slave(1)@127.0.0.1:1".to_owned());
        cx.reply(&StatusUpdateMessage { update, pid });
    }
}

fn offer(name: &str, resources: &str) -> Offer {
    Offer {
        id: OfferId::new(name).wire(),
        slave_id: SlaveId::new(format!("S-{name}")).wire(),
        framework_id: FrameworkId::new("F").wire(),
        resources: Resources::parse(resources, "*").unwrap().to_wire(),
        ..Offer::default()
    }
}

/// Runs a job against a master; gives what came of it and the calls the master got.
fn execute(states: Vec<TaskState>) -> (Result<(), String>, Vec<String>) {
    let log = Log::default();
    let master = Master { log: log.clone(), states, updates: 0 };
    let result = real::run(async move {
        let config = real::Config { ip: Ipv4Addr::LOCALHOST, ..real::Config::default() };
        let theirs = real::start(config.clone()).await.unwrap();
        let ours = real::start(config).await.unwrap();
        let master = theirs.spawn("master", master).unwrap();
        let detector = StandaloneDetector::new(Some(Leader::of(master.pid().clone())));
        let arguments = ["--name=n", "--command=c"];
        let flags = Loader::new("mesos-execute").load::<Flags>(arguments).unwrap().flags;
        let job = Job::from_flags(&flags).unwrap();
        run::run(&ours, Arc::new(detector), job, None).await.map_err(|error| error.to_string())
    });
    let calls = log.lock().unwrap().clone();
    (result, calls)
}

#[test]
fn task_that_finishes_is_a_success() {
    let (result, calls) =
        execute(vec![TaskState::TaskStarting, TaskState::TaskRunning, TaskState::TaskFinished]);
    assert_eq!(result, Ok(()));
    let mut sorted = calls.clone();
    sorted.sort();
    let expected =
        ["ACCEPT", "ACKNOWLEDGE", "ACKNOWLEDGE", "ACKNOWLEDGE", "DECLINE", "SUBSCRIBE", "TEARDOWN"];
    assert_eq!(sorted, expected);
    assert_eq!(calls.last().unwrap(), "TEARDOWN");
}

#[test]
fn task_that_fails_is_a_failure_with_its_reason() {
    let (result, _) = execute(vec![TaskState::TaskRunning, TaskState::TaskFailed]);
    assert_eq!(result, Err("task ended with TASK_FAILED: because".to_owned()));
}

#[test]
fn framework_that_is_refused_is_a_failure() {
    let (result, _) = execute(vec![]);
    assert_eq!(result, Err("the master refuses the framework: not you".to_owned()));
}
