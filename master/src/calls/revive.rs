//! REVIVE and SUPPRESS.

use std::collections::BTreeSet;

use protos::ids::FrameworkId;

use crate::effects::{AllocatorCall, Effects};
use crate::state::State;

/// Offers again for these roles (all when empty), filters forgotten.
pub(crate) fn revive(
    state: &mut State,
    id: &FrameworkId,
    roles: BTreeSet<String>,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get_mut(id) else { return };
    match unknown_role(&framework.roles(), &roles) {
        Some(role) => fx.refuse(format!("revive by framework {id}: not subscribed to role {role}")),
        None => {
            framework.suppressed.retain(|role| !roles.is_empty() && !roles.contains(role));
            fx.allocator(AllocatorCall::Revive(id.clone(), roles));
        }
    }
}

/// No offers for these roles (all when empty).
pub(crate) fn suppress(
    state: &mut State,
    id: &FrameworkId,
    roles: BTreeSet<String>,
    fx: &mut Effects,
) {
    let Some(framework) = state.frameworks.get_mut(id) else { return };
    let subscribed = framework.roles();
    match unknown_role(&subscribed, &roles) {
        Some(role) => {
            fx.refuse(format!("suppress by framework {id}: not subscribed to role {role}"))
        }
        None => {
            framework.suppressed.extend(if roles.is_empty() { subscribed } else { roles.clone() });
            fx.allocator(AllocatorCall::Suppress(id.clone(), roles));
        }
    }
}

fn unknown_role(subscribed: &BTreeSet<String>, roles: &BTreeSet<String>) -> Option<String> {
    roles.difference(subscribed).next().cloned()
}
