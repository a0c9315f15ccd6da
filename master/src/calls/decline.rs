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
        }
    }
}
