//! ACCEPT: operations on the resources of offers.
//!
//! Stages: the offers are validated together and consumed; the operations run in order on what is
//! left; the rest goes back with the filter that the framework asked for.

mod group;
mod launch;
mod operate;

use std::time::Duration;

use libprocess::Time;
use protos::ids::{FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::offer::{Operation, operation::Type};
use protos::mesos::task_status::{Reason, Source};
use protos::mesos::{TaskInfo, TaskState};
use protos::resources::Resources;
use protos::status;

use super::{aware, tell};
use crate::effects::{AllocatorCall, Effects};
use crate::state::State;

pub(crate) use operate::{apply_to_slave, count, rescind_holding};

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
    /// What operations made that may not be used by this ACCEPT any more.
    later: Resources,
}

impl Consumed {
    /// Takes what a task or executor holds. Shared volumes stay for others: one more copy of them
    /// is held, which the allocator must hear of.
    fn take(
        &mut self,
        framework: &FrameworkId,
        total: &Resources,
        held: &Resources,
        fx: &mut Effects,
    ) {
        self.rest = self.rest.minus(&held.non_shared());
        let shared = held.shared();
        if !shared.is_empty() {
            fx.allocator(AllocatorCall::Convert {
                framework: Some(framework.clone()),
                slave: self.slave.clone(),
                total: total.clone(),
                before: Resources::new(),
                after: shared,
            });
        }
    }
}

/// Carries an ACCEPT out.
pub(crate) fn accept(state: &mut State, call: Accept, now: Time, fx: &mut Effects) {
    match consume(state, &call, fx) {
        Err(reason) => {
            fx.refuse(format!("accept by framework {}: {reason}", call.framework));
            drop_tasks(state, &call, &reason, Reason::InvalidOffers, now, fx);
        }
        Ok(consumed) => {
            for _ in &call.offers {
                fx.count_of(&call.framework, "offers/accepted");
            }
            run(state, call, consumed, now, fx);
        }
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
        (None, Some((slave, role))) => Ok(Consumed { slave, role, rest, later: Resources::new() }),
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
    let left = consumed.rest.plus(&consumed.later);
    fx.recover(&call.framework, &consumed.slave, left, call.refuse_for);
}

fn apply(
    state: &mut State,
    framework: &FrameworkId,
    operation: &Operation,
    consumed: &mut Consumed,
    now: Time,
    fx: &mut Effects,
) {
    let kind = operation.r#type().as_str_name().to_lowercase();
    fx.count_of(framework, "operations");
    fx.count_of(framework, format!("operations/{kind}"));
    match (operation.r#type(), &operation.launch, &operation.launch_group) {
        (Type::Launch, Some(launch), _) => {
            for task in &launch.task_infos {
                launch::launch_task(state, framework, task.clone(), consumed, now, fx);
            }
        }
        (Type::LaunchGroup, _, Some(group)) => {
            group::launch_group(state, framework, group, consumed, now, fx);
        }
        _ => operate::operate(state, framework, operation, consumed, fx),
    }
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
    fx.count_end(framework_id, &answer.clone().build());
    tell(framework, answer, fx);
}

/// Tasks of an ACCEPT whose offers are not valid, or whose slave is gone. One that is in the books
/// already was launched by the same ACCEPT, which came twice: it goes on.
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
    let fresh = |task: &&TaskInfo| framework.tasks.get(&TaskId::from(&task.task_id)).is_none();
    for task in launches.filter(fresh) {
        let state = aware(framework, TaskState::TaskDropped);
        let answer = status::of(&TaskId::from(&task.task_id), state, now.as_secs_f64())
            .source(Source::Master)
            .reason(reason)
            .slave(&SlaveId::from(&task.slave_id))
            .message(format!("Task launched with invalid offers: {why}"));
        fx.count_end(&call.framework, &answer.clone().build());
        tell(framework, answer, fx);
    }
}

#[cfg(test)]
mod tests;
