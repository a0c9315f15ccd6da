use std::time::Duration;

use protos::ids::{ExecutorId, FrameworkId};

use super::*;

fn pid(text: &str) -> Pid {
    text.parse().unwrap()
}

fn slave() -> Pid {
    pid("slave(1)@10.0.0.1:5051")
}

fn session(checkpoint: bool) -> Session {
    let mut session = Session::new(Environment {
        slave_pid: slave(),
        slave: SlaveId::new("S"),
        framework: FrameworkId::new("F"),
        executor: ExecutorId::new("E"),
        checkpoint,
        recovery_timeout: Duration::from_secs(900),
        shutdown_grace: Duration::from_secs(5),
        local: false,
    });
    session.start(pid("executor(1)@10.0.0.1:9"));
    session
}

fn registered(checkpoint: bool) -> Session {
    let mut session = session(checkpoint);
    session.registered(ExecutorRegisteredMessage::default());
    session
}

fn task(id: &str) -> TaskInfo {
    TaskInfo { task_id: TaskId::new(id).wire(), ..TaskInfo::default() }
}

fn running(id: &str) -> TaskStatus {
    protos::status::of(&TaskId::new(id), TaskState::TaskRunning, 0.0).build()
}

#[test]
fn status_update_carries_ids_source_and_uuid() {
    let uuid = Uuid::from_bytes([7; 16]);
    let effects = registered(false).update(running("T"), uuid, 3.0);
    let [Effect::Update(to, message)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(*to, slave());
    assert_eq!(message.pid.as_deref(), Some("executor(1)@10.0.0.1:9"));
    let update = &message.update;
    assert_eq!(update.uuid.as_deref(), Some(&[7; 16][..]));
    assert_eq!(update.status.uuid, update.uuid);
    assert_eq!(update.timestamp, 3.0);
    assert_eq!(update.status.source(), Source::Executor);
    assert_eq!(update.executor_id.as_ref().unwrap().value, "E");
    assert_eq!(update.slave_id.as_ref().unwrap().value, "S");
}

#[test]
fn reconnect_sends_what_was_not_acknowledged_in_order() {
    let mut session = registered(true);
    for id in ["A", "B", "C"] {
        session.run(task(id));
        let uuid = Uuid::from_bytes([id.as_bytes()[0]; 16]);
        session.update(running(id), uuid, 1.0);
    }
    session.acknowledged(&TaskId::new("B"), &bytes::Bytes::from_static(&[b'B'; 16]));
    let back = pid("slave(1)@10.0.0.1:6000");
    let effects = session.reconnect(&back, &SlaveId::new("S"));
    let [Effect::Link(linked), Effect::Reregister(to, message)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!((linked, to), (&back, &back));
    let tasks: Vec<&str> = message.tasks.iter().map(|t| t.task_id.value.as_str()).collect();
    let updates: Vec<u8> = message.updates.iter().map(|u| u.uuid.as_ref().unwrap()[0]).collect();
    assert_eq!((tasks, updates), (vec!["A", "C"], vec![b'A', b'C']));
}

#[test]
fn reconnect_to_another_slave_id_is_ignored() {
    let effects = registered(true).reconnect(&slave(), &SlaveId::new("other"));
    assert!(matches!(effects[..], [Effect::Note(_)]));
}

#[test]
fn slave_exited_without_checkpointing_shuts_down() {
    for mut session in [session(false), registered(false), session(true)] {
        let effects = session.exited(&slave());
        assert!(effects.contains(&Effect::Tell(Event::Shutdown)), "{effects:?}");
        assert!(effects.contains(&Effect::KillGroupLater));
        assert!(session.run(task("T")).is_empty());
    }
}

#[test]
fn slave_exited_with_checkpointing_is_waited_for() {
    let mut session = registered(true);
    let expected = [Effect::Tell(Event::Disconnected), Effect::AwaitSlave(1)];
    assert_eq!(session.exited(&slave()), expected);
    session.reregistered(&SlaveId::new("S"), SlaveInfo::default());
    assert!(session.waited(1).is_empty());
    session.exited(&slave());
    assert!(session.waited(2).contains(&Effect::Tell(Event::Shutdown)));
}

#[test]
fn shutdown_executor_may_still_report_its_tasks() {
    let mut session = registered(false);
    session.shutdown();
    let effects = session.update(running("T"), Uuid::from_bytes([1; 16]), 1.0);
    assert!(matches!(effects[..], [Effect::Update(..)]));
    assert!(session.shutdown().is_empty());
}

#[test]
fn staging_update_is_an_error() {
    let mut session = registered(false);
    let mut status = running("T");
    status.set_state(TaskState::TaskStaging);
    let effects = session.update(status, Uuid::from_bytes([1; 16]), 1.0);
    assert!(matches!(effects[..], [Effect::Tell(Event::Error(_)), Effect::Abort]));
    assert!(session.is_aborted());
}
