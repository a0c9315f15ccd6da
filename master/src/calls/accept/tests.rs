use super::*;
use crate::testing::*;
use protos::mesos::internal::{FrameworkErrorMessage, RunTaskMessage};

fn call(offers: Vec<OfferId>, operations: Vec<Operation>) -> Accept {
    let refuse_for = Some(Duration::from_secs(5));
    Accept { framework: f(), offers, operations, refuse_for }
}

fn run(state: &mut State, offers: Vec<OfferId>, tasks: Vec<TaskInfo>) -> Effects {
    decide(state, |state, fx| accept(state, call(offers, vec![launch(tasks)]), NOW, fx))
}

#[test]
fn accept_valid_task_is_sent_and_booked_and_the_rest_goes_back() {
    let mut state = cluster();
    let offer = offered(&mut state, "cpus:2;mem:128");
    let fx = run(&mut state, vec![offer], vec![task_info("t")]);
    let sent = fx.sent::<RunTaskMessage>();
    let (to, message) = &sent[0];
    assert_eq!(*to, home());
    assert_eq!(message.framework_id, None);
    assert_eq!(message.framework.id, Some(f().wire()));
    assert_eq!(message.pid, Some(scheduler().to_string()));
    assert_eq!(message.launch_executor, Some(true));
    assert_eq!(recovered(&fx), [("cpus:1;mem:64".to_owned(), 5)]);
    let task = state.frameworks.task(&f(), &"t".into()).unwrap();
    assert_eq!(task.state(), TaskState::TaskStaging);
    assert_eq!(state.offers.len(), 0);
}

#[test]
fn accept_second_task_of_an_executor_pays_for_the_task_alone() {
    let mut state = cluster();
    let offer = offered(&mut state, "cpus:3;mem:256");
    let task = |id: &str| {
        let executor = Some(Box::new(executor_info("e")));
        TaskInfo { command: None, executor, ..task_info(id) }
    };
    let fx = run(&mut state, vec![offer], vec![task("a"), task("b")]);
    let launches: Vec<_> =
        fx.sent::<RunTaskMessage>().iter().map(|(_, m)| m.launch_executor).collect();
    assert_eq!(launches, [Some(true), Some(false)]);
    assert_eq!(recovered(&fx), [("cpus:0.5;mem:96".to_owned(), 5)]);
}

#[test]
fn accept_invalid_task_is_an_error_and_the_others_run() {
    let mut state = cluster();
    let offer = offered(&mut state, "cpus:1;mem:64");
    let fx = run(&mut state, vec![offer], vec![task_info("a"), task_info("b")]);
    assert_eq!(fx.sent::<RunTaskMessage>().len(), 1);
    let error = ("b".to_owned(), TaskState::TaskError, Reason::TaskInvalid.into());
    assert_eq!(updates(&fx), [error]);
    assert!(recovered(&fx).is_empty());
}

#[test]
fn accept_that_comes_twice_leaves_its_task_alone() {
    let mut state = cluster();
    let offer = offered(&mut state, "cpus:2;mem:128");
    run(&mut state, vec![offer.clone()], vec![task_info("t")]);
    let fx = run(&mut state, vec![offer], vec![task_info("t"), task_info("other")]);
    let lost = ("other".to_owned(), TaskState::TaskLost, Reason::InvalidOffers.into());
    assert_eq!(updates(&fx), [lost]);
}

#[test]
fn accept_without_tasks_is_a_decline() {
    let mut state = cluster();
    let offer = offered(&mut state, "cpus:1");
    let fx = run(&mut state, vec![offer], vec![]);
    assert_eq!(recovered(&fx), [("cpus:1".to_owned(), 5)]);
}

#[test]
fn accept_invalid_offers_give_the_valid_ones_back_and_lose_the_tasks() {
    type Spoil = fn(&mut Vec<OfferId>);
    let spoil: [Spoil; 2] =
        [|offers| offers.push("gone".into()), |offers| offers.push(offers[0].clone())];
    for spoil in spoil {
        let mut state = cluster();
        let mut offers = vec![offered(&mut state, "cpus:2;mem:128")];
        spoil(&mut offers);
        let fx = run(&mut state, offers, vec![task_info("t")]);
        let lost = ("t".to_owned(), TaskState::TaskLost, Reason::InvalidOffers.into());
        assert_eq!(updates(&fx), [lost]);
        assert_eq!(recovered(&fx), [("cpus:2;mem:128".to_owned(), 0)]);
        assert!(fx.sent::<RunTaskMessage>().is_empty());
    }
}

#[test]
fn accept_on_a_disconnected_slave_drops_tasks_of_partition_aware_frameworks() {
    use protos::mesos::framework_info::capability::Type as Capability;
    let mut state = cluster_with(&[Capability::PartitionAware]);
    let offer = offered(&mut state, "cpus:2;mem:128");
    state.slaves.get_mut(&s()).unwrap().connected = false;
    let fx = run(&mut state, vec![offer], vec![task_info("t")]);
    let reason = Reason::SlaveDisconnected.into();
    assert_eq!(updates(&fx), [("t".to_owned(), TaskState::TaskDropped, reason)]);
}

/// A reservation of `web` made dynamically.
fn reserved(text: &str) -> Vec<protos::mesos::Resource> {
    use protos::mesos::resource::{ReservationInfo, reservation_info::Type as Kind};
    let info = ReservationInfo {
        r#type: Some(Kind::Dynamic.into()),
        role: Some("web".into()),
        ..Default::default()
    };
    resources(text).push_reservation(&info).to_wire()
}

fn reserve(text: &str) -> Operation {
    use protos::mesos::offer::operation;
    let resources = reserved(text);
    Operation {
        r#type: Some(Type::Reserve.into()),
        reserve: Some(operation::Reserve { resources, source: vec![] }),
        ..Default::default()
    }
}

/// A cluster whose framework is of role `web`, with an offer of all of it.
fn web(capabilities: &[protos::mesos::slave_info::capability::Type]) -> (State, OfferId) {
    let mut state = cluster();
    state.frameworks.get_mut(&f()).unwrap().info.role = Some("web".into());
    state.slaves.get_mut(&s()).unwrap().capabilities = capabilities
        .iter()
        .map(|of| protos::mesos::slave_info::Capability { r#type: Some((*of).into()) })
        .collect();
    let part = resources("cpus:4;mem:1024").allocated_to("web");
    let allocation = [("web".to_owned(), [(s(), part)].into())].into();
    decide(&mut state, |state, fx| crate::calls::offers::offer(state, &f(), allocation, fx));
    let id = state.offers.iter().next().unwrap().id.clone();
    (state, id)
}

#[test]
fn reservation_and_a_task_on_it_go_in_one_accept() {
    use protos::mesos::internal::CheckpointResourcesMessage;
    let (mut state, offer) = web(&[]);
    let mut task = task_info("t");
    task.resources = reserved("cpus:1");
    let operations = vec![reserve("cpus:2"), launch(vec![task])];
    let fx = decide(&mut state, |state, fx| accept(state, call(vec![offer], operations), NOW, fx));
    let told = &fx.sent::<CheckpointResourcesMessage>()[0];
    assert_eq!(told.0, home());
    assert_eq!(Resources::from_wire(&told.1.resources).unwrap().cpus(), 2.0);
    assert_eq!(fx.sent::<RunTaskMessage>().len(), 1);
    assert_eq!(state.slaves.get(&s()).unwrap().total.to_string(), "cpus:2;cpus(web):2;mem:1024");
    assert_eq!(recovered(&fx), [("cpus:2;cpus(web):1;mem:1024".to_owned(), 5)]);
}

#[test]
fn operation_goes_to_slaves_that_know_operations_as_one() {
    use protos::mesos::internal::ApplyOperationMessage;
    use protos::mesos::slave_info::capability::Type as Capability;
    let (mut state, offer) = web(&[Capability::ResourceProvider]);
    let operations = vec![reserve("cpus:2")];
    let fx = decide(&mut state, |state, fx| accept(state, call(vec![offer], operations), NOW, fx));
    let (_, message) = fx.sent::<ApplyOperationMessage>().remove(0);
    let role = message.operation_info.reserve.unwrap().resources[0].allocation_info.clone();
    assert_eq!(role.unwrap().role(), "web");
    let entry = state.operations.get(&message.operation_uuid.value).unwrap();
    assert_eq!(entry.framework, Some(f()));
}

#[test]
fn operation_refused_changes_nothing_and_the_offer_goes_back() {
    let mut state = cluster();
    let offer = offered(&mut state, "cpus:1");
    // Its offers are of another role, and later of none at all.
    let mut named = reserve("cpus:1");
    named.id = Some(protos::mesos::OperationId { value: "o".into() });
    let disk = Operation { r#type: Some(Type::CreateDisk.into()), ..Default::default() };
    let operations = vec![reserve("cpus:1"), named, disk];
    let fx = decide(&mut state, |state, fx| accept(state, call(vec![offer], operations), NOW, fx));
    assert_eq!(refusals(&fx).len(), 3);
    assert_eq!(fx.sent::<FrameworkErrorMessage>().len(), 1);
    assert_eq!(recovered(&fx), [("cpus:1".to_owned(), 5)]);
    assert_eq!(state.slaves.get(&s()).unwrap().total.to_string(), "cpus:4;mem:1024");
}

fn group(ids: &[&str], kind: protos::mesos::executor_info::Type) -> Operation {
    use protos::mesos::offer::operation;
    let mut executor = executor_info("e");
    (executor.r#type, executor.command) = (Some(kind.into()), None);
    let tasks = ids.iter().map(|id| task_info(id)).collect();
    let task_group = protos::mesos::TaskGroupInfo { tasks };
    Operation {
        r#type: Some(Type::LaunchGroup.into()),
        launch_group: Some(operation::LaunchGroup { executor, task_group }),
        ..Default::default()
    }
}

#[test]
fn group_of_tasks_is_sent_whole_and_its_executor_paid_once() {
    use protos::mesos::executor_info::Type as Kind;
    use protos::mesos::internal::RunTaskGroupMessage;
    let mut state = cluster();
    let offer = offered(&mut state, "cpus:3;mem:256");
    let operations = vec![group(&["a", "b"], Kind::Default)];
    let fx = decide(&mut state, |state, fx| accept(state, call(vec![offer], operations), NOW, fx));
    let (_, message) = fx.sent::<RunTaskGroupMessage>().remove(0);
    assert_eq!((message.task_group.tasks.len(), message.launch_executor), (2, Some(true)));
    assert_eq!(recovered(&fx), [("cpus:0.5;mem:96".to_owned(), 5)]);
    let framework = state.frameworks.get(&f()).unwrap();
    assert_eq!((framework.tasks.active().len(), framework.executors[&s()].len()), (2, 1));
    assert_eq!(framework.used_on(&s()).cpus(), 2.5);
}

#[test]
fn group_with_one_bad_member_is_refused_whole() {
    use protos::mesos::executor_info::Type as Kind;
    let cases: [(Operation, &str); 4] = [
        (group(&["a", "a"], Kind::Default), "2.5 cpus"),
        (group(&["a", "b", "c", "d"], Kind::Default), "3 cpus are too few"),
        (group(&["a", "x/y"], Kind::Default), "bad id"),
        (group(&["a"], Kind::Unknown), "no type"),
    ];
    for (operation, case) in cases {
        let mut state = cluster();
        let offer = offered(&mut state, "cpus:3;mem:256");
        let tasks = operation.launch_group.as_ref().unwrap().task_group.tasks.len();
        let call = call(vec![offer], vec![operation]);
        let fx = decide(&mut state, |state, fx| accept(state, call, NOW, fx));
        let told = updates(&fx);
        assert_eq!(told.len(), tasks, "{case}");
        let reason: i32 = Reason::TaskGroupInvalid.into();
        assert!(told.iter().all(|(_, s, r)| *s == TaskState::TaskError && *r == reason), "{case}");
        assert!(state.frameworks.get(&f()).unwrap().tasks.active().is_empty());
        assert_eq!(recovered(&fx), [("cpus:3;mem:256".to_owned(), 5)]);
    }
}
