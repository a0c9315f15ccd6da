//! DECLINE: the resources come back, and the slave is hidden for a while.

use std::time::Duration;

use protos::ids::{FrameworkId, OfferId};

use crate::effects::Effects;
use crate::state::State;

/// Gives declined offers back. Offers that are gone, or another framework's, are passed over.
pub(crate) fn decline(
    state: &mut State,
    framework: &FrameworkId,
    offers: &[OfferId],
    refuse_for: Option<Duration>,
    fx: &mut Effects,
) {
    for id in offers {
        if state.offers.get(id).is_none_or(|offer| offer.framework != *framework) {
            fx.refuse(format!("decline by framework {framework}: unknown offer {id}"));
            continue;
        }
        if let Some(offer) = state.take_offer(id) {
            fx.recover(framework, &offer.slave, offer.resources, refuse_for);
            fx.count_of(framework, "offers/declined");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn decline_gives_back_what_is_the_frameworks_own_and_passes_over_the_rest() {
        let mut state = cluster();
        let offer = offered(&mut state, "cpus:1");
        let (offers, refuse) = ([offer, "gone".into()], Some(Duration::from_secs(7)));
        let other = FrameworkId::new("other");
        let fx = decide(&mut state, |state, fx| decline(state, &other, &offers, refuse, fx));
        assert_eq!((refusals(&fx).len(), state.offers.len()), (2, 1));
        let fx = decide(&mut state, |state, fx| decline(state, &f(), &offers, refuse, fx));
        assert_eq!(recovered(&fx), [("cpus:1".to_owned(), 7)]);
        assert_eq!((refusals(&fx).len(), state.offers.len()), (1, 0));
        assert!(state.frameworks.get(&f()).unwrap().offers.is_empty());
    }
}
