//! A slave that is restarted over its checkpoints.

use std::time::Duration;

use libprocess::sim::World;
use protos::ids::{ExecutorId, FrameworkId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::{PingSlaveMessage, ReregisterExecutorMessage};
use protos::status;
use slave::{ReconfigurationPolicy, Recover};

use super::stage::Stage;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

fn running(change: impl Fn(slave::Config) -> slave::Config + 'static) -> Stage {
    let mut stage = Stage::with(false, change);
    begin(&mut stage);
    stage
}

/// The slave runs a task.
pub(crate) fn begin(stage: &mut Stage) {
    stage.run_task("t", true);
    stage.forked();
    stage.register_executor();
    stage.heard("run t");
    stage.report("t", TaskState::TaskRunning, 1);
    stage.told("t TASK_RUNNING TaskRunning -");
}

pub(crate) fn come_back(stage: &mut Stage, state: Option<TaskState>) {
    stage.heard("reconnect");
    let update = state.map(|state| {
        let update = status::of(&TaskId::new("t"), state, 1.0).uuid([2; 16]);
        update.update(&FrameworkId::new("F"))
    });
    stage.say(ReregisterExecutorMessage {
        framework_id: FrameworkId::new("F").wire(),
        executor_id: ExecutorId::new("e").wire(),
        tasks: Vec::new(),
        updates: update.into_iter().collect(),
    });
    stage.heard("reregistered");
}

#[test]
fn slave_that_restarts_keeps_its_task_and_sends_what_was_not_acknowledged() {
    let mut stage = running(|config| config);
    stage.acknowledge("t", 1);
    stage.report("t", TaskState::TaskRunning, 9);
    stage.restart();
    come_back(&mut stage, Some(TaskState::TaskFinished));
    stage.heard("acknowledged 2");
    stage.told("reregister S0 [\"t\"]");
    stage.told("ghost TASK_LOST TaskLost REASON_RECONCILIATION");
    // The one in flight comes again, the one that was acknowledged does not.
    stage.world.run_for(Duration::from_secs(1));
    assert_eq!(stage.count("t TASK_RUNNING TaskFinished -"), 1);
    assert_eq!(stage.count("t TASK_RUNNING TaskRunning -"), 2);
    stage.acknowledge("t", 9);
    stage.told("t TASK_FINISHED TaskFinished -");
    stage.acknowledge("t", 2);
    stage.fake.end_all(&Default::default());
    stage.world.run_for(Duration::from_secs(1));
    // What is over stays over.
    stage.restart();
    stage.world.run_for(Duration::from_secs(5));
    assert_eq!(stage.count("t TASK_FINISHED TaskFinished -"), 1);
    assert_eq!(stage.count("reregister S0 []"), 1);
    let shown = &stage.state()["completed_frameworks"][0]["completed_executors"][0];
    assert_eq!(shown["completed_tasks"][0]["state"], "TASK_FINISHED");
}

#[test]
fn update_that_overtakes_its_executors_return_takes_no_earlier_one_along() {
    let mut stage = running(|config| config);
    stage.restart();
    stage.heard("reconnect");
    // Its end, before the executor says what it could not tell meanwhile, which is more.
    stage.report("t", TaskState::TaskFinished, 2);
    let update = |state, uuid: u8| {
        let update = status::of(&TaskId::new("t"), state, 1.0).uuid([uuid; 16]);
        update.update(&FrameworkId::new("F"))
    };
    stage.say(ReregisterExecutorMessage {
        framework_id: FrameworkId::new("F").wire(),
        executor_id: ExecutorId::new("e").wire(),
        tasks: Vec::new(),
        updates: vec![update(TaskState::TaskKilling, 3), update(TaskState::TaskFinished, 2)],
    });
    stage.told("reregister S0 [\"t\"]");
    stage.acknowledge("t", 1);
    stage.told("t TASK_KILLING TaskFinished -");
    stage.acknowledge("t", 3);
    stage.told("t TASK_FINISHED TaskFinished -");
}

#[test]
fn task_that_is_asked_for_again_before_its_loss_is_acknowledged_is_lost_once() {
    let mut stage = Stage::new(false);
    for _ in 0..3 {
        stage.told.lock().unwrap().clear();
        stage.order(PingSlaveMessage { connected: false });
        stage.told("ghost TASK_LOST TaskLost REASON_RECONCILIATION");
        stage.world.run_for(Duration::from_secs(1));
    }
    let uuids = stage.uuids.lock().unwrap().clone();
    assert_eq!(uuids.iter().filter(|(task, _)| task == "ghost").count(), 1);
}

#[test]
fn executor_that_does_not_come_back_loses_its_task() {
    let mut stage = running(|config| config);
    stage.restart();
    stage.heard("reconnect");
    let fake = stage.fake.clone();
    let destroyed = |_: &mut World| fake.log.lock().unwrap().contains(&"destroy".to_owned());
    stage.world.run_until(Duration::from_secs(3), destroyed).unwrap();
    stage.acknowledge("t", 1);
    stage.told("t TASK_LOST TaskLost REASON_EXECUTOR_REREGISTRATION_TIMEOUT");
}

#[test]
fn executor_whose_container_is_gone_fails_its_task() {
    let mut stage = running(|config| config);
    let slave = stage.slave.clone();
    stage.world.crash(&slave);
    stage.fake.running.lock().unwrap().clear();
    stage.slave = stage.world.restart(&slave).unwrap();
    stage.told("reregister S0 [\"t\"]");
    stage.told("t TASK_RUNNING TaskFailed -");
    stage.acknowledge("t", 1);
    stage.told("t TASK_FAILED TaskFailed REASON_EXECUTOR_TERMINATED");
}

#[test]
fn host_that_was_started_anew_has_no_executors() {
    let mut stage = Stage::new(false);
    let slave = stage.slave.clone();
    stage.world.put_file(&slave, BOOT_ID, b"0c9ad7f6-6b86-4a7c-8f3f-3f1a8b5c2d10\n");
    stage.restart();
    stage.told("reregister S0 []");
    stage.run_task("t", true);
    stage.forked();
    stage.register_executor();
    stage.world.put_file(&slave, BOOT_ID, b"6a3e1d52-9c44-4f8e-b7a1-5d2c9e8f7a63\n");
    stage.fake.log.lock().unwrap().clear();
    stage.restart();
    stage.told("t TASK_FAILED TaskFailed REASON_EXECUTOR_TERMINATED");
    assert_eq!(stage.fake.log.lock().unwrap()[0], "recover 0");
    assert!(!stage.heard.lock().unwrap().contains(&"reconnect".to_owned()));
}

#[test]
fn slave_told_to_clean_up_shuts_down_what_it_finds_and_ends() {
    let cleans = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = cleans.clone();
    let mut stage = running(move |config| match seen.load(std::sync::atomic::Ordering::SeqCst) {
        true => slave::Config { recover: Recover::Cleanup, ..config },
        false => config,
    });
    cleans.store(true, std::sync::atomic::Ordering::SeqCst);
    stage.restart();
    stage.heard("shutdown");
    stage.fake.end_all(&Default::default());
    let exits = stage.exits.clone();
    let over = |_: &mut World| !exits.lock().unwrap().is_empty();
    stage.world.run_until(Duration::from_secs(10), over).unwrap();
    // The next one here is another slave.
    cleans.store(false, std::sync::atomic::Ordering::SeqCst);
    stage.told.lock().unwrap().clear();
    stage.restart();
    stage.told("register");
}

#[test]
fn checkpoint_that_is_corrupt_ends_a_strict_slave_and_is_left_out_by_another() {
    for strict in [true, false] {
        let mut stage = running(move |config| slave::Config { strict, ..config });
        let slave = stage.slave.clone();
        let path = "/w/meta/slaves/S0/frameworks/F/framework.info";
        assert!(stage.world.put_file(&slave, path, b"\xff\xff\xff\xffnonsense"));
        stage.restart();
        if strict {
            stage.world.run_for(Duration::from_secs(3));
            let exits = stage.exits.lock().unwrap().clone();
            assert_eq!(exits.len(), 1);
            assert!(exits[0].contains("framework.info"), "{exits:?}");
        } else {
            stage.told("reregister S0 []");
            let snapshot = stage.world.http(&slave, "GET", "/metrics/snapshot");
            let snapshot: serde_json::Value = serde_json::from_slice(&snapshot.bytes()).unwrap();
            assert_eq!(snapshot["slave/recovery_errors"], 1.0);
        }
    }
}

#[test]
fn slave_with_other_resources_keeps_its_id_as_far_as_its_policy_allows() {
    for (policy, resources, ends) in [
        (ReconfigurationPolicy::Equal, "cpus:5;mem:1024", true),
        (ReconfigurationPolicy::Additive, "cpus:5;mem:1024", false),
        (ReconfigurationPolicy::Additive, "cpus:3;mem:1024", true),
    ] {
        let again = std::sync::atomic::AtomicBool::new(false);
        let mut stage = Stage::with(false, move |config| {
            match again.swap(true, std::sync::atomic::Ordering::SeqCst) {
                true => slave::Config {
                    resources: resources.parse().unwrap(),
                    reconfiguration_policy: policy,
                    ..config
                },
                false => config,
            }
        });
        stage.restart();
        if ends {
            stage.world.run_for(Duration::from_secs(3));
            assert_eq!(stage.exits.lock().unwrap().len(), 1, "{resources}");
        } else {
            stage.told("reregister S0 []");
        }
    }
}

#[test]
fn what_is_over_goes_when_it_is_old_and_what_runs_stays() {
    let delay = Duration::from_secs(600);
    let mut stage = running(move |config| slave::Config { gc_delay: delay, ..config });
    let state = stage.state();
    let directory = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap();
    let slave = stage.slave.clone();
    let there = |stage: &Stage, path: &str| stage.world.file(&slave, path).is_some();
    let (sandbox, info) = (format!("{directory}/stdout"), "/w/meta/slaves/S0/slave.info");
    let executor = "/w/meta/slaves/S0/frameworks/F/executors/e/executor.info";
    let (other, old) = ("/w/slaves/S9/x", format!("{directory}/../../../f/runs/old/stdout"));
    for path in [&sandbox, other, &old] {
        assert!(stage.world.put_file(&slave, path, b"x"));
    }
    stage.restart();
    come_back(&mut stage, None);
    stage.told("reregister S0 [\"t\"]");
    stage.world.run_for(delay);
    assert!(there(&stage, &sandbox) && there(&stage, info) && there(&stage, executor));
    assert!(!there(&stage, other) && !there(&stage, &old));
    stage.acknowledge("t", 1);
    stage.report("t", TaskState::TaskFinished, 2);
    stage.acknowledge("t", 2);
    stage.fake.end_all(&Default::default());
    stage.world.run_for(delay / 2);
    assert!(there(&stage, &sandbox));
    stage.world.run_for(delay / 2);
    assert!(there(&stage, info) && !there(&stage, &sandbox) && !there(&stage, executor));
    let snapshot = stage.world.http(&slave, "GET", "/metrics/snapshot");
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot.bytes()).unwrap();
    assert_eq!(snapshot["gc/path_removals_pending"], 0.0, "{snapshot}");
    assert_eq!(snapshot["gc/path_removals_failed"], 0.0);
}

#[test]
fn state_is_not_shown_before_recovery_is_over() {
    let mut stage = running(|config| config);
    stage.restart();
    let slave = stage.slave.clone();
    assert_eq!(stage.world.http(&slave, "GET", "/slave(1)/state").status, 503);
    assert_eq!(stage.world.http(&slave, "GET", "/slave(1)/health").status, 200);
    stage.told("reregister S0 [\"t\"]");
    assert_eq!(stage.world.http(&slave, "GET", "/slave(1)/state").status, 200);
}
