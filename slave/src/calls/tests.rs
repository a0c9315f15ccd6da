//! Decisions compared without any runtime.

mod checkpoints;
mod refusals;
mod reregister;

use libprocess::{Pid, Time};
use protos::ids::{ContainerId, ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::*;
use protos::mesos::task_status::Reason;
use protos::mesos::{self, TaskState};
use protos::resources::Resources;
use protos::status;

use super::run_task::{Fresh, hand_over, run_task};
use super::terminated::{End, terminated};
use super::{executors, kill, messages, shutdown, updates};
use crate::Config;
use crate::containerizer::Termination;
use crate::effects::{Effect, Effects};
use crate::state::{ExecutorState, State};

struct Fixture {
    state: State,
    fx: Effects,
    checkpoint: bool,
}

fn pid(text: &str) -> Pid {
    text.parse().unwrap()
}

fn framework() -> FrameworkId {
    FrameworkId::new("F")
}

impl Fixture {
    fn new() -> Self {
        let config = Config { work_dir: "/w".into(), ..Config::default() };
        let mut state = State::new(config, pid("slave(1)@1.1.1.1:1"), Time::EPOCH);
        state.info.id = Some(SlaveId::new("S").wire());
        state.master = Some(pid("master@2.2.2.2:2"));
        Self { state, fx: Effects::default(), checkpoint: false }
    }

    fn run(&mut self, task: &str, executor: Option<&str>) -> &mut Self {
        let fresh = Fresh { container: ContainerId::new("C"), uuid: [9; 16], now: Time::EPOCH };
        let message = self.task(task, executor);
        run_task(&mut self.state, message, &fresh, &mut self.fx);
        self
    }

    /// As [`Fixture::run`], from a master that says whether it expects a new executor.
    fn run_expecting(&mut self, task: &str, executor: Option<&str>, new: bool) -> &mut Self {
        let fresh = Fresh { container: ContainerId::new("C"), uuid: [9; 16], now: Time::EPOCH };
        let message = RunTaskMessage { launch_executor: Some(new), ..self.task(task, executor) };
        run_task(&mut self.state, message, &fresh, &mut self.fx);
        self
    }

    fn task(&self, task: &str, executor: Option<&str>) -> RunTaskMessage {
        let resources: Resources = "cpus:1;mem:64".parse().unwrap();
        let executor = executor.map(|id| mesos::ExecutorInfo {
            executor_id: ExecutorId::new(id).wire(),
            command: Some(mesos::CommandInfo::default()),
            ..Default::default()
        });
        let command = executor.is_none().then(mesos::CommandInfo::default);
        RunTaskMessage {
            framework: mesos::FrameworkInfo {
                id: Some(framework().wire()),
                checkpoint: Some(self.checkpoint),
                ..Default::default()
            },
            pid: Some("scheduler@3.3.3.3:3".into()),
            task: mesos::TaskInfo {
                task_id: TaskId::new(task).wire(),
                slave_id: SlaveId::new("S").wire(),
                resources: resources.to_wire(),
                executor: executor.map(Box::new),
                command,
                ..Default::default()
            },
            ..Default::default()
        }
    }

    /// The executor registers and gets its tasks.
    fn register(&mut self, executor: &str) -> &mut Self {
        let message = RegisterExecutorMessage {
            framework_id: framework().wire(),
            executor_id: ExecutorId::new(executor).wire(),
        };
        let from = pid("executor(1)@1.1.1.1:9");
        let uuid = || [7; 16];
        let (state, fx) = (&mut self.state, &mut self.fx);
        executors::register(state, &from, &message, false, Time::EPOCH, uuid, fx);
        hand_over(&mut self.state, &framework(), &ExecutorId::new(executor), &mut self.fx);
        self
    }

    fn report(&mut self, task: &str, state: TaskState, uuid: u8) -> &mut Self {
        let update = status::of(&TaskId::new(task), state, 1.0).uuid([uuid; 16]);
        let update = update.update(&framework());
        let message = StatusUpdateMessage { update, pid: None };
        let from = pid("executor(1)@1.1.1.1:9");
        updates::from_executor(&mut self.state, &from, message, &mut self.fx);
        self
    }

    fn end(&mut self, executor: &str, termination: Termination, launch_failed: bool) -> &mut Self {
        let (executor, container) = (ExecutorId::new(executor), ContainerId::new("C"));
        let end = End { framework: framework(), executor, container, termination, launch_failed };
        let mut number = 0;
        let uuid = || {
            number += 1;
            [number; 16]
        };
        terminated(&mut self.state, &end, Time::EPOCH, uuid, &mut self.fx);
        self
    }

    /// The last update of a task is acknowledged.
    fn closed(&mut self, task: &TaskId) -> &mut Self {
        updates::closed(&mut self.state, &framework(), task, &mut self.fx);
        self
    }

    fn kill(&mut self, task: &str) -> &mut Self {
        let message = KillTaskMessage {
            framework_id: framework().wire(),
            task_id: TaskId::new(task).wire(),
            kill_policy: None,
        };
        kill::kill(&mut self.state, &message, [7; 16], Time::EPOCH, &mut self.fx);
        self
    }

    /// (task, state, reason) of the updates made so far.
    fn updates(&self) -> Vec<(String, TaskState, Option<Reason>)> {
        let seen = self.fx.updates().into_iter().map(|update| {
            let reason = update.status.reason.map(|_| update.status.reason());
            (update.status.task_id.value.clone(), update.status.state(), reason)
        });
        seen.collect()
    }

    fn task_state(&self, executor: &str, task: &str) -> TaskState {
        let executor = self.state.executor(&framework(), &ExecutorId::new(executor)).unwrap();
        executor.launched[&TaskId::new(task)].state()
    }
}

#[test]
fn command_task_gets_an_executor_of_its_own() {
    let mut fixture = Fixture::new();
    fixture.run("t", None);
    let launch = Effect::Launch(framework(), ExecutorId::new("t"));
    assert!(fixture.fx.0.contains(&launch));
    let executor = fixture.state.executor(&framework(), &ExecutorId::new("t")).unwrap();
    assert!(executor.generated);
    assert_eq!(executor.resources().to_string(), "cpus:1.1;mem:96");
    fixture.register("t");
    assert_eq!(fixture.fx.sent::<ExecutorRegisteredMessage>().len(), 1);
    assert_eq!(fixture.fx.sent::<RunTaskMessage>()[0].1.task.task_id.value, "t");
}

#[test]
fn tasks_of_one_executor_share_its_container_and_keep_their_order() {
    let mut fixture = Fixture::new();
    fixture.run("a", Some("e")).run("b", Some("e")).register("e").run("c", Some("e"));
    hand_over(&mut fixture.state, &framework(), &ExecutorId::new("e"), &mut fixture.fx);
    let launches = fixture.fx.0.iter().filter(|e| matches!(e, Effect::Launch(..))).count();
    assert_eq!(launches, 1);
    let sent = fixture.fx.sent::<RunTaskMessage>();
    let order: Vec<_> = sent.iter().map(|(_, m)| m.task.task_id.value.as_str()).collect();
    assert_eq!(order, ["a", "b", "c"]);
}

#[test]
fn task_for_another_slave_or_with_a_bad_id_changes_nothing() {
    let mut fixture = Fixture::new();
    fixture.state.info.id = Some(SlaveId::new("other").wire());
    fixture.run("t", None);
    fixture.state.info.id = Some(SlaveId::new("S").wire());
    fixture.run("../t", None);
    assert!(fixture.state.frameworks.is_empty());
    assert!(fixture.fx.0.iter().all(|effect| matches!(effect, Effect::Refused(_))));
}

#[test]
fn terminal_state_never_changes() {
    let mut fixture = Fixture::new();
    fixture.run("t", None).register("t");
    fixture.report("t", TaskState::TaskRunning, 1).report("t", TaskState::TaskFinished, 2);
    fixture.report("t", TaskState::TaskFailed, 3).report("t", TaskState::TaskRunning, 4);
    assert_eq!(fixture.task_state("t", "t"), TaskState::TaskFinished);
    assert_eq!(fixture.updates().len(), 2);
    // Updates that came too late are acknowledged all the same.
    let acknowledged = fixture.fx.sent::<StatusUpdateAcknowledgementMessage>();
    let uuids: Vec<u8> = acknowledged.iter().map(|(_, m)| m.uuid[0]).collect();
    assert_eq!(uuids, [3, 4]);
}

#[test]
fn update_that_breaks_a_rule_is_dropped() {
    let mut fixture = Fixture::new();
    fixture.run("t", None).register("t");
    let mut message = StatusUpdateMessage {
        update: status::of(&TaskId::new("t"), TaskState::TaskRunning, 0.0).update(&framework()),
        pid: None,
    };
    let from = pid("executor(1)@1.1.1.1:9");
    updates::from_executor(&mut fixture.state, &from, message.clone(), &mut fixture.fx);
    message.update.uuid = Some(vec![1; 16].into());
    message.update.slave_id = Some(SlaveId::new("other").wire());
    updates::from_executor(&mut fixture.state, &from, message.clone(), &mut fixture.fx);
    message.update.framework_id = FrameworkId::new("stranger").wire();
    updates::from_executor(&mut fixture.state, &from, message, &mut fixture.fx);
    assert_eq!(fixture.updates(), []);
    fixture.report("t", TaskState::TaskStaging, 5);
    let executor = fixture.state.executor(&framework(), &ExecutorId::new("t")).unwrap();
    assert_eq!(executor.state, ExecutorState::Terminating);
}

#[test]
fn container_end_gives_every_open_task_its_last_state() {
    use TaskState::*;
    let oom = Termination {
        state: Some(TaskFailed),
        reason: Some(Reason::ContainerLimitationMemory),
        ..Termination::default()
    };
    let cases = [
        (Termination::default(), false, TaskFailed, Reason::ExecutorTerminated),
        (Termination::default(), true, TaskFailed, Reason::ContainerLaunchFailed),
        (oom, false, TaskFailed, Reason::ContainerLimitationMemory),
    ];
    for (termination, launch_failed, state, reason) in cases {
        let mut fixture = Fixture::new();
        fixture.run("ended", Some("e")).run("open", Some("e")).register("e");
        fixture.report("ended", TaskFinished, 1).run("queued", Some("e"));
        fixture.end("e", termination, launch_failed);
        let expected = ["ended", "open", "queued"].map(str::to_owned);
        let updates = fixture.updates();
        assert_eq!(updates.iter().map(|u| u.0.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(&updates[1].1, &state);
        assert_eq!(&updates[1].2, &Some(reason));
        assert_eq!(fixture.fx.sent::<ExitedExecutorMessage>().len(), 1);
        // It stays in the books until its tasks' last updates are acknowledged.
        for task in expected {
            fixture.closed(&TaskId::new(task));
        }
        assert!(fixture.state.frameworks.is_empty());
    }
}

#[test]
fn command_executor_end_is_not_reported_as_an_executors() {
    let mut fixture = Fixture::new();
    fixture.run("t", None).register("t").end("t", Termination::default(), false);
    assert!(fixture.fx.sent::<ExitedExecutorMessage>().is_empty());
}

#[test]
fn kill_of_every_kind_of_task() {
    let mut fixture = Fixture::new();
    fixture.run("queued", None).kill("queued");
    let killed = ("queued".to_owned(), TaskState::TaskKilled, Some(Reason::TaskKilledDuringLaunch));
    assert_eq!(fixture.updates(), [killed]);
    assert!(fixture.fx.0.iter().any(|effect| matches!(effect, Effect::Destroy(_))));

    let mut fixture = Fixture::new();
    fixture.run("t", Some("e")).register("e").kill("t").kill("nobody");
    assert_eq!(fixture.fx.sent::<KillTaskMessage>().len(), 1);
    let lost = ("nobody".to_owned(), TaskState::TaskLost, Some(Reason::ExecutorTerminated));
    assert_eq!(fixture.updates(), [lost]);
}

#[test]
fn executor_that_is_unknown_late_or_twice_is_sent_away() {
    let mut fixture = Fixture::new();
    fixture.register("nobody");
    assert_eq!(fixture.fx.sent::<ShutdownExecutorMessage>().len(), 1);
    fixture.run("t", None).register("t");
    fixture.state.executor_mut(&framework(), &ExecutorId::new("t")).unwrap().pid =
        Some(pid("executor(1)@1.1.1.1:8"));
    fixture.register("t");
    assert_eq!(fixture.fx.sent::<ShutdownExecutorMessage>().len(), 2);
}

#[test]
fn executor_that_never_registers_is_destroyed() {
    let mut fixture = Fixture::new();
    fixture.run("t", None);
    let (executor, container) = (ExecutorId::new("t"), ContainerId::new("C"));
    let (state, fx) = (&mut fixture.state, &mut fixture.fx);
    executors::registration_timed_out(state, &framework(), &executor, &container, fx);
    assert!(fx.0.contains(&Effect::Destroy(container)));
    fixture.end("t", Termination::default(), false);
    assert_eq!(fixture.updates()[0].2, Some(Reason::ExecutorRegistrationTimeout));
}

#[test]
fn framework_shut_down_ends_its_executors_and_silences_their_updates() {
    let mut fixture = Fixture::new();
    fixture.run("t", Some("e")).register("e");
    shutdown::shut_down_framework(&mut fixture.state, &framework(), &mut fixture.fx);
    assert_eq!(fixture.fx.sent::<ShutdownExecutorMessage>().len(), 1);
    fixture.report("t", TaskState::TaskKilled, 1).end("e", Termination::default(), false);
    assert_eq!(fixture.updates(), []);
    assert!(fixture.state.frameworks.is_empty());
    assert_eq!(fixture.state.completed.len(), 1);
}

#[test]
fn messages_reach_only_running_executors() {
    let mut fixture = Fixture::new();
    let message = FrameworkToExecutorMessage {
        slave_id: SlaveId::new("S").wire(),
        framework_id: framework().wire(),
        executor_id: ExecutorId::new("e").wire(),
        data: "hi".into(),
    };
    fixture.run("t", Some("e"));
    messages::to_executor(&fixture.state, &message, &mut fixture.fx);
    assert!(fixture.fx.sent::<FrameworkToExecutorMessage>().is_empty());
    fixture.register("e");
    messages::to_executor(&fixture.state, &message, &mut fixture.fx);
    assert_eq!(fixture.fx.sent::<FrameworkToExecutorMessage>().len(), 1);
}

#[test]
fn reconciliation_reports_only_unknown_tasks_as_lost() {
    let mut fixture = Fixture::new();
    fixture.run("known", None).register("known");
    let asked = |task: &str| status::of(&TaskId::new(task), TaskState::TaskRunning, 0.0).build();
    let message = ReconcileTasksMessage {
        framework_id: framework().wire(),
        statuses: vec![asked("known"), asked("unknown")],
        framework: None,
    };
    updates::reconcile(&mut fixture.state, &message, Time::EPOCH, || [1; 16], &mut fixture.fx);
    let lost = ("unknown".to_owned(), TaskState::TaskLost, Some(Reason::Reconciliation));
    assert_eq!(fixture.updates(), [lost]);
}

#[test]
fn slave_serves_these_messages() {
    let names = libprocess::message_names::<crate::Slave>();
    let names: Vec<_> = names.iter().map(|n| n.trim_start_matches("mesos.internal.")).collect();
    let expected = [
        "AcknowledgeOperationStatusMessage",
        "ApplyOperationMessage",
        "CheckpointResourcesMessage",
        "ExecutorToFrameworkMessage",
        "FrameworkToExecutorMessage",
        "KillTaskMessage",
        "PingSlaveMessage",
        "ReconcileOperationsMessage",
        "RegisterExecutorMessage",
        "ReregisterExecutorMessage",
        "RunTaskGroupMessage",
        "RunTaskMessage",
        "ShutdownExecutorMessage",
        "ShutdownFrameworkMessage",
        "ShutdownMessage",
        "SlaveRegisteredMessage",
        "SlaveReregisteredMessage",
        "StatusUpdateAcknowledgementMessage",
        "StatusUpdateMessage",
        "UpdateFrameworkMessage",
    ];
    assert_eq!(names, expected);
}
