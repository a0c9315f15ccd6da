//! What is not done, and who is told.

use super::*;
use crate::calls::{operations, run_task_group};

#[test]
fn task_that_comes_twice_runs_once() {
    let mut fixture = Fixture::new();
    fixture.run("t", None).run("t", None).register("t").run("t", None);
    hand_over(&mut fixture.state, &framework(), &ExecutorId::new("t"), &mut fixture.fx);
    assert_eq!(fixture.fx.sent::<RunTaskMessage>().len(), 1);
    assert_eq!(fixture.updates(), []);
}

#[test]
fn task_id_is_free_again_once_its_updates_are_acknowledged() {
    let mut fixture = Fixture::new();
    fixture.run("t", Some("e")).register("e").report("t", TaskState::TaskFinished, 1);
    fixture.run("t", Some("e"));
    let refused = ("t".to_owned(), TaskState::TaskLost, Some(Reason::TaskInvalid));
    assert_eq!(fixture.updates()[1], refused);
    fixture.closed(&TaskId::new("t"));
    fixture.run("t", Some("e"));
    let executor = fixture.state.executor(&framework(), &ExecutorId::new("e")).unwrap();
    assert!(executor.is_queued(&TaskId::new("t")));
}

#[test]
fn command_task_shares_its_executor_id_with_nobody() {
    let mut fixture = Fixture::new();
    fixture.run("x", None).run("other", Some("x"));
    let refused = ("other".to_owned(), TaskState::TaskLost, Some(Reason::TaskInvalid));
    assert_eq!(fixture.updates(), [refused]);
    let mut fixture = Fixture::new();
    fixture.run("t", Some("x")).run("x", None);
    let refused = ("x".to_owned(), TaskState::TaskLost, Some(Reason::TaskInvalid));
    assert_eq!(fixture.updates(), [refused]);
}

#[test]
fn task_is_dropped_when_the_master_is_wrong_about_its_executor() {
    // (an executor is there, the master expects a new one, the task is dropped)
    let cases =
        [(false, true, false), (true, false, false), (false, false, true), (true, true, true)];
    for (there, expected, dropped) in cases {
        let mut fixture = Fixture::new();
        if there {
            fixture.run("first", Some("e"));
        }
        fixture.run_expecting("t", Some("e"), expected);
        let reasons: Vec<_> = fixture.updates().into_iter().map(|update| update.2).collect();
        let wanted = if dropped { vec![Some(Reason::ExecutorTerminated)] } else { Vec::new() };
        assert_eq!(reasons, wanted, "{there} {expected}");
        // A running executor is not told away.
        assert!(fixture.fx.sent::<ExitedExecutorMessage>().is_empty());
    }
}

#[test]
fn master_that_reserved_for_a_new_executor_hears_that_there_is_none() {
    let mut fixture = Fixture::new();
    fixture.run("ended", Some("e")).register("e").end("e", Termination::default(), false);
    fixture.run_expecting("t", Some("e"), true);
    assert_eq!(fixture.updates()[1].2, Some(Reason::ExecutorTerminated));
    let exited = fixture.fx.sent::<ExitedExecutorMessage>();
    let statuses: Vec<_> = exited.iter().map(|(_, m)| m.status).collect();
    assert_eq!(statuses, [-1, -1]);
}

#[test]
fn task_group_ends_in_error() {
    let mut fixture = Fixture::new();
    let task = |id: &str| mesos::TaskInfo { task_id: TaskId::new(id).wire(), ..Default::default() };
    let message = RunTaskGroupMessage {
        framework: mesos::FrameworkInfo { id: Some(framework().wire()), ..Default::default() },
        executor: mesos::ExecutorInfo {
            executor_id: ExecutorId::new("e").wire(),
            ..Default::default()
        },
        task_group: mesos::TaskGroupInfo { tasks: vec![task("a"), task("b")] },
        launch_executor: Some(true),
        ..Default::default()
    };
    let (state, fx) = (&fixture.state, &mut fixture.fx);
    run_task_group::refuse(state, &message, Time::EPOCH, &[[1; 16], [2; 16]], fx);
    let error =
        |task: &str| (task.to_owned(), TaskState::TaskError, Some(Reason::TaskGroupInvalid));
    assert_eq!(fixture.updates(), [error("a"), error("b")]);
    assert_eq!(fixture.fx.sent::<ExitedExecutorMessage>().len(), 1);
    assert!(fixture.state.frameworks.is_empty());
}

#[test]
fn operation_is_answered_as_dropped() {
    let mut fixture = Fixture::new();
    let asked = reconcile_operations_message::Operation {
        operation_uuid: Some(mesos::Uuid { value: vec![5; 16].into() }),
        ..Default::default()
    };
    let message = ReconcileOperationsMessage { operations: vec![asked], framework_id: None };
    operations::reconcile(&fixture.state, &message, &[[1; 16]], &mut fixture.fx);
    let sent = fixture.fx.sent::<UpdateOperationStatusMessage>();
    assert_eq!(sent[0].1.status.state(), mesos::OperationState::OperationDropped);
    assert_eq!(sent[0].1.operation_uuid.as_ref().unwrap().value, vec![5; 16]);
}

#[test]
fn container_that_cannot_be_resized_is_destroyed() {
    let mut fixture = Fixture::new();
    fixture.run("t", Some("e")).register("e");
    let (executor, container) = (ExecutorId::new("e"), ContainerId::new("C"));
    let (state, fx) = (&mut fixture.state, &mut fixture.fx);
    executors::resize_failed(state, &framework(), &executor, &container, "no memory", fx);
    assert!(fx.0.contains(&Effect::Destroy(container)));
    fixture.end("e", Termination::default(), false);
    assert_eq!(fixture.updates()[0].2, Some(Reason::ContainerUpdateFailed));
}
