//! Inverse offers: frameworks are asked to leave slaves that will not be available.

use std::collections::BTreeMap;
use std::time::Duration;

use allocator::InverseStatus;
use protos::ids::{FrameworkId, OfferId, SlaveId};
use protos::mesos;
use protos::mesos::internal::{InverseOffersMessage, RescindInverseOfferMessage};

use super::offers::url;
use crate::effects::{AllocatorCall, Effects};
use crate::state::State;

/// Asks a framework to leave slaves.
pub(crate) fn offer(
    state: &mut State,
    id: &FrameworkId,
    slaves: BTreeMap<SlaveId, mesos::Unavailability>,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get(id).filter(|f| f.connected && f.active) else {
        return;
    };
    let (mut inverse_offers, mut pids) = (Vec::new(), Vec::new());
    for (slave_id, unavailability) in slaves {
        let Some(slave) = state.slaves.get(&slave_id).filter(|slave| slave.connected) else {
            continue;
        };
        let offer = state.offers.add_inverse(id.clone(), slave_id.clone());
        inverse_offers.push(mesos::InverseOffer {
            id: offer.wire(),
            url: Some(url(slave)),
            framework_id: id.wire(),
            slave_id: Some(slave_id.wire()),
            unavailability,
            resources: Vec::new(),
        });
        pids.push(slave.pid.to_string());
    }
    if !inverse_offers.is_empty() {
        fx.send(&framework.pid, &InverseOffersMessage { inverse_offers, pids });
    }
}

/// ACCEPT_INVERSE_OFFERS and DECLINE_INVERSE_OFFERS.
pub(crate) fn answer(
    state: &mut State,
    framework: &FrameworkId,
    ids: &[OfferId],
    status: InverseStatus,
    refuse_for: Option<Duration>,
    fx: &mut Effects,
) {
    for id in ids {
        let Some(slave) = state.offers.take_inverse(id, framework) else {
            fx.refuse(format!("answer by framework {framework}: unknown inverse offer {id}"));
            continue;
        };
        fx.allocator(AllocatorCall::InverseAnswer {
            slave,
            framework: framework.clone(),
            status: Some(status),
            refuse_for,
        });
    }
}

/// Takes all inverse offers of a slave back.
pub(crate) fn rescind_slave(state: &mut State, slave: &SlaveId, fx: &mut Effects) {
    for (id, framework) in state.offers.take_inverse_of(slave) {
        if let Some(framework) = state.frameworks.get(&framework).filter(|f| f.connected) {
            let message = RescindInverseOfferMessage { inverse_offer_id: id.wire() };
            fx.send(&framework.pid, &message);
        }
        let slave = slave.clone();
        let (status, refuse_for) = (None, None);
        fx.allocator(AllocatorCall::InverseAnswer { slave, framework, status, refuse_for });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn asked(state: &mut State) -> OfferId {
        let slaves = [(s(), mesos::Unavailability::default())].into();
        let fx = decide(state, |state, fx| offer(state, &f(), slaves, fx));
        let (to, message) = fx.sent::<InverseOffersMessage>().remove(0);
        assert_eq!((to, message.inverse_offers.len()), (scheduler(), 1));
        OfferId::from(&message.inverse_offers[0].id)
    }

    #[test]
    fn inverse_offer_is_answered_once_and_by_its_framework_alone() {
        let mut state = cluster();
        let ids = [asked(&mut state)];
        let (accepted, other) = (InverseStatus::Accepted, FrameworkId::new("other"));
        let fx = decide(&mut state, |state, fx| answer(state, &other, &ids, accepted, None, fx));
        assert_eq!((refusals(&fx).len(), fx.0.len()), (1, 1));
        let fx = decide(&mut state, |state, fx| {
            answer(state, &f(), &ids, accepted, None, fx);
            answer(state, &f(), &ids, accepted, None, fx);
        });
        assert!(matches!(fx.calls()[0], AllocatorCall::InverseAnswer { .. }));
        assert_eq!((refusals(&fx).len(), fx.0.len()), (1, 2));
    }

    #[test]
    fn inverse_offers_of_a_slave_are_taken_back_with_the_plan() {
        let mut state = cluster();
        asked(&mut state);
        let fx = decide(&mut state, |state, fx| rescind_slave(state, &s(), fx));
        assert_eq!(fx.sent::<RescindInverseOfferMessage>().len(), 1);
        assert!(decide(&mut state, |state, fx| rescind_slave(state, &s(), fx)).0.is_empty());
    }
}
