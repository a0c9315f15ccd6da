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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn suppressed_roles_are_revived() {
        let mut state = cluster();
        let all = BTreeSet::new();
        let fx = decide(&mut state, |state, fx| suppress(state, &f(), all.clone(), fx));
        assert_eq!(fx.0.len(), 1);
        assert_eq!(state.frameworks.get(&f()).unwrap().suppressed, ["*".to_owned()].into());
        decide(&mut state, |state, fx| revive(state, &f(), all, fx));
        assert!(state.frameworks.get(&f()).unwrap().suppressed.is_empty());
    }

    #[test]
    fn role_of_others_is_refused() {
        let mut state = cluster();
        let other: BTreeSet<String> = ["other".to_owned()].into();
        let fx = decide(&mut state, |state, fx| {
            suppress(state, &f(), other.clone(), fx);
            revive(state, &f(), other, fx);
        });
        assert_eq!((refusals(&fx).len(), fx.0.len()), (2, 2));
    }
}
