//! Executors that come back to a restarted slave.

use super::*;
use crate::calls::reregister::{reconnect, reregister, reregistration_timed_out};

const FROM: &str = "executor(1)@1.1.1.1:9";

impl Fixture {
    /// A slave that found an executor with a task on disk.
    fn recovered(task: TaskState) -> Self {
        let mut fixture = Self { checkpoint: true, ..Self::new() };
        fixture.run("t", Some("e")).register("e");
        let executor = fixture.executor();
        executor.state = ExecutorState::Registering;
        executor.launched.get_mut(&TaskId::new("t")).unwrap().set_state(task);
        fixture.fx = Effects::default();
        fixture
    }

    fn executor(&mut self) -> &mut crate::state::Executor {
        self.state.executor_mut(&framework(), &ExecutorId::new("e")).unwrap()
    }

    fn comes_back(&mut self, tasks: &[&str], updates: Vec<StatusUpdate>) -> &mut Self {
        let task =
            |id: &&str| mesos::TaskInfo { task_id: TaskId::new(*id).wire(), ..Default::default() };
        let message = ReregisterExecutorMessage {
            framework_id: framework().wire(),
            executor_id: ExecutorId::new("e").wire(),
            tasks: tasks.iter().map(task).collect(),
            updates,
        };
        let (state, fx) = (&mut self.state, &mut self.fx);
        reregister(state, &pid(FROM), message, Time::EPOCH, || [5; 16], fx);
        self
    }
}

#[test]
fn executor_is_asked_and_comes_back_with_its_task() {
    let mut fixture = Fixture::recovered(TaskState::TaskRunning);
    reconnect(&fixture.state, &mut fixture.fx);
    assert_eq!(fixture.fx.sent::<ReconnectExecutorMessage>()[0].0, pid(FROM));
    fixture.comes_back(&[], Vec::new());
    assert_eq!(fixture.executor().state, ExecutorState::Running);
    assert_eq!(fixture.fx.sent::<ExecutorReregisteredMessage>().len(), 1);
    assert!(fixture.updates().is_empty());
}

#[test]
fn executor_that_comes_back_tells_what_it_could_not_tell_before() {
    let mut fixture = Fixture::recovered(TaskState::TaskRunning);
    let update = status::of(&TaskId::new("t"), TaskState::TaskFinished, 1.0).uuid([3; 16]);
    fixture.comes_back(&[], vec![update.update(&framework())]);
    assert_eq!(fixture.task_state("e", "t"), TaskState::TaskFinished);
    assert_eq!(fixture.updates().len(), 1);
}

#[test]
fn task_that_the_executor_never_got_is_dropped() {
    let mut fixture = Fixture::recovered(TaskState::TaskStaging);
    fixture.comes_back(&[], Vec::new());
    let updates = fixture.updates();
    assert_eq!(updates[0].1, TaskState::TaskLost);
    assert_eq!(updates[0].2, Some(Reason::SlaveRestarted));
    let mut fixture = Fixture::recovered(TaskState::TaskStaging);
    fixture.comes_back(&["t"], Vec::new());
    assert!(fixture.updates().is_empty());
}

#[test]
fn executor_that_registers_with_a_recovering_slave_never_got_its_task() {
    let mut fixture = Fixture::recovered(TaskState::TaskStaging);
    let message = RegisterExecutorMessage {
        framework_id: framework().wire(),
        executor_id: ExecutorId::new("e").wire(),
    };
    let (state, fx) = (&mut fixture.state, &mut fixture.fx);
    executors::register(state, &pid(FROM), &message, true, Time::EPOCH, || [5; 16], fx);
    assert_eq!(fixture.updates()[0].2, Some(Reason::SlaveRestarted));
    assert_eq!(fixture.executor().state, ExecutorState::Running);
}

#[test]
fn executor_that_asks_twice_is_answered_twice() {
    let mut fixture = Fixture::new();
    fixture.run("t", Some("e")).register("e").register("e");
    assert_eq!(fixture.fx.sent::<ExecutorRegisteredMessage>().len(), 2);
    assert!(fixture.fx.sent::<ShutdownExecutorMessage>().is_empty());
    assert_eq!(fixture.fx.sent::<RunTaskMessage>().len(), 1);
}

#[test]
fn executor_that_does_not_come_back_is_destroyed() {
    let mut fixture = Fixture::recovered(TaskState::TaskRunning);
    reregistration_timed_out(&mut fixture.state, &mut fixture.fx);
    assert!(fixture.fx.0.contains(&Effect::Destroy(ContainerId::new("C"))));
    fixture.end("e", Termination::default(), false);
    assert_eq!(fixture.updates()[0].2, Some(Reason::ExecutorReregistrationTimeout));
}

#[test]
fn executor_that_is_terminating_does_not_come_back() {
    let mut fixture = Fixture::recovered(TaskState::TaskRunning);
    let (state, fx) = (&mut fixture.state, &mut fixture.fx);
    shutdown::shut_down_executor(state, &framework(), &ExecutorId::new("e"), fx);
    fixture.comes_back(&[], Vec::new());
    assert_eq!(fixture.executor().state, ExecutorState::Terminating);
    assert!(fixture.fx.sent::<ExecutorReregisteredMessage>().is_empty());
}
