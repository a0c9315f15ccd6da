//! ACCEPT: operations on the resources of offers.
//!
//! Stages: the offers are validated together and consumed; the operations run in order on what is
//! left; the rest goes back with the filter that the framework asked for.

use std::time::Duration;

use libprocess::Time;
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos;
use protos::mesos::internal::{FrameworkErrorMessage, ResourceVersionUuid, RunTaskMessage};
use protos::mesos::offer::{Operation, operation::Type};
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{TaskInfo, TaskState};
use protos::resources::Resources;
use protos::status;

use super::{aware, tell};
use crate::effects::Effects;
use crate::state::{State, TaskEntry};
use crate::validation::task::{Placement, validate};

/// What a framework does with offers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accept {
    pub(crate) framework: FrameworkId,
    pub(crate) offers: Vec<OfferId>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) refuse_for: Option<Duration>,
}

/// Offers that were consumed together.
struct Consumed {
    slave: SlaveId,
    role: String,
    /// What is left, allocated to the role.
    rest: Resources,
}

/// Carries an ACCEPT out.
pub(crate) fn accept(state: &mut State, call: Accept, now: Time, fx: &mut Effects) {
    match consume(state, &call, fx) {
        Err(reason) => {
            fx.refuse(format!("accept by framework {}: {reason}", call.framework));
            drop_tasks(state, &call, &reason, Reason::InvalidOffers, now, fx);
        }
        Ok(consumed) => run(state, call, consumed, now, fx),
    }
}

/// Takes the offers off the books. When one is not valid, the others go back.
fn consume(state: &mut State, call: &Accept, fx: &mut Effects) -> Result<Consumed, String> {
    let problem = check_offers(state, call).err();
    let (mut rest, mut place) = (Resources::new(), None);
    for id in &call.offers {
        let own = state.offers.get(id).is_some_and(|offer| offer.framework == call.framework);
        let Some(offer) = own.then(|| state.take_offer(id)).flatten() else { continue };
        if problem.is_some() {
            fx.recover(&offer.framework, &offer.slave, offer.resources, None);
        } else {
            rest += &offer.resources;
            place = Some((offer.slave, offer.role));
        }
    }
    match (problem, place) {
        (None, Some((slave, role))) => Ok(Consumed { slave, role, rest }),
        (Some(problem), _) => Err(problem),
        (None, None) => Err("no offers are given".to_owned()),
    }
}

fn check_offers(state: &State, call: &Accept) -> Result<(), String> {
    let mut first: Option<(&SlaveId, &str)> = None;
    let mut seen = std::collections::BTreeSet::new();
    for id in &call.offers {
        if !seen.insert(id) {
            return Err(format!("offer {id} is given twice"));
        }
        let offer = state.offers.get(id).filter(|offer| offer.framework == call.framework);
        let offer = offer.ok_or_else(|| format!("offer {id} is no longer valid"))?;
        let place = (&offer.slave, offer.role.as_str());
        if *first.get_or_insert(place) != place {
            return Err("offers are of different slaves or roles".to_owned());
        }
    }
    Ok(())
}

fn run(state: &mut State, call: Accept, mut consumed: Consumed, now: Time, fx: &mut Effects) {
    let usable = match state.slaves.get(&consumed.slave) {
        None => Err(("slave was removed", Reason::SlaveRemoved)),
        Some(slave) if !slave.connected => {
            Err(("slave is disconnected", Reason::SlaveDisconnected))
        }
        Some(_) => Ok(()),
    };
    match usable {
        Err((why, reason)) => drop_tasks(state, &call, why, reason, now, fx),
        Ok(()) => {
            for operation in &call.operations {
                apply(state, &call.framework, operation, &mut consumed, now, fx);
            }
        }
    }
    fx.recover(&call.framework, &consumed.slave, consumed.rest, call.refuse_for);
}

fn apply(
    state: &mut State,
    framework: &FrameworkId,
    operation: &Operation,
    consumed: &mut Consumed,
    now: Time,
    fx: &mut Effects,
) {
    match (operation.r#type(), &operation.launch, &operation.launch_group) {
        (Type::Launch, Some(launch), _) => {
            for task in &launch.task_infos {
                launch_task(state, framework, task.clone(), consumed, now, fx);
            }
        }
        (Type::LaunchGroup, _, Some(group)) => {
            let why = "task groups need an executor of the v1 API";
            for task in &group.task_group.tasks {
                refuse_task(state, framework, task, why, Reason::TaskGroupInvalid, now, fx);
            }
        }
        (kind, _, _) => {
            let message = format!("operation {} is not supported", kind.as_str_name());
            fx.refuse(format!("accept by framework {framework}: {message}"));
            if let Some(framework) = state.frameworks.get(framework) {
                fx.send(&framework.pid, &FrameworkErrorMessage { message });
            }
        }
    }
}

fn launch_task(
    state: &mut State,
    framework_id: &FrameworkId,
    mut task: TaskInfo,
    consumed: &mut Consumed,
    now: Time,
    fx: &mut Effects,
) {
    if let Some(executor) = &mut task.executor {
        executor.framework_id.get_or_insert_with(|| framework_id.wire());
    }
    let Some(framework) = state.frameworks.get(framework_id) else { return };
    let Some(slave) = state.slaves.get(&consumed.slave) else { return };
    let placement = Placement { framework, slave, role: &consumed.role, free: &consumed.rest };
    let needs = match validate(&task, &placement) {
        Ok(needs) => needs,
        Err(error) => {
            let (why, reason) = (error.to_string(), Reason::TaskInvalid);
            return refuse_task(state, framework_id, &task, &why, reason, now, fx);
        }
    };
    consumed.rest = consumed.rest.minus(&needs.task).minus(&needs.executor);
    task.resources = needs.task.to_wire();
    if let Some(executor) = &mut task.executor {
        executor.resources = needs.executor_total.to_wire();
    }
    let message = RunTaskMessage {
        framework_id: None,
        framework: framework.info.clone(),
        pid: Some(framework.pid.to_string()),
        task: task.clone(),
        resource_version_uuids: slave.resource_version.iter().map(version_of).collect(),
        launch_executor: Some(task.executor.is_none() || needs.new_executor),
    };
    fx.note(format!(
        "task {} of framework {framework_id} launched on slave {}",
        message.task.task_id.value, slave.id
    ));
    fx.send(&slave.pid, &message);
    book(state, framework_id, &consumed.slave, task);
}

/// The version of the slave's own resources that the task was accepted against.
fn version_of(uuid: &mesos::Uuid) -> ResourceVersionUuid {
    ResourceVersionUuid { resource_provider_id: None, uuid: uuid.clone() }
}

/// Enters an accepted task, and its executor if that is new, into the framework's books.
fn book(state: &mut State, framework_id: &FrameworkId, slave: &SlaveId, task: TaskInfo) {
    let Some(framework) = state.frameworks.get_mut(framework_id) else { return };
    let executor_id = task.executor.as_ref().map(|executor| executor.executor_id.clone());
    let command = task.command.as_ref().or(task.executor.as_ref().and_then(|e| e.command.as_ref()));
    let user = command.and_then(|c| c.user.clone()).or_else(|| Some(framework.info.user.clone()));
    if let Some(executor) = task.executor {
        let executors = framework.executors.entry(slave.clone()).or_default();
        executors.entry(ExecutorId::from(&executor.executor_id)).or_insert(executor);
    }
    let id = TaskId::from(&task.task_id);
    let entry = TaskEntry::new(mesos::Task {
        name: task.name,
        task_id: task.task_id,
        framework_id: framework_id.wire(),
        executor_id,
        slave_id: slave.wire(),
        state: TaskState::TaskStaging.into(),
        resources: task.resources,
        labels: task.labels,
        discovery: task.discovery,
        container: task.container,
        user,
        health_check: task.health_check,
        kill_policy: task.kill_policy,
        limits: task.limits,
        ..Default::default()
    });
    framework.tasks.add(id, entry);
}

fn refuse_task(
    state: &State,
    framework_id: &FrameworkId,
    task: &TaskInfo,
    why: &str,
    reason: Reason,
    now: Time,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get(framework_id) else { return };
    let id = TaskId::from(&task.task_id);
    fx.refuse(format!("task {id} of framework {framework_id}: {why}"));
    let answer = status::of(&id, TaskState::TaskError, now.as_secs_f64())
        .source(Source::Master)
        .reason(reason)
        .slave(&SlaveId::from(&task.slave_id))
        .message(why);
    tell(framework, answer, fx);
}

/// Tasks of an ACCEPT whose offers are not valid, or whose slave is gone.
fn drop_tasks(
    state: &State,
    call: &Accept,
    why: &str,
    reason: Reason,
    now: Time,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get(&call.framework) else { return };
    let launches = call.operations.iter().flat_map(|operation| {
        let single = operation.launch.iter().flat_map(|launch| &launch.task_infos);
        single.chain(operation.launch_group.iter().flat_map(|group| &group.task_group.tasks))
    });
    for task in launches {
        let state = aware(framework, TaskState::TaskDropped);
        let answer = status::of(&TaskId::from(&task.task_id), state, now.as_secs_f64())
            .source(Source::Master)
            .reason(reason)
            .slave(&SlaveId::from(&task.slave_id))
            .message(format!("Task launched with invalid offers: {why}"));
        tell(framework, answer, fx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

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
            let executor = Some(executor_info("e"));
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

    #[test]
    fn accept_operation_that_is_not_supported_is_told() {
        let mut state = cluster();
        let offer = offered(&mut state, "cpus:1");
        let reserve = Operation { r#type: Some(Type::Reserve.into()), ..Default::default() };
        let fx = decide(&mut state, |state, fx| {
            accept(state, call(vec![offer], vec![reserve]), NOW, fx)
        });
        assert_eq!(fx.sent::<FrameworkErrorMessage>().len(), 1);
        assert_eq!(recovered(&fx), [("cpus:1".to_owned(), 5)]);
    }
}
