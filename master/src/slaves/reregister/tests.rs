use super::*;
use crate::testing::*;
use protos::mesos::internal::{ShutdownFrameworkMessage, SlaveReregisteredMessage};
use protos::mesos::{self, TaskState};

fn message(tasks: Vec<mesos::Task>) -> ReregisterSlaveMessage {
    let version = Some("1.11.0".into());
    let mut info = framework_info();
    info.id = Some(f().wire());
    let (slave, frameworks) = (slave_info(), vec![info]);
    ReregisterSlaveMessage { slave, version, tasks, frameworks, ..Default::default() }
}

fn run(state: &mut State, message: ReregisterSlaveMessage) -> Effects {
    decide(state, |state, fx| reregister(state, &home(), message, NOW, fx))
}

#[test]
fn slave_registered_is_told_what_it_did_not_mention() {
    let mut state = cluster();
    for id in ["kept", "missing"] {
        running(&mut state, id);
    }
    state.slaves.get_mut(&s()).unwrap().pending_kills.insert((f(), "kept".into()));
    let fx = run(&mut state, message(vec![task("kept", TaskState::TaskRunning)]));
    let (to, greeting) = fx.sent::<SlaveReregisteredMessage>().remove(0);
    assert_eq!(to, home());
    assert_eq!(greeting.reconciliations[0].statuses[0].task_id.value, "missing");
    assert_eq!(greeting.reconciliations[0].statuses.len(), 1);
    assert_eq!(fx.sent::<KillTaskMessage>()[0].1.task_id.value, "kept");
    assert!(fx.calls().contains(&&AllocatorCall::ActivateSlave(s())));
}

#[test]
fn task_that_had_ended_is_told_again_and_never_lost() {
    let mut state = cluster();
    running(&mut state, "ended");
    let framework = state.frameworks.get_mut(&f()).unwrap();
    let finished = status::of(&"ended".into(), TaskState::TaskFinished, 1.0).build();
    framework.tasks.update(&"ended".into(), &finished, None, TaskState::TaskFinished);
    let fx = run(&mut state, message(vec![]));
    let (_, greeting) = fx.sent::<SlaveReregisteredMessage>().remove(0);
    assert!(greeting.reconciliations.is_empty());
    let told = fx.sent::<protos::mesos::internal::StatusUpdateMessage>();
    assert_eq!(told[0].1.update.status.state(), TaskState::TaskFinished);
    let tasks = &state.frameworks.get(&f()).unwrap().tasks;
    assert!(tasks.active().is_empty());
    assert_eq!(tasks.completed().count(), 1);
}

#[test]
fn slave_with_another_description_waits_for_the_registry() {
    let mut state = cluster();
    let mut message = message(vec![]);
    message.slave.resources = resources("cpus:8;mem:1024").to_wire();
    let fx = run(&mut state, message.clone());
    let [Effect::Registry { operation, .. }] = &fx.0[..] else { panic!("{fx:?}") };
    assert!(matches!(**operation, Operation::Update(..)));
    assert_eq!(state.slaves.get(&s()).unwrap().total.cpus(), 4.0);
    let fx = decide(&mut state, |state, fx| updated(state, &home(), message, NOW, fx));
    assert_eq!(fx.sent::<SlaveReregisteredMessage>().len(), 1);
    assert_eq!(state.slaves.get(&s()).unwrap().total.cpus(), 8.0);
}

#[test]
fn slave_unknown_is_let_in_with_its_tasks_and_their_framework() {
    let mut state = empty();
    let message = message(vec![task("t", TaskState::TaskRunning)]);
    let fx = run(&mut state, message.clone());
    assert!(matches!(fx.0[..], [Effect::Registry { .. }]));
    assert!(run(&mut state, message.clone()).0.is_empty(), "a repeated one waits");
    assert!(state.frameworks.get(&f()).is_none());
    let fx = decide(&mut state, |state, fx| readmitted(state, &home(), message, NOW, fx));
    let framework = state.frameworks.get(&f()).unwrap();
    assert!(framework.recovered && !framework.active);
    assert!(framework.tasks.get(&"t".into()).is_some());
    let used: BTreeMap<_, _> = [(f(), resources("cpus:1").allocated_to("*"))].into();
    let told = |call: &AllocatorCall| match call {
        AllocatorCall::AddSlave { used, .. } => Some(used.clone()),
        _ => None,
    };
    assert_eq!(fx.calls().into_iter().find_map(told), Some(used));
}

#[test]
fn slave_unreachable_brings_its_tasks_back() {
    let mut state = cluster();
    running(&mut state, "t");
    decide(&mut state, |state, fx| super::super::lost::unreachable(state, &s(), NOW, fx));
    let message = message(vec![task("t", TaskState::TaskRunning)]);
    let fx = decide(&mut state, |state, fx| readmitted(state, &home(), message, NOW, fx));
    let reason = Reason::SlaveReregistered.into();
    assert_eq!(updates(&fx), [("t".to_owned(), TaskState::TaskRunning, reason)]);
    assert!(state.slaves.unreachable_since(&s()).is_none());
}

#[test]
fn task_told_ended_does_not_live_again() {
    let mut state = cluster();
    running(&mut state, "t");
    decide(&mut state, |state, fx| super::super::lost::exited(state, &home(), NOW, fx));
    let fx = run(&mut state, message(vec![task("t", TaskState::TaskRunning)]));
    assert_eq!(fx.sent::<KillTaskMessage>()[0].1.task_id.value, "t");
    assert!(state.frameworks.get(&f()).unwrap().tasks.active().is_empty());
    assert!(state.slaves.get(&s()).unwrap().connected);
}

#[test]
fn framework_completed_is_shut_down_on_the_slave() {
    let mut state = cluster();
    state.frameworks.complete(&f(), NOW);
    let fx = run(&mut state, message(vec![task("t", TaskState::TaskRunning)]));
    assert_eq!(fx.sent::<ShutdownFrameworkMessage>().len(), 1);
    assert!(state.frameworks.get(&f()).is_none());
}

#[test]
fn slave_removed_or_moved_is_shut_down() {
    type Spoil = fn(&mut State, &mut ReregisterSlaveMessage);
    let spoil: [Spoil; 2] = [
        |state, _| drop(state.slaves.remove(&s())),
        |_, message| message.slave.hostname = "elsewhere".into(),
    ];
    for spoil in spoil {
        let (mut state, mut message) = (cluster(), message(vec![]));
        spoil(&mut state, &mut message);
        assert_eq!(run(&mut state, message).sent::<ShutdownMessage>()[0].0, home());
    }
}

/// What becomes of a slave that comes back.
#[derive(Debug, PartialEq)]
enum Fate {
    Greeted,
    /// The registry is asked first.
    Registry(Operation),
    ShutDown,
    Ignored,
}

fn fate(state: &mut State, message: ReregisterSlaveMessage) -> Fate {
    let fx = run(state, message);
    let operation = fx.0.iter().find_map(|effect| match effect {
        Effect::Registry { operation, .. } => Some((**operation).clone()),
        _ => None,
    });
    match operation {
        Some(operation) => Fate::Registry(operation),
        None if !fx.sent::<SlaveReregisteredMessage>().is_empty() => Fate::Greeted,
        None if !fx.sent::<ShutdownMessage>().is_empty() => Fate::ShutDown,
        None => Fate::Ignored,
    }
}

/// Each list that a slave may be in when it comes back, with and without `--registry_strict`.
#[test]
fn slave_that_comes_back_fares_by_the_list_that_it_is_in() {
    type Place = fn(&mut State);
    let known = message(vec![]).slave;
    let reachable = || Fate::Registry(Operation::MarkReachable(s(), known.clone()));
    let changed = mesos::SlaveInfo { port: Some(9), ..known.clone() };
    let cases: [(&str, Place, Fate, Fate); 8] = [
        ("registered", |_| {}, Fate::Greeted, Fate::Greeted),
        (
            "recovered",
            |state| {
                state.slaves.lose(&s(), NOW);
                let recovered = [(s(), slave_info())].into();
                state.slaves.recover(recovered, Default::default(), Default::default());
            },
            Fate::Greeted,
            Fate::Greeted,
        ),
        (
            "recovered with another description",
            |state| {
                state.slaves.lose(&s(), NOW);
                let changed = mesos::SlaveInfo { port: Some(9), ..slave_info() };
                let recovered = [(s(), changed)].into();
                state.slaves.recover(recovered, Default::default(), Default::default());
            },
            Fate::Registry(Operation::Update(s(), known.clone())),
            Fate::Registry(Operation::Update(s(), known.clone())),
        ),
        ("unreachable", |state| drop(state.slaves.lose(&s(), NOW)), reachable(), Fate::ShutDown),
        ("nowhere", |state| *state = empty(), reachable(), Fate::ShutDown),
        ("gone", |state| drop(state.slaves.mark_gone(&s(), NOW)), Fate::ShutDown, Fate::ShutDown),
        ("removed", |state| drop(state.slaves.remove(&s())), Fate::ShutDown, Fate::ShutDown),
        (
            "changing",
            |state| assert!(state.slaves.begin_change(&s())),
            Fate::Ignored,
            Fate::Ignored,
        ),
    ];
    for (list, place, usual, strict) in cases {
        for (is_strict, expected) in [(false, usual), (true, strict)] {
            let mut state = cluster();
            place(&mut state);
            std::sync::Arc::make_mut(&mut state.config).registry_strict = is_strict;
            assert_eq!(fate(&mut state, message(vec![])), expected, "{list}, strict {is_strict}");
        }
    }
    let mut state = cluster();
    let message = ReregisterSlaveMessage { slave: changed.clone(), ..message(vec![]) };
    assert_eq!(fate(&mut state, message), Fate::Registry(Operation::Update(s(), changed)));
}

#[test]
fn slave_that_remembers_reservations_keeps_them() {
    use protos::mesos::resource::{ReservationInfo, reservation_info::Type as Kind};
    let info = ReservationInfo {
        r#type: Some(Kind::Dynamic.into()),
        role: Some("web".into()),
        ..Default::default()
    };
    let reserved = resources("cpus:2").push_reservation(&info);
    let mut state = empty();
    let message =
        ReregisterSlaveMessage { checkpointed_resources: reserved.to_wire(), ..message(vec![]) };
    decide(&mut state, |state, fx| readmitted(state, &home(), message, NOW, fx));
    let total = &state.slaves.get(&s()).unwrap().total;
    assert_eq!(total.to_string(), "cpus:2;cpus(web):2;mem:1024");
}
