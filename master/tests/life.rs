//! A master in a simulated world, spoken to by scripted slaves and schedulers, message by message.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod support;

use master::Config;
use protos::ids::TaskId;
use protos::mesos::internal::*;
use protos::mesos::scheduler::{Call, call};
use protos::mesos::{self, TaskState};
use protos::resources::Resources;
use protos::status;
use support::*;

#[test]
fn task_lives_from_offer_to_acknowledged_end() {
    let mut setup = Setup::new(Config::default());
    let (slave, slave_id, scheduler, id) = setup.running();
    let task_id = TaskId::new("t");
    for (number, state) in [(1, TaskState::TaskRunning), (2, TaskState::TaskFinished)] {
        let update =
            status::of(&task_id, state, 0.0).slave(&slave_id).uuid([number; 16]).update(&id);
        let pid = Some(slave.handle.pid().to_string());
        slave.send(StatusUpdateMessage { update, pid });
        let told: StatusUpdateMessage = setup.expect(&scheduler, SECOND);
        assert_eq!(told.update.status.state(), state);
        scheduler.send(Call {
            framework_id: Some(id.wire()),
            r#type: Some(call::Type::Acknowledge.into()),
            acknowledge: Some(call::Acknowledge {
                slave_id: slave_id.wire(),
                task_id: task_id.wire(),
                uuid: told.update.uuid.unwrap(),
            }),
            ..Default::default()
        });
        let passed_on: StatusUpdateAcknowledgementMessage = setup.expect(&slave, SECOND);
        assert_eq!(passed_on.uuid[..], [number; 16]);
    }
    let state = setup.state();
    assert_eq!(state["frameworks"][0]["tasks"].as_array().unwrap().len(), 0);
    assert_eq!(state["frameworks"][0]["completed_tasks"][0]["state"], "TASK_FINISHED");
    assert_eq!(state["slaves"][0]["used_resources"]["cpus"], 0.0);
}

#[test]
fn slave_without_pongs_is_lost_with_its_tasks() {
    let mut setup = Setup::new(Config::default());
    let (slave, _, scheduler, _) = setup.running();
    slave.handle.tell(|peer, _| peer.pongs = false);
    setup.world.run_for(60 * SECOND);
    assert_eq!(scheduler.take::<LostSlaveMessage>(), None);
    setup.expect::<LostSlaveMessage>(&scheduler, 60 * SECOND);
    let told: StatusUpdateMessage = setup.expect(&scheduler, SECOND);
    assert_eq!(told.update.status.state(), TaskState::TaskLost);
    assert_eq!(told.update.uuid, None);
    assert_eq!(setup.state()["slaves"].as_array().unwrap().len(), 0);
}

#[test]
fn scheduler_that_crashes_is_removed_and_its_executors_are_shut_down() {
    let mut setup = Setup::new(Config::default());
    let (slave, _, scheduler, id) = setup.running();
    setup.world.crash(&scheduler.node);
    let shutdown: ShutdownFrameworkMessage = setup.expect(&slave, 60 * SECOND);
    assert_eq!(shutdown.framework_id.value, id.as_str());
    let state = setup.state();
    assert_eq!(state["completed_frameworks"][0]["id"], id.as_str());
}

#[test]
fn scheduler_of_the_older_form_declines_with_an_empty_launch_and_is_offered_again() {
    let mut setup = Setup::new(Config::default());
    setup.slave();
    let scheduler = setup.peer("scheduler(1)@10.0.0.3:9000");
    scheduler.send(RegisterFrameworkMessage { framework: info() });
    let greeting: FrameworkRegisteredMessage = setup.expect(&scheduler, SECOND);
    let first: ResourceOffersMessage = setup.expect(&scheduler, 5 * SECOND);
    scheduler.send(LaunchTasksMessage {
        framework_id: greeting.framework_id,
        offer_ids: vec![first.offers[0].id.clone()],
        ..Default::default()
    });
    let declined = setup.world.now();
    let second: ResourceOffersMessage = setup.expect(&scheduler, 20 * SECOND);
    assert_ne!(second.offers[0].id, first.offers[0].id);
    assert_eq!(second.offers[0].resources, first.offers[0].resources);
    assert!(setup.world.now().since(declined) >= 5 * SECOND);
}

#[test]
fn offer_unanswered_for_too_long_is_rescinded() {
    let mut setup = Setup::new(Config { offer_timeout: Some(30 * SECOND), ..Config::default() });
    setup.slave();
    let (scheduler, _) = setup.scheduler();
    let offers: ResourceOffersMessage = setup.expect(&scheduler, 5 * SECOND);
    let rescinded: RescindResourceOfferMessage = setup.expect(&scheduler, 31 * SECOND);
    assert_eq!(rescinded.offer_id, offers.offers[0].id);
    setup.expect::<ResourceOffersMessage>(&scheduler, 5 * SECOND);
}

#[test]
fn slave_that_breaks_off_returns_with_its_id() {
    let mut setup = Setup::new(Config::default());
    let (slave, slave_id, scheduler, _) = setup.running();
    setup.world.reset_connections(&slave.node, &setup.node);
    let lost: StatusUpdateMessage = setup.expect(&scheduler, 10 * SECOND);
    let reason = mesos::task_status::Reason::SlaveDisconnected;
    assert_eq!(lost.update.status.reason(), reason, "the framework does not checkpoint");
    slave.send(ReregisterSlaveMessage {
        slave: mesos::SlaveInfo {
            id: Some(slave_id.wire()),
            hostname: "host".into(),
            resources: "cpus:4;mem:1024".parse::<Resources>().unwrap().to_wire(),
            ..Default::default()
        },
        version: Some("1.11.0".into()),
        ..Default::default()
    });
    let greeting: SlaveReregisteredMessage = setup.expect(&slave, SECOND);
    assert_eq!(greeting.slave_id.value, slave_id.as_str());
    let again: ResourceOffersMessage = setup.expect(&scheduler, 10 * SECOND);
    let all = Resources::from_wire(&again.offers[0].resources).unwrap();
    assert_eq!((all.cpus(), all.mem()), (4.0, 1024.0));
}

#[test]
fn noise_from_strangers_changes_nothing() {
    let mut setup = Setup::new(Config::default());
    let (_, slave_id, _, id) = setup.running();
    let before = setup.state();
    let stranger = setup.peer("stranger@10.0.0.9:1");
    stranger.send(UnregisterFrameworkMessage { framework_id: id.wire() });
    stranger.send(UnregisterSlaveMessage { slave_id: slave_id.wire() });
    stranger.send(Call { r#type: Some(call::Type::Teardown.into()), ..Default::default() });
    stranger.send(Call { framework_id: Some(id.wire()), ..Default::default() });
    stranger.send(KillTaskMessage { framework_id: id.wire(), ..Default::default() });
    for name in libprocess::message_names::<master::Master>() {
        for body in [&b""[..], b"\xff\xff\xff", b"\x0a\x00", b"\x0a\x02\x0a\x00"] {
            let (to, name) = (setup.master.pid().clone(), name.clone());
            stranger.handle.tell(move |_, cx| cx.send_raw(&to, name.into(), body.into()));
        }
    }
    setup.world.run_for(SECOND);
    assert_eq!(setup.world.panics(), Vec::<String>::new());
    let mut after = setup.state();
    // A registration without resources is valid, and so is a subscription without a name.
    after["slaves"].as_array_mut().unwrap().retain(|slave| slave["id"] == slave_id.as_str());
    assert_eq!(after["slaves"], before["slaves"]);
    assert_eq!(after["frameworks"][0], before["frameworks"][0]);
}
