//! A scheduler subscribes: for the first time, after its own failover, or after the master's.

use std::collections::BTreeSet;

use libprocess::{Pid, Time};
use protos::ids::FrameworkId;
use protos::mesos;
use protos::mesos::internal::{
    FrameworkErrorMessage, FrameworkRegisteredMessage, FrameworkReregisteredMessage,
    UpdateFrameworkMessage,
};

use super::offers::rescind_all;
use super::update::read_constraints;
use crate::effects::{AllocatorCall, Effect, Effects};
use crate::security::Action;
use crate::state::{Framework, State, roles_of};
use crate::validation::framework::validate;

/// What a scheduler asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subscribe {
    pub(crate) info: mesos::FrameworkInfo,
    /// Takes over from another scheduler that has the id.
    pub(crate) force: bool,
    pub(crate) suppressed: BTreeSet<String>,
    /// Which slaves it wants offers of.
    pub(crate) constraints: Option<mesos::scheduler::OfferConstraints>,
}

/// Subscribes, or answers with an error and changes nothing.
pub(crate) fn subscribe(
    state: &mut State,
    from: &Pid,
    call: Subscribe,
    now: Time,
    fx: &mut Effects,
) {
    if !from.is_complete() {
        return fx.refuse(format!("subscription of '{from}': it cannot be answered"));
    }
    let checked = validate(&call.info, &state.config)
        .and_then(|()| authenticate(state, from, &call.info))
        .and_then(|()| authorize(state, &call.info))
        .and_then(|()| read_constraints(call.constraints.as_ref()).map(drop));
    if let Err(reason) = checked {
        return refuse(from, &reason, fx);
    }
    match call.info.id.as_ref().map(FrameworkId::from).filter(|id| !id.as_str().is_empty()) {
        None => match state.frameworks.by_pid(from) {
            // The scheduler repeats itself: its acknowledgement was lost.
            Some(framework) if framework.connected => greet(state, &framework.id.clone(), fx),
            _ => {
                let id = state.frameworks.new_id();
                add(state, id, from, call, now, fx);
            }
        },
        Some(id) if state.frameworks.is_completed(&id) => {
            refuse(from, "Framework has been removed", fx);
        }
        Some(id) if state.frameworks.get(&id).is_some() => {
            resubscribe(state, &id, from, call, now, fx);
        }
        // The master failed over and no slave has told of this framework yet.
        Some(id) => add(state, id, from, call, now, fx),
    }
}

/// A scheduler that proved who it is must not call itself otherwise.
fn authenticate(state: &State, from: &Pid, info: &mesos::FrameworkInfo) -> Result<(), String> {
    match (state.authenticated.get(from), &info.principal) {
        (None, _) if state.config.authenticate_frameworks => {
            Err(format!("Framework at {from} is not authenticated"))
        }
        (Some(proved), Some(claimed)) if proved != claimed => Err(format!(
            "Framework principal '{claimed}' does not match authenticated principal '{proved}'"
        )),
        _ => Ok(()),
    }
}

/// A framework must be allowed to use each of its roles.
pub(super) fn authorize(state: &State, info: &mesos::FrameworkInfo) -> Result<(), String> {
    let principal = info.principal.as_deref();
    let forbidden = roles_of(info)
        .into_iter()
        .find(|role| !state.allows(Action::RegisterFramework, principal, Some(role)));
    match forbidden {
        Some(role) => Err(format!("Not authorized to use role '{role}'")),
        None => Ok(()),
    }
}

pub(crate) fn refuse(to: &Pid, reason: &str, fx: &mut Effects) {
    fx.refuse(format!("subscription of {to}: {reason}"));
    fx.send(to, &FrameworkErrorMessage { message: reason.to_owned() });
}

fn add(
    state: &mut State,
    id: FrameworkId,
    from: &Pid,
    call: Subscribe,
    now: Time,
    fx: &mut Effects,
) {
    let mut framework = Framework::new(id.clone(), call.info, from.clone(), now);
    framework.suppressed = call.suppressed;
    // They were read before.
    framework.constraints = read_constraints(call.constraints.as_ref()).unwrap_or_default();
    let spec = framework.spec();
    fx.note(format!("framework {id} '{}' subscribed from {from}", framework.info.name));
    state.frameworks.connected_at(from, framework.info.principal.clone(), id.clone());
    state.frameworks.add(framework);
    fx.push(Effect::Link(from.clone()));
    let used = Default::default();
    fx.allocator(AllocatorCall::AddFramework { id: id.clone(), spec, active: true, used });
    greet(state, &id, fx);
}

fn resubscribe(
    state: &mut State,
    id: &FrameworkId,
    from: &Pid,
    call: Subscribe,
    now: Time,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get(id) else { return };
    let same = framework.pid == *from;
    if !same && !call.force && !framework.recovered {
        return refuse(from, "Framework failed over", fx);
    }
    if call.info.principal != framework.info.principal && !framework.recovered {
        return refuse(from, "changing a framework's principal is not supported", fx);
    }
    let old = framework.pid.clone();
    if !same && !old.is_empty() && framework.connected {
        fx.send(&old, &FrameworkErrorMessage { message: "Framework failed over".to_owned() });
    }
    // A scheduler that failed over knows nothing of its offers.
    rescind_all(state, id, same && !call.force, fx);
    update(state, id, from, call.clone(), now, fx);
    fx.note(format!("framework {id} subscribed again from {from}"));
    fx.push(Effect::Link(from.clone()));
    if same && !call.force {
        let (framework_id, master_info) = (id.wire(), state.info.clone());
        fx.send(from, &FrameworkReregisteredMessage { framework_id, master_info });
    } else {
        greet(state, id, fx);
    }
    if !same {
        tell_slaves(state, id, fx);
    }
}

fn update(
    state: &mut State,
    id: &FrameworkId,
    from: &Pid,
    call: Subscribe,
    now: Time,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get_mut(id) else { return };
    let mut info = call.info;
    // User and checkpointing are part of what runs already: they keep their values.
    if !framework.recovered {
        info.user = framework.info.user.clone();
        info.checkpoint = framework.info.checkpoint;
    }
    info.id = Some(id.wire());
    let (old, principal) = (framework.pid.clone(), info.principal.clone());
    framework.info = info;
    framework.pid = from.clone();
    framework.suppressed = call.suppressed;
    framework.constraints = read_constraints(call.constraints.as_ref()).unwrap_or_default();
    framework.epoch += 1;
    framework.reregistered = Some(now);
    (framework.connected, framework.active, framework.recovered) = (true, true, false);
    let spec = framework.spec();
    state.frameworks.disconnected_at(&old);
    state.frameworks.connected_at(from, principal, id.clone());
    fx.allocator(AllocatorCall::UpdateFramework(id.clone(), spec));
    fx.allocator(AllocatorCall::ActivateFramework(id.clone()));
}

fn greet(state: &State, id: &FrameworkId, fx: &mut Effects) {
    if let Some(framework) = state.frameworks.get(id) {
        let (framework_id, master_info) = (id.wire(), state.info.clone());
        fx.send(&framework.pid, &FrameworkRegisteredMessage { framework_id, master_info });
    }
}

/// Slaves that run something of the framework learn where its scheduler is now.
pub(super) fn tell_slaves(state: &State, id: &FrameworkId, fx: &mut Effects) {
    let Some(framework) = state.frameworks.get(id) else { return };
    let message = UpdateFrameworkMessage {
        framework_id: id.wire(),
        pid: Some(framework.pid.to_string()),
        framework_info: Some(framework.info.clone()),
    };
    for slave in state.slaves.iter().filter(|s| s.connected && framework.is_on(&s.id)) {
        fx.send(&slave.pid, &message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn run(state: &mut State, from: &Pid, id: Option<&str>, force: bool) -> Effects {
        let mut info = framework_info();
        info.id = id.map(|id| FrameworkId::new(id).wire());
        let call = Subscribe { info, force, suppressed: BTreeSet::new(), constraints: None };
        decide(state, |state, fx| subscribe(state, from, call, NOW, fx))
    }

    fn error(fx: &Effects) -> Option<(Pid, String)> {
        fx.sent::<FrameworkErrorMessage>().pop().map(|(to, m)| (to, m.message))
    }

    #[test]
    fn framework_without_id_gets_one_and_the_same_when_it_repeats_itself() {
        let mut state = empty();
        for _ in 0..2 {
            let fx = run(&mut state, &scheduler(), None, false);
            let (to, greeting) = fx.sent::<FrameworkRegisteredMessage>().remove(0);
            assert_eq!(to, scheduler());
            assert_eq!(greeting.framework_id.value, "M-0000");
            assert_eq!(greeting.master_info.id, "M");
        }
    }

    #[test]
    fn sender_without_pid_speaks_for_nobody() {
        let mut state = cluster();
        let framework = state.frameworks.get_mut(&f()).unwrap();
        (framework.pid, framework.recovered) = (Pid::empty(), true);
        assert!(state.frameworks.authentic(&f(), &Pid::empty()).is_err());
        let fx = run(&mut state, &Pid::empty(), Some("F"), true);
        assert_eq!((refusals(&fx).len(), fx.0.len()), (1, 1));
    }

    #[test]
    fn framework_of_another_master_keeps_its_id() {
        let mut state = empty();
        let fx = run(&mut state, &scheduler(), Some("old"), true);
        let (_, greeting) = fx.sent::<FrameworkRegisteredMessage>().remove(0);
        assert_eq!(greeting.framework_id.value, "old");
    }

    #[test]
    fn framework_removed_may_not_come_back() {
        let mut state = cluster();
        state.frameworks.complete(&f(), NOW);
        let fx = run(&mut state, &scheduler(), Some("F"), true);
        assert_eq!(error(&fx), Some((scheduler(), "Framework has been removed".to_owned())));
    }

    #[test]
    fn framework_failing_over_replaces_the_old_scheduler_when_it_insists() {
        let (mut state, other) = (cluster(), pid("scheduler(2)@10.0.0.4:1"));
        offered(&mut state, "cpus:1");
        running(&mut state, "t");
        let refused = (other.clone(), "Framework failed over".to_owned());
        assert_eq!(error(&run(&mut state, &other, Some("F"), false)), Some(refused));
        assert_eq!(state.offers.len(), 1);
        let fx = run(&mut state, &other, Some("F"), true);
        assert_eq!(error(&fx), Some((scheduler(), "Framework failed over".to_owned())));
        assert_eq!(fx.sent::<FrameworkRegisteredMessage>()[0].0, other);
        assert_eq!(fx.sent::<UpdateFrameworkMessage>()[0].1.pid, Some(other.to_string()));
        assert_eq!(state.offers.len(), 0);
        assert!(state.frameworks.authentic(&f(), &scheduler()).is_err());
    }

    #[test]
    fn framework_from_the_same_pid_is_reregistered_and_its_offers_rescinded() {
        use protos::mesos::internal::RescindResourceOfferMessage;
        let mut state = cluster();
        offered(&mut state, "cpus:1");
        decide(&mut state, |state, fx| {
            crate::calls::disconnect::exited(state, &scheduler(), fx);
        });
        offered_none(&state);
        let fx = run(&mut state, &scheduler(), Some("F"), false);
        assert_eq!(fx.sent::<FrameworkReregisteredMessage>().len(), 1);
        assert!(fx.sent::<RescindResourceOfferMessage>().is_empty());
        offered(&mut state, "cpus:1");
        let fx = run(&mut state, &scheduler(), Some("F"), false);
        assert_eq!(fx.sent::<RescindResourceOfferMessage>().len(), 1);
    }

    fn offered_none(state: &State) {
        assert_eq!(state.offers.len(), 0);
    }
}
