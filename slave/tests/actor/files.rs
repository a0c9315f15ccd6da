//! What operators read of a slave's files.

use protos::mesos::TaskState;
use protos::mesos::internal::CheckpointResourcesMessage;

use super::stage::{Stage, task_info, volume};

#[test]
fn volume_is_read_below_the_sandbox_as_long_as_its_container_holds_it() {
    let mut stage = Stage::with(false, |config| slave::Config {
        resources: "cpus:4;mem:1024;disk:1024".parse().unwrap(),
        ..config
    });
    stage.order(CheckpointResourcesMessage { resources: vec![volume()] });
    let slave = stage.slave.clone();
    assert!(stage.world.put_file(&slave, "/w/volumes/roles/web/v/file", b"kept"));
    let mut task = task_info("t");
    task.resources.push(volume());
    stage.run(task, false);
    let state = stage.state();
    let directory = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap();
    let latest = directory.rsplit_once('/').unwrap().0;
    let names = [
        directory.to_owned(),
        format!("{latest}/latest"),
        "/frameworks/F/executors/e/runs/latest".to_owned(),
    ];
    let read = |stage: &mut Stage, name: &str| {
        let path = format!("/files/read?path={name}/data/file&offset=0");
        let response = stage.world.http(&slave, "GET", &path);
        (response.status, String::from_utf8_lossy(&response.bytes()).into_owned())
    };
    for name in &names {
        let (status, body) = read(&mut stage, name);
        assert_eq!(status, 200, "{name}");
        assert!(body.contains("kept"), "{name}: {body}");
        assert_eq!(stage.status("GET", &format!("/files/browse?path={name}")), 200);
    }
    stage.fake.end_all(&Default::default());
    stage.world.settle();
    for name in &names {
        assert_eq!(read(&mut stage, name).0, 404, "{name}");
        assert_eq!(stage.status("GET", &format!("/files/browse?path={name}")), 200);
    }
}

#[test]
fn volume_of_a_later_task_is_read_until_that_task_ends() {
    let mut stage = Stage::with(false, |config| slave::Config {
        resources: "cpus:4;mem:1024;disk:1024".parse().unwrap(),
        ..config
    });
    stage.order(CheckpointResourcesMessage { resources: vec![volume()] });
    let slave = stage.slave.clone();
    assert!(stage.world.put_file(&slave, "/w/volumes/roles/web/v/file", b"kept"));
    stage.run_task("first", false);
    stage.register_executor();
    let path = "/files/read?path=/frameworks/F/executors/e/runs/latest/data/file&offset=0";
    assert_eq!(stage.status("GET", path), 404);
    let mut later = task_info("later");
    later.resources.push(volume());
    stage.run(later, false);
    stage.heard("run later");
    assert_eq!(stage.status("GET", path), 200);
    stage.report("later", TaskState::TaskFinished, 1);
    assert_eq!(stage.status("GET", path), 404);
}
