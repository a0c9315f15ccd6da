//! A cluster small enough to see through, for tests of decisions.

use libprocess::{Pid, Time};
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::internal::StatusUpdateMessage;
use protos::mesos::offer::{Operation, operation};
use protos::mesos::{self, TaskState};
use protos::resources::Resources;

use crate::Config;
use crate::calls::offers::offer;
use crate::effects::{AllocatorCall, Effect, Effects};
use crate::state::{Framework, Slave, State};

pub(crate) const NOW: Time = Time::EPOCH;

pub(crate) fn pid(text: &str) -> Pid {
    text.parse().unwrap()
}

/// Where the scheduler of framework `F` is.
pub(crate) fn scheduler() -> Pid {
    pid("scheduler(1)@10.0.0.3:1")
}

/// Where slave `S` is.
pub(crate) fn home() -> Pid {
    pid("slave(1)@10.0.0.2:5051")
}

pub(crate) fn f() -> FrameworkId {
    FrameworkId::new("F")
}

pub(crate) fn s() -> SlaveId {
    SlaveId::new("S")
}

/// A master without slaves and frameworks.
pub(crate) fn empty() -> State {
    State::new(Config::default(), "M", pid("master@10.0.0.1:5050"), NOW)
}

/// A master with slave `S` (4 cpus, 1024 MB) and framework `F`.
pub(crate) fn cluster() -> State {
    cluster_with(&[])
}

/// As [`cluster`]; the framework has these capabilities.
pub(crate) fn cluster_with(capabilities: &[mesos::framework_info::capability::Type]) -> State {
    let mut state = empty();
    state.slaves.add(Slave::new(s(), slave_info(), home(), NOW));
    let mut info = framework_info();
    info.capabilities = capabilities
        .iter()
        .map(|of| mesos::framework_info::Capability { r#type: Some((*of).into()) })
        .collect();
    state.frameworks.add(Framework::new(f(), info, scheduler(), NOW));
    state
}

pub(crate) fn framework_info() -> mesos::FrameworkInfo {
    mesos::FrameworkInfo { user: "user".into(), name: "test".into(), ..Default::default() }
}

pub(crate) fn slave_info() -> mesos::SlaveInfo {
    mesos::SlaveInfo {
        id: Some(s().wire()),
        hostname: "host".into(),
        resources: resources("cpus:4;mem:1024").to_wire(),
        ..Default::default()
    }
}

pub(crate) fn resources(text: &str) -> Resources {
    text.parse().unwrap()
}

/// Offers resources of `S` to `F`.
pub(crate) fn offered(state: &mut State, text: &str) -> OfferId {
    let allocation = [("*".to_owned(), [(s(), resources(text).allocated_to("*"))].into())];
    let before: Vec<_> = state.offers.iter().map(|offer| offer.id.clone()).collect();
    offer(state, &f(), allocation.into(), &mut Effects::default());
    let mut ids = state.offers.iter().map(|offer| offer.id.clone());
    ids.find(|id| !before.contains(id)).unwrap()
}

/// A command task for `S`.
pub(crate) fn task_info(id: &str) -> mesos::TaskInfo {
    mesos::TaskInfo {
        name: id.into(),
        task_id: TaskId::new(id).wire(),
        slave_id: s().wire(),
        resources: resources("cpus:1;mem:64").to_wire(),
        command: Some(mesos::CommandInfo::default()),
        ..Default::default()
    }
}

pub(crate) fn executor_info(id: &str) -> mesos::ExecutorInfo {
    mesos::ExecutorInfo {
        executor_id: ExecutorId::new(id).wire(),
        command: Some(mesos::CommandInfo::default()),
        resources: resources("cpus:0.5;mem:32").to_wire(),
        ..Default::default()
    }
}

pub(crate) fn launch(tasks: Vec<mesos::TaskInfo>) -> Operation {
    Operation {
        r#type: Some(operation::Type::Launch.into()),
        launch: Some(operation::Launch { task_infos: tasks }),
        ..Default::default()
    }
}

/// A task as slaves tell of it: of `F`, on `S`, with one cpu.
pub(crate) fn task(id: &str, state: TaskState) -> mesos::Task {
    mesos::Task {
        task_id: TaskId::new(id).wire(),
        framework_id: f().wire(),
        slave_id: s().wire(),
        state: state.into(),
        resources: resources("cpus:1").allocated_to("*").to_wire(),
        ..Default::default()
    }
}

/// A status without anything but its state.
pub(crate) fn status(state: TaskState) -> mesos::TaskStatus {
    mesos::TaskStatus { state: state.into(), ..Default::default() }
}

/// Enters a task of `F` on `S` into the books.
pub(crate) fn running(state: &mut State, id: &str) {
    let entry = task(id, TaskState::TaskRunning);
    state.frameworks.get_mut(&f()).unwrap().tasks.add(id.into(), entry);
}

/// Runs a decision.
pub(crate) fn decide(state: &mut State, run: impl FnOnce(&mut State, &mut Effects)) -> Effects {
    let mut fx = Effects::default();
    run(state, &mut fx);
    fx
}

/// Task, state and reason of each update that frameworks are sent.
pub(crate) fn updates(fx: &Effects) -> Vec<(String, TaskState, i32)> {
    let sent = fx.sent::<StatusUpdateMessage>().into_iter();
    sent.map(|(_, m)| {
        let status = m.update.status;
        (status.task_id.value.clone(), status.state(), status.reason.unwrap_or_default())
    })
    .collect()
}

/// What is given back to the allocator, as text, with the filter's seconds.
pub(crate) fn recovered(fx: &Effects) -> Vec<(String, u64)> {
    let back = |call: &AllocatorCall| match call {
        AllocatorCall::Recover { resources, refuse_for, .. } => {
            Some((resources.to_string(), refuse_for.unwrap_or_default().as_secs()))
        }
        _ => None,
    };
    fx.calls().into_iter().filter_map(back).collect()
}

/// Reasons of what was refused.
pub(crate) fn refusals(fx: &Effects) -> Vec<&str> {
    let mut reasons = Vec::new();
    for effect in &fx.0 {
        if let Effect::Refused { reason } = effect {
            reasons.push(reason.as_str());
        }
    }
    reasons
}
