//! What masters and operators are told of a slave: tasks, frameworks that came and went, resources.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use libprocess::sim::World;
use protos::ids::{FrameworkId, TaskId};
use protos::mesos::internal::{
    CheckpointResourcesMessage, PingSlaveMessage, ReregisterSlaveMessage, StatusUpdateMessage,
};
use protos::mesos::task_status::Source;
use protos::mesos::{self, TaskState};
use protos::resources::Resources;
use protos::status;
use serde_json::{Value, json};
use slave::oversubscription::{ResourceEstimator, Usage};

use super::stage::{Stage, task_info, volume};

fn reregistered(stage: &mut Stage) -> ReregisterSlaveMessage {
    stage.order(PingSlaveMessage { connected: false });
    let last = stage.last.clone();
    let told = |_: &mut World| last.lock().unwrap().reregistered.is_some();
    stage.world.run_until(Duration::from_secs(10), told).unwrap();
    last.lock().unwrap().reregistered.take().unwrap()
}

#[test]
fn task_that_waits_is_told_to_masters_as_it_is() {
    let mut stage = Stage::new(false);
    let label = mesos::Label { key: "k".to_owned(), value: Some("v".to_owned()) };
    let limit = ("cpus".to_owned(), mesos::value::Scalar { value: 2.0 });
    let container = mesos::ContainerInfo::default();
    let command = mesos::CommandInfo { user: Some("nobody".to_owned()), ..Default::default() };
    let waiting = mesos::TaskInfo {
        labels: Some(mesos::Labels { labels: vec![label] }),
        limits: [limit].into(),
        container: Some(Box::new(container)),
        ..task_info("t")
    };
    let alone = mesos::TaskInfo { executor: None, command: Some(command), ..task_info("alone") };
    stage.run(waiting.clone(), false);
    stage.run(alone, false);
    let tasks = reregistered(&mut stage).tasks;
    let find = |id: &str| tasks.iter().find(|task| task.task_id.value == id).unwrap();
    let told = find("t");
    assert_eq!(told.state(), TaskState::TaskStaging);
    assert_eq!(told.executor_id.as_ref().unwrap().value, "e");
    assert_eq!((&told.labels, &told.limits), (&waiting.labels, &waiting.limits));
    assert_eq!(told.container, waiting.container);
    // Its executor is the slave's own affair.
    assert_eq!(find("alone").executor_id, None);
    assert_eq!(find("alone").user(), "nobody");
}

#[test]
fn framework_that_is_over_is_told_to_masters_with_its_tasks() {
    let mut stage = Stage::new(false);
    stage.run_to_the_end("t");
    let told = reregistered(&mut stage);
    assert!(told.tasks.is_empty() && told.frameworks.is_empty());
    let [archived] = &told.completed_frameworks[..] else { panic!("{told:?}") };
    assert_eq!(archived.framework_info.id, Some(FrameworkId::new("F").wire()));
    assert_eq!(archived.pid.as_deref(), Some("scheduler@10.0.0.9:9"));
    let [task] = &archived.tasks[..] else { panic!("{archived:?}") };
    assert_eq!((task.task_id.value.as_str(), task.state()), ("t", TaskState::TaskFinished));
}

#[test]
fn framework_that_comes_back_is_one_framework_with_all_its_executors() {
    let mut stage = Stage::new(false);
    let length = |list: &Value| list.as_array().unwrap().len();
    stage.run_to_the_end("first");
    stage.run_task("second", false);
    let state = stage.state();
    assert_eq!(state["completed_frameworks"], json!([]));
    assert_eq!(length(&state["frameworks"][0]["completed_executors"]), 1);
    stage.fake.end_all(&Default::default());
    stage.told("second TASK_FAILED TaskFailed REASON_EXECUTOR_TERMINATED");
    let last = stage.last.lock().unwrap().update.clone().unwrap();
    stage.acknowledge_with("second", last.uuid.unwrap());
    stage.run_to_the_end("third");
    let state = stage.state();
    assert_eq!(length(&state["completed_frameworks"]), 1, "{state}");
    assert_eq!(length(&state["completed_frameworks"][0]["completed_executors"]), 3);
}

#[test]
fn capabilities_are_the_same_for_masters_and_operators() {
    let mut stage = Stage::new(false);
    let told = reregistered(&mut stage).agent_capabilities;
    let told: Vec<&str> = told.iter().map(|it| it.r#type().as_str_name()).collect();
    let expected = [
        "MULTI_ROLE",
        "HIERARCHICAL_ROLE",
        "RESERVATION_REFINEMENT",
        "RESIZE_VOLUME",
        "TASK_RESOURCE_LIMITS",
    ];
    assert_eq!(told, expected);
    assert_eq!(stage.state()["capabilities"], json!(expected));
}

/// Offers nothing and notes what there is altogether.
struct Curious(Arc<Mutex<Resources>>);

impl ResourceEstimator for Curious {
    fn estimate(&mut self, usage: &Usage) -> Resources {
        *self.0.lock().unwrap() = usage.total.clone();
        Resources::new()
    }
}

#[test]
fn reservations_and_volumes_show_and_are_estimated_with() {
    let total = Arc::new(Mutex::new(Resources::new()));
    let seen = total.clone();
    let mut stage = Stage::with(false, move |config| {
        let seen = seen.clone();
        slave::Config {
            resources: "cpus:4;mem:1024;disk:1024".parse().unwrap(),
            estimator: Some(Arc::new(move || Box::new(Curious(seen.clone())))),
            ..config
        }
    });
    let refined = mesos::resource::ReservationInfo {
        role: Some("web/a".to_owned()),
        ..volume().reservations[0].clone()
    };
    let mut cpus = "cpus:1".parse::<Resources>().unwrap().to_wire().remove(0);
    cpus.role = None;
    cpus.reservations = vec![volume().reservations[0].clone(), refined];
    let told = Resources::from_wire(&[volume(), cpus]).unwrap();
    stage.order(CheckpointResourcesMessage { resources: told.to_wire() });
    for _ in 0..2 {
        let state = stage.state();
        assert_eq!(state["reserved_resources"]["web"]["disk"], 64.0);
        assert_eq!(state["reserved_resources"]["web/a"]["cpus"], 1.0);
        assert_eq!(state["unreserved_resources"]["cpus"], 3.0);
        assert_eq!(state["resources"]["disk"], 1024.0);
        let full = &state["reserved_resources_full"]["web"][0];
        assert_eq!(full["disk"]["persistence"]["id"], "v");
        // Both forms, as it is reserved once.
        assert_eq!(
            (&full["role"], &full["reservations"][0]["role"]),
            (&json!("web"), &json!("web"))
        );
        stage.world.run_for(Duration::from_secs(16));
        assert_eq!(total.lock().unwrap().checkpointed(), told);
        *total.lock().unwrap() = Resources::new();
        stage.restart();
        stage.world.run_for(Duration::from_secs(5));
    }
}

#[test]
fn update_of_an_executor_is_told_as_that_whatever_it_says() {
    let mut stage = Stage::new(false);
    stage.run_task("t", false);
    stage.register_executor();
    let update = status::of(&TaskId::new("t"), TaskState::TaskRunning, 1.0).uuid([1; 16]);
    let update = update.source(Source::Master).update(&FrameworkId::new("F"));
    stage.say(StatusUpdateMessage { update, pid: None });
    stage.told("t TASK_RUNNING TaskRunning -");
    let told = stage.last.lock().unwrap().update.clone().unwrap();
    assert_eq!(told.status.source(), Source::Executor);
}
