//! UPDATE_FRAMEWORK: another description, other roles, other constraints, without subscribing again.

use std::collections::BTreeSet;

use allocator::OfferConstraints;
use protos::ids::FrameworkId;
use protos::mesos;
use protos::mesos::internal::FrameworkErrorMessage;
use protos::mesos::scheduler::OfferConstraints as WireConstraints;

use super::offers::rescind;
use super::subscribe::{authorize, tell_slaves};
use crate::effects::{AllocatorCall, Effects};
use crate::state::State;
use crate::validation::framework::validate;

/// What a framework wants to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub(crate) info: mesos::FrameworkInfo,
    pub(crate) suppressed: BTreeSet<String>,
    pub(crate) constraints: Option<WireConstraints>,
}

/// Updates, or tells why not and changes nothing.
pub(crate) fn update(state: &mut State, id: &FrameworkId, update: Update, fx: &mut Effects) {
    let checked = validate(&update.info, &state.config)
        .and_then(|()| authorize(state, &update.info))
        .and_then(|()| same_principal(state, id, &update.info))
        .and_then(|()| read_constraints(update.constraints.as_ref()));
    let constraints = match checked {
        Ok(constraints) => constraints,
        Err(message) => {
            fx.refuse(format!("update of framework {id}: {message}"));
            if let Some(framework) = state.frameworks.get(id) {
                fx.send(&framework.pid, &FrameworkErrorMessage { message });
            }
            return;
        }
    };
    let Some(framework) = state.frameworks.get_mut(id) else { return };
    let mut info = update.info;
    // Parts of what runs already: they keep their values.
    info.id = Some(id.wire());
    info.user = framework.info.user.clone();
    info.checkpoint = framework.info.checkpoint;
    framework.info = info;
    framework.suppressed = update.suppressed;
    framework.constraints = constraints;
    let (spec, roles) = (framework.spec(), framework.roles());
    let left: Vec<_> = framework
        .offers
        .iter()
        .filter(|offer| state.offers.get(offer).is_some_and(|o| !roles.contains(&o.role)))
        .cloned()
        .collect();
    fx.allocator(AllocatorCall::UpdateFramework(id.clone(), spec));
    for offer in left {
        rescind(state, &offer, true, fx);
    }
    fx.note(format!("framework {id} updated"));
    tell_slaves(state, id, fx);
}

/// Reads constraints; none of them when there are none.
///
/// # Errors
/// The first rule broken, as text for the framework.
pub(crate) fn read_constraints(wire: Option<&WireConstraints>) -> Result<OfferConstraints, String> {
    match wire {
        None => Ok(OfferConstraints::default()),
        Some(wire) => OfferConstraints::new(wire).map_err(|error| error.to_string()),
    }
}

fn same_principal(
    state: &State,
    id: &FrameworkId,
    info: &mesos::FrameworkInfo,
) -> Result<(), String> {
    let known = state.frameworks.get(id);
    match known.is_some_and(|framework| framework.info.principal != info.principal) {
        true => Err("changing a framework's principal is not supported".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use protos::mesos::internal::{RescindResourceOfferMessage, UpdateFrameworkMessage};

    fn run(state: &mut State, change: fn(&mut mesos::FrameworkInfo)) -> Effects {
        let mut info = framework_info();
        change(&mut info);
        let call = Update { info, suppressed: BTreeSet::new(), constraints: None };
        decide(state, |state, fx| update(state, &f(), call, fx))
    }

    #[test]
    fn framework_that_leaves_a_role_loses_the_offers_of_it() {
        let mut state = cluster();
        running(&mut state, "t");
        offered(&mut state, "cpus:1");
        let fx = run(&mut state, |info| {
            info.role = Some("web".into());
            info.user = "other".into();
        });
        assert_eq!(fx.sent::<RescindResourceOfferMessage>().len(), 1);
        assert_eq!(fx.sent::<UpdateFrameworkMessage>()[0].0, home());
        let framework = state.frameworks.get(&f()).unwrap();
        assert_eq!((framework.info.role(), framework.info.user.as_str()), ("web", "user"));
    }

    #[test]
    fn framework_update_that_is_not_valid_changes_nothing() {
        type Spoil = fn(&mut mesos::FrameworkInfo);
        let spoil: [Spoil; 2] =
            [|info| info.role = Some("a//b".into()), |info| info.principal = Some("p".into())];
        for spoil in spoil {
            let mut state = cluster();
            let fx = run(&mut state, spoil);
            assert_eq!(fx.sent::<FrameworkErrorMessage>().len(), 1);
            assert_eq!(state.frameworks.get(&f()).unwrap().info.role(), "*");
        }
    }
}
