//! Offers: made from allocations, rescinded, timed out.

use allocator::Allocation;
use libprocess::Pid;
use protos::ids::{FrameworkId, OfferId, SlaveId};
use protos::mesos;
use protos::mesos::framework_info::capability::Type as Capability;
use protos::mesos::internal::{RescindResourceOfferMessage, ResourceOffersMessage};
use protos::resources::Resources;

use crate::effects::{Effect, Effects, Reminder};
use crate::state::{Framework, Offer, Slave, State};

/// Offers what the allocator gave; gives back what cannot be offered any more.
pub(crate) fn offer(
    state: &mut State,
    framework_id: &FrameworkId,
    allocation: Allocation,
    fx: &mut Effects,
) {
    let (mut offers, mut pids) = (Vec::new(), Vec::new());
    for (role, by_slave) in allocation {
        for (slave_id, resources) in by_slave {
            if is_given_twice(state, &slave_id, &resources) {
                // Its books and the allocator's differ since the allocator started over with the
                // slave, or since an operation: who gave what before is told anew.
                fx.refuse(format!("allocation on slave {slave_id}: {resources} are not free"));
                fx.push(Effect::Resync(slave_id));
                continue;
            }
            match make(state, framework_id, &slave_id, &role, resources.clone()) {
                Some((offer, pid)) => {
                    let id = OfferId::from(&offer.id);
                    offers.push(offer);
                    pids.push(pid.to_string());
                    if let Some(timeout) = state.config.offer_timeout {
                        fx.push(Effect::Remind(timeout, Reminder::OfferTimeout(id)));
                    }
                }
                None => fx.recover(framework_id, &slave_id, resources, None),
            }
        }
    }
    if let Some(framework) = state.frameworks.get(framework_id)
        && !offers.is_empty()
    {
        fx.send(&framework.pid, &ResourceOffersMessage { offers, pids });
    }
}

/// On a slave that the allocator started over with, an allocation must fit what is free.
fn is_given_twice(state: &State, id: &SlaveId, resources: &Resources) -> bool {
    let Some(slave) = state.slaves.get(id).filter(|slave| slave.restarted) else { return false };
    // Shared volumes may be held by several at once.
    !slave.total.contains(&resources.once_each().shared())
        || !state.free_on(id).contains(&resources.unallocated().non_shared())
}

fn make(
    state: &mut State,
    framework_id: &FrameworkId,
    slave_id: &SlaveId,
    role: &str,
    resources: Resources,
) -> Option<(mesos::Offer, Pid)> {
    let slave = state.slaves.get(slave_id).filter(|slave| slave.connected && slave.active)?;
    let framework = state.frameworks.get_mut(framework_id).filter(|f| f.connected && f.active)?;
    let (framework_key, slave_key) = (framework_id.clone(), slave_id.clone());
    let offer = state.offers.add(framework_key, slave_key, role.to_owned(), resources);
    framework.offers.insert(offer.id.clone());
    let unavailability = state.maintenance.unavailability(slave).cloned();
    Some((wire(offer, framework, slave, unavailability), slave.pid.clone()))
}

fn wire(
    offer: &Offer,
    framework: &Framework,
    slave: &Slave,
    unavailability: Option<mesos::Unavailability>,
) -> mesos::Offer {
    let multi_role = framework.has(Capability::MultiRole);
    let mut resources = match framework.has(Capability::ReservationRefinement) {
        true => offer.resources.to_refined(),
        false => offer.resources.to_wire(),
    };
    if !multi_role {
        resources.iter_mut().for_each(|resource| resource.allocation_info = None);
    }
    let executors = framework.executors.get(&slave.id);
    mesos::Offer {
        id: offer.id.wire(),
        framework_id: framework.id.wire(),
        slave_id: slave.id.wire(),
        hostname: slave.info.hostname.clone(),
        resources,
        executor_ids: executors.into_iter().flatten().map(|(id, _)| id.wire()).collect(),
        attributes: slave.info.attributes.clone(),
        url: Some(url(slave)),
        unavailability,
        allocation_info: multi_role
            .then(|| mesos::resource::AllocationInfo { role: Some(offer.role.clone()) }),
        domain: slave.info.domain.clone(),
    }
}

/// `http://<ip>:<port>/slave(1)`.
pub(super) fn url(slave: &Slave) -> mesos::Url {
    let address = slave.pid.address();
    mesos::Url {
        scheme: "http".to_owned(),
        address: mesos::Address {
            hostname: Some(slave.info.hostname.clone()),
            ip: Some(address.ip().to_string()),
            port: i32::from(address.port()),
        },
        path: Some(format!("/{}", slave.pid.id())),
        ..Default::default()
    }
}

/// Takes an offer back from its framework, and its resources with it.
pub(crate) fn rescind(state: &mut State, id: &OfferId, tell: bool, fx: &mut Effects) {
    let Some(offer) = state.take_offer(id) else { return };
    let framework = state.frameworks.get(&offer.framework);
    if let Some(framework) = framework.filter(|framework| tell && framework.connected) {
        fx.send(&framework.pid, &RescindResourceOfferMessage { offer_id: id.wire() });
    }
    fx.recover(&offer.framework, &offer.slave, offer.resources, None);
}

/// Takes all offers of a framework back.
pub(crate) fn rescind_all(state: &mut State, id: &FrameworkId, tell: bool, fx: &mut Effects) {
    let offers = state.frameworks.get(id).map(|framework| framework.offers.clone());
    for offer in offers.into_iter().flatten() {
        rescind(state, &offer, tell, fx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn offer_shows_the_allocation_to_multi_role_frameworks_only() {
        for (capabilities, shown) in [(vec![], false), (vec![Capability::MultiRole], true)] {
            let mut state = cluster_with(&capabilities);
            let allocation: Allocation =
                [("*".to_owned(), [(s(), resources("cpus:1").allocated_to("*"))].into())].into();
            let fx = decide(&mut state, |state, fx| offer(state, &f(), allocation, fx));
            let (to, message) = fx.sent::<ResourceOffersMessage>().remove(0);
            let made = &message.offers[0];
            assert_eq!(to, scheduler());
            assert_eq!(message.pids, [home().to_string()]);
            assert_eq!(made.id.value, "M-O0");
            assert_eq!(made.allocation_info.is_some(), shown);
            assert_eq!(made.resources[0].allocation_info.is_some(), shown);
            assert_eq!(made.url.as_ref().unwrap().path(), "/slave(1)");
        }
    }

    #[test]
    fn offer_of_what_cannot_be_offered_goes_back() {
        type Spoil = fn(&mut State);
        let spoil: [Spoil; 3] = [
            |state| state.slaves.get_mut(&s()).unwrap().active = false,
            |state| state.frameworks.get_mut(&f()).unwrap().active = false,
            |state| drop(state.slaves.remove(&s())),
        ];
        for spoil in spoil {
            let mut state = cluster();
            spoil(&mut state);
            let allocation: Allocation =
                [("*".to_owned(), [(s(), resources("cpus:1"))].into())].into();
            let fx = decide(&mut state, |state, fx| offer(state, &f(), allocation, fx));
            assert_eq!(recovered(&fx), [("cpus:1".to_owned(), 0)]);
            assert_eq!((fx.0.len(), state.offers.len()), (1, 0));
        }
    }

    #[test]
    fn offer_of_what_was_given_before_the_allocator_started_over_is_not_made_twice() {
        let mut state = cluster();
        state.slaves.get_mut(&s()).unwrap().restarted = true;
        running(&mut state, "t");
        offered(&mut state, "cpus:2");
        let allocation: Allocation =
            [("*".to_owned(), [(s(), resources("cpus:2").allocated_to("*"))].into())].into();
        let fx = decide(&mut state, |state, fx| offer(state, &f(), allocation, fx));
        assert_eq!((refusals(&fx).len(), fx.0.len(), state.offers.len()), (1, 2, 1));
        assert!(fx.0.contains(&Effect::Resync(s())));
    }

    #[test]
    fn offer_rescinded_is_told_and_goes_back_once() {
        let mut state = cluster();
        let id = offered(&mut state, "cpus:1");
        let fx = decide(&mut state, |state, fx| {
            rescind(state, &id, true, fx);
            rescind(state, &id, true, fx);
        });
        assert_eq!(fx.sent::<RescindResourceOfferMessage>().len(), 1);
        assert_eq!(recovered(&fx), [("cpus:1".to_owned(), 0)]);
    }
}
