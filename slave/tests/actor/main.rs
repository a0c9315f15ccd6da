//! The slave's actor in the simulator, between a scripted master, a scripted executor and a fake
//! containerizer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod actors;
mod books;
mod files;
mod lists;
mod recovery;
mod spoilt;
mod stage;

use std::time::Duration;

use libprocess::sim::{Cut, World, partition};
use protos::ids::{FrameworkId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::{
    PingSlaveMessage, ShutdownFrameworkMessage, ShutdownMessage, StatusUpdateMessage,
    StatusUpdateRecord,
};
use protos::status;
use slave::containerizer::Termination;
use slave::oversubscription::{Correction, FixedEstimator, QosController, Usage};

use actors::{address, pid};
use stage::Stage;

#[test]
fn task_runs_and_its_updates_go_one_by_one_until_acknowledged() {
    let mut stage = Stage::new(false);
    stage.run_task("t", false);
    assert_eq!(*stage.fake.log.lock().unwrap(), ["recover 0", "launch e cpus:1;mem:64"]);
    stage.register_executor();
    stage.heard("run t");
    stage.report("t", TaskState::TaskRunning, 1);
    stage.report("t", TaskState::TaskFinished, 2);
    stage.heard("acknowledged 2");
    // The first is sent again after 10 and 20 seconds; the second waits.
    stage.world.run_for(Duration::from_secs(35));
    let running = |latest: &str| format!("t TASK_RUNNING {latest} -");
    assert_eq!(stage.count(&running("TaskRunning")), 1);
    assert_eq!(stage.count(&running("TaskFinished")), 2);
    assert_eq!(stage.count("t TASK_FINISHED TaskFinished -"), 0);
    stage.acknowledge("t", 2);
    assert_eq!(stage.count("t TASK_FINISHED TaskFinished -"), 0);
    stage.acknowledge("t", 1);
    stage.told("t TASK_FINISHED TaskFinished -");
    stage.acknowledge("t", 2);
    stage.world.run_for(Duration::from_secs(35));
    assert_eq!(stage.count("t TASK_FINISHED TaskFinished -"), 1);
    let state = stage.state();
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(executor["completed_tasks"][0]["state"], "TASK_FINISHED");
    assert_eq!(executor["tasks"], serde_json::json!([]));
}

#[test]
fn update_of_a_checkpointing_framework_is_on_disk_before_anybody_hears_of_it() {
    let mut stage = Stage::new(false);
    stage.run_task("t", true);
    stage.register_executor();
    stage.heard("run t");
    let state = stage.state();
    let container = state["frameworks"][0]["executors"][0]["container"].as_str().unwrap();
    let run = format!("/w/meta/slaves/S0/frameworks/F/executors/e/runs/{container}");
    let slave = stage.slave.clone();
    assert!(stage.world.file(&slave, format!("{run}/tasks/t/task.info")).is_some());
    let pid = stage.world.file(&slave, format!("{run}/pids/libprocess.pid")).unwrap();
    assert_eq!(pid, "executor(1)@10.0.0.3:5050");

    stage.world.fail_disk(&slave, Some(std::io::ErrorKind::StorageFull));
    stage.report("t", TaskState::TaskRunning, 1);
    // What cannot be stored is told to nobody: the slave ends, and may try again.
    assert_eq!(stage.exits.lock().unwrap().len(), 1);
    assert_eq!(stage.count("t TASK_RUNNING TaskRunning -"), 0);
    assert!(!stage.heard.lock().unwrap().contains(&"acknowledged 1".to_owned()));
}

#[test]
fn update_that_comes_twice_is_stored_once_and_answered_twice() {
    let mut stage = Stage::new(false);
    stage.run_task("t", true);
    stage.register_executor();
    stage.heard("run t");
    for _ in 0..2 {
        let update = status::of(&TaskId::new("t"), TaskState::TaskRunning, 1.0).uuid([1; 16]);
        let update = update.update(&FrameworkId::new("F"));
        let message = StatusUpdateMessage { update, pid: None };
        stage.executor.tell(move |_, cx| cx.send(&pid("slave(1)", 2), &message));
    }
    stage.world.settle();
    let answers = stage.heard.lock().unwrap().iter().filter(|h| *h == "acknowledged 1").count();
    assert_eq!(answers, 2);
    let state = stage.state();
    let container = state["frameworks"][0]["executors"][0]["container"].as_str().unwrap();
    let run = format!("/w/meta/slaves/S0/frameworks/F/executors/e/runs/{container}");
    let slave = stage.slave.clone();
    let file = stage.world.file(&slave, format!("{run}/tasks/t/task.updates")).unwrap();
    let (records, used) = slave::checkpoint::decode_all::<StatusUpdateRecord>(&file).unwrap();
    assert_eq!((records.len(), used), (1, file.len()));
}

#[test]
fn executor_that_ends_fails_its_tasks_and_is_reported() {
    let mut stage = Stage::new(false);
    stage.run_task("t", false);
    stage.register_executor();
    stage.fake.end_all(&Termination::default());
    stage.told("t TASK_FAILED TaskFailed REASON_EXECUTOR_TERMINATED");
    stage.told("exited e -1");
}

#[test]
fn launch_that_fails_fails_its_tasks() {
    let mut stage = Stage::new(true);
    stage.run_task("t", false);
    stage.told("t TASK_FAILED TaskFailed REASON_CONTAINER_LAUNCH_FAILED");
    let snapshot = stage.world.http(stage.slave.clone(), "GET", "/metrics/snapshot");
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot.bytes()).unwrap();
    assert_eq!(snapshot["slave/container_launch_errors"], 1.0);
    assert_eq!(snapshot["slave/tasks_failed"], 1.0);
    assert_eq!(snapshot["slave/recovery_errors"], 0.0);
}

#[test]
fn executor_that_stays_silent_is_destroyed_after_a_minute() {
    let mut stage = Stage::new(false);
    stage.run_task("t", false);
    stage.told("t TASK_FAILED TaskFailed REASON_EXECUTOR_REGISTRATION_TIMEOUT");
    assert!(stage.fake.log.lock().unwrap().contains(&"destroy".to_owned()));
}

#[test]
fn executor_that_does_not_shut_down_is_destroyed_after_its_grace_period() {
    let mut stage = Stage::new(false);
    stage.run_task("t", false);
    stage.register_executor();
    stage.order(ShutdownFrameworkMessage { framework_id: FrameworkId::new("F").wire() });
    stage.heard("shutdown");
    let fake = stage.fake.clone();
    let destroyed = |_: &mut World| fake.log.lock().unwrap().contains(&"destroy".to_owned());
    stage.world.run_until(Duration::from_secs(6), destroyed).unwrap();
    stage.world.settle();
    assert_eq!(stage.state()["completed_frameworks"][0]["id"], "F");
}

#[test]
fn slave_that_is_told_to_shut_down_ends_once_its_executors_are_gone() {
    let mut stage = Stage::new(false);
    stage.run_task("t", false);
    stage.register_executor();
    stage.order(ShutdownMessage { message: Some("enough".to_owned()) });
    stage.heard("shutdown");
    assert!(stage.exits.lock().unwrap().is_empty());
    stage.fake.end_all(&Termination::default());
    stage.world.settle();
    let exits = stage.exits.lock().unwrap().clone();
    assert_eq!(exits, ["the master told this slave to shut down: enough"]);
}

#[test]
fn slave_that_retires_unregisters_and_ends() {
    let mut stage = Stage::new(false);
    let slave = stage.handle.lock().unwrap().clone().unwrap();
    slave.tell(|slave, cx| slave.retire("the test", cx));
    stage.told("unregister S0");
    let exits = stage.exits.clone();
    let ended = |_: &mut World| *exits.lock().unwrap() == ["unregistered because of the test"];
    stage.world.run_until(Duration::from_secs(2), ended).unwrap();
}

#[test]
fn ping_is_answered_and_a_master_that_lost_the_slave_gets_it_back() {
    let mut stage = Stage::new(false);
    stage.run_task("t", false);
    stage.order(PingSlaveMessage { connected: true });
    stage.told("pong");
    stage.order(PingSlaveMessage { connected: false });
    stage.told("reregister S0 [\"t\"]");
}

#[test]
fn master_that_stays_silent_is_registered_with_again() {
    let mut stage = Stage::new(false);
    let before = stage.world.now();
    stage.told("reregister S0 []");
    let silence = stage.world.now() - before;
    assert!((74..78).contains(&silence.as_secs()), "{silence:?}");
}

#[test]
fn task_of_a_slave_that_is_registering_again_is_taken() {
    let mut stage = Stage::new(false);
    let cut = stage.world.add_rule(partition([*address(2).ip()], [*address(1).ip()], Cut::OneWay));
    stage.order(PingSlaveMessage { connected: false });
    stage.world.remove_rule(cut);
    stage.run_task("t", false);
    stage.told("reregister S0 [\"t\"]");
}

#[test]
fn containers_endpoint_refuses_what_does_not_go_together() {
    let mut stage = Stage::new(false);
    stage.run_task("t", false);
    let slave = stage.slave.clone();
    for (query, status, found) in [
        ("", 200, 1),
        ("?framework_id=F", 200, 1),
        ("?framework_id=F&executor_id=x", 200, 0),
        ("?framework_id=G", 200, 0),
        ("?container_id=x", 200, 0),
        ("?executor_id=e", 400, 0),
        ("?container_id=x&framework_id=F", 400, 0),
    ] {
        let response = stage.world.http(&slave, "GET", &format!("/slave(1)/containers{query}"));
        assert_eq!(response.status, status, "{query}");
        if status == 200 {
            let list: serde_json::Value = serde_json::from_slice(&response.bytes()).unwrap();
            assert_eq!(list.as_array().unwrap().len(), found, "{query}");
        }
    }
}

#[test]
fn oversubscription_is_told_once_and_again_to_a_master_that_registers_anew() {
    let mut stage = Stage::with(false, |config| slave::Config {
        estimator: Some(std::sync::Arc::new(|| {
            Box::new(FixedEstimator::new(&"cpus:2".parse().unwrap()))
        })),
        ..config
    });
    stage.told("oversubscribed 2");
    stage.world.run_for(Duration::from_secs(60));
    assert_eq!(stage.count("oversubscribed 2"), 1);
    stage.order(PingSlaveMessage { connected: false });
    stage.told("reregister S0 []");
    stage.world.run_for(Duration::from_secs(1));
    assert_eq!(stage.count("oversubscribed 2"), 2);
    let snapshot = stage.world.http(stage.slave.clone(), "GET", "/metrics/snapshot");
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot.bytes()).unwrap();
    assert_eq!(snapshot["slave/cpus_revocable_total"], 2.0);
}

/// Wants every executor gone.
struct Merciless;

impl QosController for Merciless {
    fn corrections(&mut self, usage: &Usage) -> Vec<Correction> {
        let all = usage.executors.iter().cloned();
        all.map(|it| Correction { framework: it.framework, executor: it.executor }).collect()
    }
}

#[test]
fn executor_that_must_yield_loses_its_tasks_for_that_reason() {
    let mut stage = Stage::with(false, |config| slave::Config {
        controller: Some(std::sync::Arc::new(|| Box::new(Merciless))),
        ..config
    });
    stage.run_task("t", false);
    stage.register_executor();
    stage.told("t TASK_LOST TaskLost REASON_CONTAINER_PREEMPTED");
    let snapshot = stage.world.http(stage.slave.clone(), "GET", "/metrics/snapshot");
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot.bytes()).unwrap();
    assert_eq!(snapshot["slave/executors_preempted"], 1.0);
}
